//! Webhook secrets: made here, shown once, encrypted at rest.

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};

use crate::app::App;
use crate::ids::Entropy;
use crate::secret::{DerivedKey, Purpose, SecretText, base64url};

/// Makes a webhook secret for an app, and its sealed form: version of the master key, nonce,
/// ciphertext that belongs to this app alone.
pub fn webhook_secret(app: &App, app_id: &str) -> (SecretText, Vec<u8>) {
    let secret = format!("whsec_{}", base64url(&app.entropy.bytes::<32>()));
    let key = app.master_keys.current().derive(Purpose::SealAppSecrets);
    let sealed = seal(&key, secret.as_bytes(), app_id, &app.entropy);
    let version = app.master_keys.current_version().to_be_bytes();
    (
        SecretText::new(secret),
        [version.as_slice(), &sealed].concat(),
    )
}

fn seal(key: &DerivedKey, secret: &[u8], app_id: &str, entropy: &Entropy) -> Vec<u8> {
    let nonce: [u8; 24] = entropy.bytes();
    let label = label(app_id);
    let payload = Payload {
        msg: secret,
        aad: label.as_bytes(),
    };
    let sealed = XChaCha20Poly1305::new(key.expose().into())
        .encrypt(&XNonce::from(nonce), payload)
        .expect("a secret is far below the cipher's limit");
    [nonce.as_slice(), &sealed].concat()
}

fn label(app_id: &str) -> String {
    format!("tollgate webhook secret 1\n{app_id}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::MasterKey;

    fn open(key: &DerivedKey, sealed: &[u8], app_id: &str) -> Option<Vec<u8>> {
        let (nonce, ciphertext) = sealed.split_first_chunk::<24>()?;
        let label = label(app_id);
        let payload = Payload {
            msg: ciphertext,
            aad: label.as_bytes(),
        };
        XChaCha20Poly1305::new(key.expose().into())
            .decrypt(&XNonce::from(*nonce), payload)
            .ok()
    }

    #[test]
    fn a_secret_opens_for_its_app_and_key_alone() {
        let key = |byte| MasterKey::from_bytes([byte; 32]).derive(Purpose::SealAppSecrets);
        let sealed = seal(&key(1), b"whsec_x", "shop", &Entropy::seeded(1));
        assert_eq!(
            open(&key(1), &sealed, "shop").as_deref(),
            Some(b"whsec_x".as_slice())
        );
        assert_eq!(open(&key(1), &sealed, "other"), None);
        assert_eq!(open(&key(2), &sealed, "shop"), None);
    }
}
