//! Ed25519, by the strictest rule in use.
//!
//! RFC 8032 §5.1.7 leaves room: libraries disagree about points of small order, about
//! coordinates that are not reduced and about the cofactor. Here a signature verifies only
//! if every implementation in common use would accept it.

/// Whether `signature` is one of `message` by `public_key`.
///
/// Refused are: wrong lengths; `s` ≥ L (RFC 8032 §5.1.7); `A` or `R` of small order; `A` or
/// `R` that is not the canonical encoding of its point; anything else that does not satisfy
/// `[s]B = R + [k]A` without the cofactor.
pub fn verify_signature(public_key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let (Ok(public_key), Ok(signature)) = (public_key.try_into(), signature.try_into()) else {
        return false;
    };
    Point::from_bytes(public_key).is_some_and(|point| point.verify(message, signature))
}

/// A public key that has been checked and decompressed.
#[derive(Clone, Debug)]
pub(crate) struct Point(ed25519_dalek::VerifyingKey);

impl Point {
    /// `None` unless `bytes` is the canonical encoding of a point whose order is not small.
    pub(crate) fn from_bytes(bytes: &[u8; 32]) -> Option<Self> {
        let point = ed25519_dalek::VerifyingKey::from_bytes(bytes).ok()?;
        (is_reduced(bytes) && !point.is_weak()).then_some(Self(point))
    }

    /// `verify_strict` refuses `R` of small order, and as it compares encodings, `R` that is
    /// not canonical; `from_bytes` has done the same for `A`.
    pub(crate) fn verify(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        let signature = ed25519_dalek::Signature::from_bytes(signature);
        self.0.verify_strict(message, &signature).is_ok()
    }

    pub(crate) fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }
}

/// Whether the y coordinate is below p = 2^255 − 19. Decompression reduces it, so that
/// without this one point would have two encodings.
fn is_reduced(bytes: &[u8; 32]) -> bool {
    let [first, middle @ .., last] = bytes;
    *first < 0xed || last & 0x7f != 0x7f || middle.iter().any(|&byte| byte != 0xff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coordinates_below_p_are_reduced_and_no_others() {
        let y = |first, middle: u8, last| {
            let mut bytes = [0xff; 32];
            (bytes[0], bytes[15], bytes[31]) = (first, middle, last);
            bytes
        };
        for sign in [0, 0x80] {
            assert!(is_reduced(&y(0xec, 0xff, 0x7f | sign)), "p - 1");
            for first in 0xed..=0xff {
                assert!(
                    !is_reduced(&y(first, 0xff, 0x7f | sign)),
                    "p + {}",
                    first - 0xed
                );
                assert!(is_reduced(&y(first, 0xfe, 0x7f | sign)));
                assert!(is_reduced(&y(first, 0xff, 0x7e | sign)));
            }
        }
    }
}
