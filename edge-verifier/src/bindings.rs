//! The Worker's variables, secrets and service bindings, read once per isolate.

use core::fmt;

use worker::{Env, Fetcher};

use crate::charging::{self, ServiceTokens};
use crate::config::{Config, Target};
use crate::state::Setup;
use crate::urls;

/// What the Worker was given besides its configuration.
#[derive(Debug)]
pub struct Bindings {
    /// Key of the HMAC over what is stored in the data centre's cache.
    pub cache_secret: Option<Secret>,
    /// Tokens of the services as which this gateway charges.
    pub service_tokens: ServiceTokens,
}

/// A secret; its `Debug` prints a name.
pub struct Secret(String);

impl Secret {
    /// The text of the secret.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl Bindings {
    /// Reads the bindings, lets `ISSUER_URL` replace the configured URL, and says what is
    /// wrong or missing.
    pub fn read(env: &Env, config: &mut Config) -> (Self, Setup) {
        let mut setup = Setup::default();
        if let Some(url) = text(env, "ISSUER_URL") {
            match urls::base_url(&url, false) {
                Ok(url) => config.issuer.url = url,
                Err(fault) => setup.issuer_url = Some(fault),
            }
        }
        for route in &config.routes {
            if let Target::Service(name) = &route.backend.target
                && env.get_binding::<Fetcher>(name).is_err()
                && !setup.missing_services.contains(name)
            {
                setup.missing_services.push(name.clone());
            }
        }
        let service_tokens = match text(env, charging::SECRET_NAME) {
            Some(tokens) => ServiceTokens::parse(&tokens).unwrap_or_else(|| {
                setup.service_tokens_malformed = true;
                ServiceTokens::default()
            }),
            None => ServiceTokens::default(),
        };
        setup.apps_without_token = charging::apps_without_token(config, &service_tokens);
        (
            Self {
                service_tokens,
                cache_secret: text(env, "CACHE_SECRET").map(Secret),
            },
            setup,
        )
    }
}

/// A variable or secret; both are strings of the environment. Empty counts as absent.
fn text(env: &Env, name: &str) -> Option<String> {
    let text = env.get_binding::<worker::Var>(name).ok()?.to_string();
    (!text.is_empty()).then_some(text)
}
