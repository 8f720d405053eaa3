//! The Worker's variables, secrets and service bindings, read once per isolate.

use core::fmt;

use worker::js_sys::Reflect;
use worker::wasm_bindgen::{JsCast, JsValue};
use worker::{Env, Fetcher, RateLimiter};

use crate::charging::{self, ServiceTokens};
use crate::config::{Config, Target};
use crate::state::Setup;
use crate::urls;

/// What the Worker was given besides its configuration.
#[derive(Debug)]
pub struct Bindings {
    /// Key of the HMAC over what is stored in the data centre's cache.
    pub cache_secret: Option<Secret>,
    /// The data centre's counter of users. The entry asks it, too: for whatever costs nothing.
    pub users_counter: Option<RateLimiter>,
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
        setup.use_signing_key(config, text(env, "EDGE_SIGNING_KEY").as_deref());
        let users_counter = bound(env, "EDGE_PER_USER");
        setup.counts_users = users_counter.is_some();
        setup.counts_failures = bound(env, "EDGE_FAILED_AUTH").is_some();
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
                users_counter: users_counter.map(JsCast::unchecked_into),
                service_tokens,
                cache_secret: text(env, "CACHE_SECRET").map(Secret),
            },
            setup,
        )
    }
}

/// The binding of this name, whatever it is.
fn bound(env: &Env, name: &str) -> Option<JsValue> {
    let binding = Reflect::get(env, &name.into()).ok()?;
    binding.is_object().then_some(binding)
}

/// A variable or secret; both are strings of the environment. Empty counts as absent.
fn text(env: &Env, name: &str) -> Option<String> {
    let text = env.get_binding::<worker::Var>(name).ok()?.to_string();
    (!text.is_empty()).then_some(text)
}
