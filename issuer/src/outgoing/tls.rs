//! Whom calls over TLS trust.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};

/// Mozilla's list, the same on every machine, with the provider that mail and database use.
pub fn tls() -> ClientConfig {
    let roots = webpki_roots::TLS_SERVER_ROOTS.iter().cloned();
    let roots: RootCertStore = roots.collect();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider has the protocol versions of its library")
        .with_root_certificates(roots)
        .with_no_client_auth()
}
