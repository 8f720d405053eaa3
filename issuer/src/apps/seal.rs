//! Webhook secrets: made here, shown once, encrypted at rest.

use base64ct::{Base64, Base64UrlUnpadded, Encoding};
use zeroize::Zeroizing;

use crate::app::App;
use crate::ids::Entropy;
use crate::seal;
use crate::secret::{Purpose, SecretText};
use crate::signing_keys::MasterKeys;

/// What signs webhooks: the bytes that the text stands for.
pub struct SigningSecret(Zeroizing<Vec<u8>>);

impl SigningSecret {
    /// Reads `whsec_` and base64, which is how Standard Webhooks writes one.
    pub fn parse(text: &str) -> Option<Self> {
        let encoded = text.strip_prefix(PREFIX)?;
        // The first secrets were written in the other alphabet, and their owners have them.
        let bytes = Base64::decode_vec(encoded)
            .or_else(|_| Base64UrlUnpadded::decode_vec(encoded))
            .ok()?;
        Some(Self(Zeroizing::new(bytes)))
    }

    /// The key.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningSecret")
    }
}

/// Makes a webhook secret for an app, and its sealed form: version of the master key, nonce,
/// ciphertext that belongs to this app alone.
pub fn webhook_secret(app: &App, app_id: &str) -> (SecretText, Vec<u8>) {
    let encoded = Base64::encode_string(&app.entropy.bytes::<32>());
    let secret = SecretText::new(format!("{PREFIX}{encoded}"));
    let sealed = seal_text(&app.master_keys, &app.entropy, app_id, secret.expose());
    (secret, sealed)
}

/// Opens what [`webhook_secret`] sealed for this app; `None` when it is somebody else's or its
/// master key is gone.
pub fn open(master_keys: &MasterKeys, app_id: &str, sealed: &[u8]) -> Option<SigningSecret> {
    SigningSecret::parse(&open_text(master_keys, app_id, sealed)?)
}

/// The same secret sealed under the master key of now.
pub(super) fn reseal(app: &App, app_id: &str, sealed: &[u8]) -> Option<Vec<u8>> {
    let text = open_text(&app.master_keys, app_id, sealed)?;
    Some(seal_text(&app.master_keys, &app.entropy, app_id, &text))
}

/// Which master key sealed this, as the bytes that stand in front.
pub(super) fn version_bytes(version: i32) -> [u8; 4] {
    version.to_be_bytes()
}

fn seal_text(master_keys: &MasterKeys, entropy: &Entropy, app_id: &str, text: &str) -> Vec<u8> {
    let key = master_keys.current().derive(Purpose::SealAppSecrets);
    let sealed = seal::seal(&key, text.as_bytes(), label(app_id).as_bytes(), entropy);
    let version = version_bytes(master_keys.current_version());
    [version.as_slice(), &sealed].concat()
}

fn open_text(master_keys: &MasterKeys, app_id: &str, sealed: &[u8]) -> Option<Zeroizing<String>> {
    let (version, sealed) = sealed.split_first_chunk::<4>()?;
    let version = i32::from_be_bytes(*version);
    let key = master_keys.derive_version(version, Purpose::SealAppSecrets)?;
    let opened = seal::open(&key, sealed, label(app_id).as_bytes())?;
    let text = std::str::from_utf8(&opened).ok()?;
    Some(Zeroizing::new(text.to_owned()))
}

fn label(app_id: &str) -> String {
    format!("tollgate webhook secret 1\n{app_id}")
}

/// As Standard Webhooks has it, so that scanners of leaked secrets know it.
const PREFIX: &str = "whsec_";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::MasterKey;

    fn keys(byte: u8) -> MasterKeys {
        MasterKeys::unchecked(MasterKey::from_bytes([byte; 32]))
    }

    #[test]
    fn a_secret_opens_for_its_app_and_key_alone() {
        let sealed = seal_text(&keys(1), &Entropy::seeded(1), "shop", "whsec_AAEC");
        let opened = open(&keys(1), "shop", &sealed).expect("opens");
        assert_eq!(opened.expose(), [0, 1, 2]);
        assert!(open(&keys(1), "other", &sealed).is_none());
        assert!(open(&keys(2), "shop", &sealed).is_none());
        for length in 0..sealed.len() {
            assert!(open(&keys(1), "shop", &sealed[..length]).is_none());
        }
    }

    #[test]
    fn a_secret_is_read_in_both_alphabets_and_prints_its_name() {
        let of = |text| SigningSecret::parse(text).map(|secret| secret.expose().to_vec());
        assert_eq!(of("whsec_+/8="), Some(vec![0xfb, 0xff]));
        assert_eq!(of("whsec_-_8"), Some(vec![0xfb, 0xff]));
        assert_eq!(of("+/8="), None);
        assert_eq!(of("whsec_*"), None);
        let secret = SigningSecret::parse("whsec_AAEC").expect("read");
        assert_eq!(format!("{secret:?}"), "SigningSecret");
    }
}
