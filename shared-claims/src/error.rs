//! Why something was refused: closed lists with typed context and no text from the input.

use core::error::Error;
use core::fmt;

/// Why a token was refused, in the order in which the rules are applied: the first that fails
/// names the refusal. [`code`](Self::code) is what other programs rely on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum VerifyError {
    /// Larger than 8 KiB.
    TooLarge,
    /// Not three strict base64url segments, or not strict JSON.
    Malformed(Part),
    /// `alg` is not `EdDSA` or `Ed25519`.
    UnsupportedAlgorithm,
    /// A header member that would change how the token is read or which key verifies it.
    CriticalHeader,
    /// `typ` is not the one expected.
    UnsupportedType,
    /// `kid` is absent or not a thumbprint of 43 characters.
    MissingKeyId,
    /// No usable key has this `kid`.
    UnknownKey,
    /// The signature is not one by the named key.
    BadSignature,
    /// A claim that must be there is not.
    MissingClaim(ClaimName),
    /// A claim has the wrong form.
    InvalidClaim(ClaimName),
    /// `iss` is someone else.
    WrongIssuer,
    /// `aud` does not name us.
    WrongAudience,
    /// `exp` has passed.
    Expired,
    /// `nbf` has not come.
    NotYetValid,
    /// `iat` has not come.
    IssuedInFuture,
    /// `exp` − `iat` is more than the policy allows.
    LifetimeTooLong,
    /// The session, the user's tokens, the signing key or everything so old was revoked.
    Revoked,
    /// No key set is at hand to verify with.
    KeysUnavailable,
}

/// The part of a token that could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// The number of segments.
    Segments,
    /// The first segment.
    Header,
    /// The second segment.
    Payload,
    /// The third segment.
    Signature,
}

/// A claim with rules of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClaimName {
    /// `iss`, who signed.
    Iss,
    /// `sub`, the user.
    Sub,
    /// `aud`, for whom.
    Aud,
    /// `exp`, until when.
    Exp,
    /// `nbf`, from when.
    Nbf,
    /// `iat`, since when.
    Iat,
    /// `jti`, which token.
    Jti,
    /// `sid`, which session.
    Sid,
    /// `email`, the user's address.
    Email,
    /// `email_verified`, whether the address was proven.
    EmailVerified,
    /// `role`, what the user may do.
    Role,
    /// `htm`, the method of the request that an assertion was made for.
    Htm,
    /// `htu`, its path and query.
    Htu,
}

/// Why a key set was refused as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeySetError {
    /// Larger than 64 KiB.
    TooLarge,
    /// Not strict JSON, or not an object with an array of objects named `keys`.
    Malformed,
    /// More than 16 keys.
    TooManyKeys,
    /// A private or symmetric key stands in it: whoever published it has lost that key.
    SecretKey,
    /// Two keys share a `kid`.
    DuplicateKeyId,
    /// No key in it can verify our tokens.
    NoUsableKey,
}

/// Why a revocation document was refused; the one held before stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RevocationError {
    /// Larger than 256 KiB, or more than 10 000 entries.
    TooLarge,
    /// Header, key or signature: what a token would have been refused for.
    Jws(VerifyError),
    /// A member is absent or has the wrong form.
    Malformed,
    /// `v` is not 1.
    UnsupportedVersion,
    /// `iss` is someone else.
    WrongIssuer,
    /// `exp` has passed.
    Expired,
    /// `asOf` has not come, or `exp` is later than it may be.
    FromFuture,
    /// Smaller (`epoch`, `seq`) or `asOf` than the document held.
    Older,
    /// A delta that does not continue the document held.
    WrongBase,
}

