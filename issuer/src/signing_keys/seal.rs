//! Sealing: the private part encrypted, the rest of the row authenticated with it.

use shared_claims::sign::SigningKey;

use super::model::{KeyState, Purpose, Seed};
use crate::ids::Entropy;
use crate::seal;
use crate::secret::DerivedKey;

/// What a seal authenticates beside the private part.
#[derive(Debug, Clone, Copy)]
pub struct Label<'a> {
    /// The kid.
    pub kid: &'a str,
    /// What the key signs.
    pub purpose: Purpose,
    /// Its state; changing it means sealing again.
    pub state: KeyState,
    /// Its public part.
    pub public_key: &'a [u8; 32],
}

impl Label<'_> {
    fn to_bytes(self) -> Vec<u8> {
        let (purpose, state) = (self.purpose.name(), self.state.name());
        let text = format!("tollgate signing key 1\n{}\n{purpose}\n{state}\n", self.kid);
        [text.as_bytes(), self.public_key].concat()
    }
}

/// Encrypts the seed and binds it to its label.
pub fn seal(key: &DerivedKey, seed: &[u8; 32], label: Label<'_>, entropy: &Entropy) -> Vec<u8> {
    seal::seal(key, seed, &label.to_bytes(), entropy)
}

/// Opens a seal; `None` when key, label or content do not belong together.
pub fn open(key: &DerivedKey, sealed: &[u8], label: Label<'_>) -> Option<(SigningKey, Seed)> {
    let opened = seal::open(key, sealed, &label.to_bytes())?;
    let seed = Seed::new(opened.as_slice().try_into().ok()?);
    let key = SigningKey::from_seed(&seed)?;
    (key.public_key() == label.public_key && key.kid().as_str() == label.kid).then_some((key, seed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::{MasterKey, Purpose as KeyPurpose};

    fn sealing_key(byte: u8) -> DerivedKey {
        MasterKey::from_bytes([byte; 32]).derive(KeyPurpose::SealSigningKeys)
    }

    #[test]
    fn a_seal_opens_only_with_everything_it_covers() {
        let seed = [3; 32];
        let signing = SigningKey::from_seed(&seed).expect("not all zeros");
        let (public_key, kid) = (*signing.public_key(), signing.kid().as_str().to_owned());
        let label = Label {
            kid: &kid,
            purpose: Purpose::AccessToken,
            state: KeyState::Pending,
            public_key: &public_key,
        };
        let sealed = seal(&sealing_key(1), &seed, label, &Entropy::seeded(1));
        assert!(open(&sealing_key(1), &sealed, label).is_some());

        assert!(
            open(&sealing_key(2), &sealed, label).is_none(),
            "another master key"
        );
        assert!(
            open(
                &sealing_key(1),
                &sealed,
                Label {
                    state: KeyState::Active,
                    ..label
                }
            )
            .is_none(),
            "another state"
        );
        assert!(
            open(
                &sealing_key(1),
                &sealed,
                Label {
                    purpose: Purpose::RevocationFeed,
                    ..label
                }
            )
            .is_none(),
            "another purpose"
        );
        assert!(
            open(
                &sealing_key(1),
                &sealed,
                Label {
                    public_key: &[9; 32],
                    ..label
                }
            )
            .is_none(),
            "another public key"
        );
        assert!(
            open(&sealing_key(1), &sealed, Label { kid: "x", ..label }).is_none(),
            "another kid"
        );
        for i in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[i] ^= 1;
            assert!(open(&sealing_key(1), &altered, label).is_none(), "byte {i}");
        }
        assert!(
            open(&sealing_key(1), &sealed[..10], label).is_none(),
            "cut short"
        );
    }
}
