//! The Worker's variables, secrets and service bindings, read once per isolate.

use core::fmt;

use worker::js_sys::Reflect;
use worker::{Env, Fetcher};

use crate::config::{Config, Target};
use crate::state::Setup;
use crate::urls;

/// What the Worker was given besides its configuration.
#[derive(Debug)]
pub struct Bindings {
    /// Key of the HMAC over what is stored in the data centre's cache.
    pub cache_secret: Option<Secret>,
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
        setup.counts_users = is_bound(env, "EDGE_PER_USER");
        setup.counts_failures = is_bound(env, "EDGE_FAILED_AUTH");
        (
            Self {
                cache_secret: text(env, "CACHE_SECRET").map(Secret),
            },
            setup,
        )
    }
}

/// Whether there is a binding of this name, whatever it is.
fn is_bound(env: &Env, name: &str) -> bool {
    Reflect::get(env, &name.into()).is_ok_and(|binding| binding.is_object())
}

/// A variable or secret; both are strings of the environment. Empty counts as absent.
fn text(env: &Env, name: &str) -> Option<String> {
    let text = env.get_binding::<worker::Var>(name).ok()?.to_string();
    (!text.is_empty()).then_some(text)
}