impl VerifyError {
    /// The stable name of this refusal, the same in every host and language.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed",
            Self::TooLarge => "too_large",
            Self::UnsupportedAlgorithm => "unsupported_algorithm",
            Self::UnsupportedType => "unsupported_type",
            Self::CriticalHeader => "critical_header",
            Self::MissingKeyId => "missing_key_id",
            Self::UnknownKey => "unknown_key",
            Self::BadSignature => "bad_signature",
            Self::MissingClaim(_) => "missing_claim",
            Self::InvalidClaim(_) => "invalid_claim",
            Self::WrongIssuer => "wrong_issuer",
            Self::WrongAudience => "wrong_audience",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::IssuedInFuture => "issued_in_future",
            Self::LifetimeTooLong => "lifetime_too_long",
            Self::Revoked => "revoked",
            Self::KeysUnavailable => "keys_unavailable",
        }
    }

    /// The refusal in a sentence, for people; it may change.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Malformed(_) => "the token is not one",
            Self::TooLarge => "the token is larger than 8 KiB",
            Self::UnsupportedAlgorithm => "the token is not signed with Ed25519",
            Self::UnsupportedType => "the token is not an access token",
            Self::CriticalHeader => "the token's header demands an extension or brings its own key",
            Self::MissingKeyId => "the token does not name its key",
            Self::UnknownKey => "the issuer has no such key",
            Self::BadSignature => "the signature is not by the key that the token names",
            Self::MissingClaim(_) => "a claim is missing",
            Self::InvalidClaim(_) => "a claim has the wrong form",
            Self::WrongIssuer => "the token is from another issuer",
            Self::WrongAudience => "the token is for somebody else",
            Self::Expired => "the token has expired",
            Self::NotYetValid => "the token is not valid yet",
            Self::IssuedInFuture => "the token was issued in the future; compare the clocks",
            Self::LifetimeTooLong => "the token is valid for longer than tokens may be",
            Self::Revoked => "the token was revoked",
            Self::KeysUnavailable => "what is needed to verify cannot be had at present; try again",
        }
    }
}

impl Part {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Segments => "the number of segments",
            Self::Header => "the header",
            Self::Payload => "the payload",
            Self::Signature => "the signature",
        }
    }
}

impl ClaimName {
    /// The name as it stands in the token.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Iss => "iss",
            Self::Sub => "sub",
            Self::Aud => "aud",
            Self::Exp => "exp",
            Self::Nbf => "nbf",
            Self::Iat => "iat",
            Self::Jti => "jti",
            Self::Sid => "sid",
            Self::Email => "email",
            Self::EmailVerified => "email_verified",
            Self::Role => "role",
            Self::Htm => "htm",
            Self::Htu => "htu",
        }
    }
}

impl fmt::Display for VerifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())?;
        let which = match self {
            Self::Malformed(part) => part.as_str(),
            Self::MissingClaim(name) | Self::InvalidClaim(name) => name.as_str(),
            _ => return Ok(()),
        };
        // Not `write!`, which would make the WebAssembly modules larger.
        [" (", which, ")"]
            .into_iter()
            .try_for_each(|text| f.write_str(text))
    }
}

impl fmt::Display for KeySetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLarge => "the key set is larger than 64 KiB",
            Self::Malformed => "the key set is not strict JSON of the expected form",
            Self::TooManyKeys => "the key set has more than 16 keys",
            Self::SecretKey => "the key set contains a secret key",
            Self::DuplicateKeyId => "two keys of the key set have the same kid",
            Self::NoUsableKey => "the key set has no usable key",
        })
    }
}

impl fmt::Display for RevocationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLarge => "the revocation document is too large",
            Self::Jws(error) => {
                return write!(
                    f,
                    "the revocation document is not signed as it must be: {error}"
                );
            }
            Self::Malformed => "the revocation document has not the expected form",
            Self::UnsupportedVersion => "the revocation document has an unknown version",
            Self::WrongIssuer => "the revocation document is of another issuer",
            Self::Expired => "the revocation document has expired",
            Self::FromFuture => "the revocation document is from the future",
            Self::Older => "the revocation document is older than the one held",
            Self::WrongBase => "the revocation delta does not continue the document held",
        })
    }
}

impl Error for VerifyError {}
impl Error for KeySetError {}
impl Error for RevocationError {}
