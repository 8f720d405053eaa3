//! Sealing: secrets at rest, encrypted and bound to what they belong to.

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use zeroize::Zeroizing;

use crate::ids::Entropy;
use crate::secret::DerivedKey;

/// Encrypts under a fresh nonce (XChaCha20-Poly1305), which is put in front. `label` is
/// authenticated too: the seal opens only beside the same one.
pub fn seal(key: &DerivedKey, plain: &[u8], label: &[u8], entropy: &Entropy) -> Vec<u8> {
    let nonce: [u8; NONCE_BYTES] = entropy.bytes();
    let payload = Payload {
        msg: plain,
        aad: label,
    };
    let sealed = cipher(key)
        .encrypt(&XNonce::from(nonce), payload)
        .expect("our secrets are far below the cipher's limit");
    [nonce.as_slice(), &sealed].concat()
}

/// Opens a seal; `None` when key, label and content do not belong together.
pub fn open(key: &DerivedKey, sealed: &[u8], label: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, ciphertext) = sealed.split_first_chunk::<NONCE_BYTES>()?;
    let payload = Payload {
        msg: ciphertext,
        aad: label,
    };
    let opened = cipher(key).decrypt(&XNonce::from(*nonce), payload).ok()?;
    Some(Zeroizing::new(opened))
}

fn cipher(key: &DerivedKey) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(key.expose().into())
}

/// Long enough to be drawn at random for ever.
const NONCE_BYTES: usize = 24;
