//! Argon2id (RFC 9106) in memory that is used again.

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{ARGON2ID_IDENT, Algorithm, Argon2, Block, Params, Version};

use super::{HashError, SALT_BYTES};

/// What one thread hashes in. Taken from the system afresh for each hash, its 19 MiB would cost a
/// twentieth of the time the hash itself takes.
#[derive(Default)]
pub struct Memory {
    blocks: Vec<Block>,
}

impl Memory {
    fn of(&mut self, params: &Params) -> &mut [Block] {
        self.blocks.resize(params.block_count(), Block::new());
        &mut self.blocks
    }

    /// Gives it back to the system.
    pub fn release(&mut self) {
        self.blocks = Vec::new();
    }
}

/// Hashes a password with today's parameters into a PHC string.
pub fn hash(
    memory: &mut Memory,
    password: &[u8],
    salt: [u8; SALT_BYTES],
) -> Result<String, HashError> {
    let params = today();
    let mut output = [0; OUTPUT_BYTES];
    fill(memory, password, &salt, &params, &mut output)?;
    let hash = PasswordHash {
        algorithm: ARGON2ID_IDENT,
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(&params).map_err(|_| HashError::Failed)?,
        salt: Some(Salt::new(&salt).map_err(|_| HashError::Failed)?),
        hash: Some(Output::new(&output).map_err(|_| HashError::Failed)?),
    };
    Ok(hash.to_string())
}

/// Whether a password is that of a PHC string, and whether that has today's parameters.
pub fn matches(
    memory: &mut Memory,
    password: &[u8],
    text: &str,
) -> Result<(bool, bool), HashError> {
    let stored = PasswordHash::new(text).map_err(|_| HashError::Failed)?;
    let params = Params::try_from(&stored).map_err(|_| HashError::Failed)?;
    let (Some(salt), Some(expected)) = (stored.salt, stored.hash) else {
        return Err(HashError::Failed);
    };
    if stored.version != Some(Version::V0x13.into()) {
        return Err(HashError::Failed);
    }
    let mut output = [0; Output::MAX_LENGTH];
    let output = &mut output[..expected.len()];
    fill(memory, password, &salt, &params, output)?;
    let made = Output::new(output).map_err(|_| HashError::Failed)?;
    let is_current = ParamsString::try_from(&today()).is_ok_and(|today| stored.params == today);
    // `Output` compares in constant time.
    Ok((made == expected, is_current))
}

fn fill(
    memory: &mut Memory,
    password: &[u8],
    salt: &[u8],
    params: &Params,
    output: &mut [u8],
) -> Result<(), HashError> {
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone())
        .hash_password_into_with_memory(password, salt, output, memory.of(params))
        .map_err(|_| HashError::Failed)
}

fn today() -> Params {
    Params::new(MEMORY_KIB, PASSES, LANES, None).expect("the parameters are within Argon2's bounds")
}

/// OWASP's first recommendation for Argon2id: 19 MiB, two passes, one lane.
pub const MEMORY_KIB: u32 = 19 * 1024;
/// See [`MEMORY_KIB`].
pub const PASSES: u32 = 2;
/// See [`MEMORY_KIB`].
pub const LANES: u32 = 1;
/// RFC 9106 section 3.1 recommends at least 128 bits; 256 is the library's own default.
const OUTPUT_BYTES: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWORD: &[u8] = b"correct horse";

    #[test]
    fn memory_that_was_used_before_changes_no_hash() {
        let mut memory = Memory::default();
        let first = hash(&mut memory, PASSWORD, [1; SALT_BYTES]).expect("hashed");
        hash(&mut memory, b"another", [2; SALT_BYTES]).expect("hashed");
        let again = hash(&mut memory, PASSWORD, [1; SALT_BYTES]).expect("hashed");
        memory.release();
        let fresh = hash(&mut memory, PASSWORD, [1; SALT_BYTES]).expect("hashed");
        assert_eq!((&again, &fresh), (&first, &first));
    }

    #[test]
    fn memory_grows_and_shrinks_with_the_hash_that_is_checked() {
        let mut memory = Memory::default();
        let mut made = Vec::new();
        for memory_kib in [MEMORY_KIB, 8 * 1024, 32 * 1024] {
            let params = Params::new(memory_kib, 1, 1, None).expect("valid");
            let mut output = [0; OUTPUT_BYTES];
            Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
                .hash_password_into(PASSWORD, &[1; SALT_BYTES], &mut output)
                .expect("hashed");
            let phc = PasswordHash {
                algorithm: ARGON2ID_IDENT,
                version: Some(Version::V0x13.into()),
                params: format!("m={memory_kib},t=1,p=1").parse().expect("valid"),
                salt: Some(Salt::new(&[1; SALT_BYTES]).expect("valid")),
                hash: Some(Output::new(&output).expect("valid")),
            };
            made.push(phc.to_string());
        }
        for text in made.iter().chain(made.iter().rev()) {
            assert_eq!(matches(&mut memory, PASSWORD, text), Ok((true, false)));
            assert_eq!(
                matches(&mut memory, b"battery staple", text),
                Ok((false, false))
            );
        }
    }

    #[test]
    fn hash_of_an_older_version_of_argon2_is_not_taken_for_one_of_this() {
        let current = hash(&mut Memory::default(), PASSWORD, [1; SALT_BYTES]).expect("hashed");
        for version in ["v=16$", ""] {
            let old = current.replace("v=19$", version);
            let verdict = matches(&mut Memory::default(), PASSWORD, &old);
            assert_eq!(verdict, Err(HashError::Failed), "{old}");
        }
    }
}
