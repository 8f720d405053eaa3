//! Scalars: numbers modulo L, the order of the base point (RFC 8032 §5.1).
//!
//! L = 2^252 + c, where c has 125 bits, so that 2^252 is −c: what is above bit 252 comes back times
//! −c. Numbers are limbs of 32 bits, the lowest first.

/// A digest of 512 bits modulo L, in the one form below L (RFC 8032 §5.1.7, step 2).
///
/// The digest is low + 2^252 · high, which is low − c · high. That product has 385 bits; what is
/// above bit 252 of it has 133 and comes back times c², which has 258; the six bits above bit 252 of
/// that come back times −c³. With 2L added, low − low + low − 131 bits is between 0 and 2^254, and
/// below 4L.
pub(super) fn reduced(digest: &[u8; 64]) -> [u8; 32] {
    let digest: [u32; 16] = limbs(digest);
    let once: [u32; 13] = times_c(&above::<9>(&digest));
    let twice: [u32; 9] = times_c(&above::<5>(&once));
    let thrice: [u32; 5] = times_c(&above::<1>(&twice));
    let (digest, once, twice) = (below(&digest), below(&once), below(&twice));
    let mut carry = 0i64;
    let mut sum: [u32; 8] = core::array::from_fn(|i| {
        let fourth = thrice.get(i).copied().unwrap_or(0);
        carry += i64::from(digest[i]) - i64::from(once[i]) + i64::from(twice[i]);
        carry += 2 * i64::from(ORDER[i]) - i64::from(fourth);
        low_limb(&mut carry)
    });
    debug_assert!(carry == 0);
    for _ in 0..3 {
        sum = less_order(&sum).unwrap_or(sum);
    }
    debug_assert!(less_order(&sum).is_none());
    let mut bytes = [0; 32];
    for (chunk, limb) in bytes.as_chunks_mut().0.iter_mut().zip(sum) {
        *chunk = limb.to_le_bytes();
    }
    bytes
}

/// Whether a scalar is below L (RFC 8032 §5.1.7, step 1).
pub(super) fn is_reduced(scalar: &[u8; 32]) -> bool {
    less_order(&limbs(scalar)).is_none()
}

/// `None` when `number` is below L.
fn less_order(number: &[u32; 8]) -> Option<[u32; 8]> {
    let mut carry = 0i64;
    let difference = core::array::from_fn(|i| {
        carry += i64::from(number[i]) - i64::from(ORDER[i]);
        low_limb(&mut carry)
    });
    (carry == 0).then_some(difference)
}

fn limbs<const BYTES: usize, const LIMBS: usize>(bytes: &[u8; BYTES]) -> [u32; LIMBS] {
    let (chunks, _) = bytes.as_chunks();
    core::array::from_fn(|i| u32::from_le_bytes(chunks[i]))
}

/// What is below bit 252.
fn below(number: &[u32]) -> [u32; 8] {
    core::array::from_fn(|i| number[i] & if i == 7 { 0x0fff_ffff } else { u32::MAX })
}

/// What is above, which has that many limbs.
fn above<const N: usize>(number: &[u32]) -> [u32; N] {
    core::array::from_fn(|i| {
        let next = number.get(i + 8).copied().unwrap_or(0);
        number[i + 7] >> 28 | next << 4
    })
}

/// The product has four limbs more than `number`.
fn times_c<const N: usize, const M: usize>(number: &[u32; N]) -> [u32; M] {
    debug_assert!(M == N + C.len());
    let mut product = [0u32; M];
    for (i, &limb) in number.iter().enumerate() {
        let mut carry = 0u64;
        for (j, &factor) in C.iter().enumerate() {
            // At most (2^32 − 1)^2 + 2 · (2^32 − 1), which is 2^64 − 1.
            carry += u64::from(product[i + j]) + u64::from(limb) * u64::from(factor);
            product[i + j] = low_half(carry);
            carry >>= 32;
        }
        product[i + C.len()] = low_half(carry);
    }
    product
}

/// Takes the low limb off a sum that may be negative.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the low 32 bits are meant, in two's complement"
)]
fn low_limb(sum: &mut i64) -> u32 {
    let low = *sum as u32;
    *sum >>= 32;
    low
}

#[expect(clippy::cast_possible_truncation, reason = "the low 32 bits are meant")]
fn low_half(sum: u64) -> u32 {
    sum as u32
}

/// L − 2^252 = 27742317777372353535851937790883648493.
const C: [u32; 4] = [0x5cf5_d3ed, 0x5812_631a, 0xa2f7_9cd6, 0x14de_f9de];

const ORDER: [u32; 8] = [C[0], C[1], C[2], C[3], 0, 0, 0, 0x1000_0000];

#[cfg(test)]
mod tests {
    use curve25519_dalek::Scalar;

    use super::*;
    use crate::random::Random;

    #[test]
    fn digests_are_reduced_as_by_the_library() {
        let mut random = Random::new(71);
        for i in 0..60_000 {
            let mut digest: [u8; 64] = random.array();
            // Bytes of zeros and of ones from anywhere to anywhere; then multiples of L, and what is
            // one off.
            let (from, to) = (i % 65, i / 65 % 65);
            if from < to {
                digest[from..to].fill(if i % 2 == 0 { 0 } else { 0xff });
            }
            if i % 5 == 0 {
                digest = multiple_of_order(&digest);
                digest[0] = digest[0].wrapping_add([0, 1, 0xff][i / 5 % 3]);
            }
            let theirs = Scalar::from_bytes_mod_order_wide(&digest).to_bytes();
            assert_eq!(reduced(&digest), theirs, "{digest:02x?}");
        }
    }

    /// Of the first 256 bits of `factor`.
    fn multiple_of_order(factor: &[u8; 64]) -> [u8; 64] {
        let factor: [u32; 16] = limbs(factor);
        let mut product = [0u32; 16];
        for i in 0..8 {
            let mut carry = 0u64;
            for j in 0..8 {
                carry += u64::from(product[i + j]) + u64::from(factor[i]) * u64::from(ORDER[j]);
                product[i + j] = low_half(carry);
                carry >>= 32;
            }
            product[i + 8] = low_half(carry);
        }
        let mut bytes = [0; 64];
        for (chunk, limb) in bytes.as_chunks_mut().0.iter_mut().zip(product) {
            *chunk = limb.to_le_bytes();
        }
        bytes
    }

    #[test]
    fn scalars_are_reduced_when_the_library_says_so() {
        let mut random = Random::new(72);
        let order = core::array::from_fn(|i| ORDER[i / 4].to_le_bytes()[i % 4]);
        let mut scalars = [order; 400];
        for (i, scalar) in scalars.iter_mut().enumerate() {
            let byte = i % 32;
            match i {
                0..32 => scalar[byte] = scalar[byte].wrapping_sub(1),
                32..64 => scalar[byte] = scalar[byte].wrapping_add(1),
                64..96 => scalar[..byte].fill(0xff),
                96..128 => scalar[..byte].fill(0),
                128 => {}
                _ => {
                    *scalar = random.array();
                    scalar[31] &= 0x1f;
                }
            }
        }
        let mut n_reduced = 0;
        for scalar in scalars {
            let theirs: bool = Scalar::from_canonical_bytes(scalar).is_some().into();
            assert_eq!(is_reduced(&scalar), theirs, "{scalar:02x?}");
            n_reduced += usize::from(theirs);
        }
        assert!((150..350).contains(&n_reduced), "{n_reduced} were reduced");
    }
}
