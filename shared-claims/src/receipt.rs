//! Signed proof that credits were spent, for the app they were spent in.

use alloc::string::String;

use crate::claims::Verified;
use crate::error::{Part, VerifyError};
use crate::json::{Object, Value};
use crate::jws::{Jws, parse_payload};
use crate::key_set::KeySet;
use crate::limits::MAX_TOKEN_BYTES;
use crate::time::UnixTime;

/// What a receipt says: that this charge was posted. It is no access token, and no access token
/// is a receipt: their headers name different types.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Who signed it (`iss`).
    pub iss: String,
    /// The user whose credits were spent (`sub`).
    pub sub: String,
    /// The app they were spent in (`aud`).
    pub app_id: String,
    /// The transaction (`jti`).
    pub transaction_id: String,
    /// How many credits were spent.
    pub amount: u64,
    /// What for, in the app's words.
    pub description: String,
    /// When they were spent.
    pub spent_at: UnixTime,
    /// When the receipt was signed (`iat`). Receipts do not expire; the key that signed one is
    /// published until the access tokens of its time have expired.
    pub iat: UnixTime,
}

impl Receipt {
    /// Verifies a receipt of this issuer for this app.
    ///
    /// ```
    /// use shared_claims::sign::SigningKey;
    /// use shared_claims::{KeySet, Receipt, UnixTime, VerifyError};
    ///
    /// let issuer = SigningKey::from_seed(&[1; 32]).expect("the seed is not zero");
    /// let receipt = Receipt {
    ///     iss: "https://id.example.com".into(),
    ///     sub: "V1StGXR8_Z5jdHi6B-myT".into(),
    ///     app_id: "chat".into(),
    ///     transaction_id: "3c1.7".into(),
    ///     amount: 10,
    ///     description: "one answer".into(),
    ///     spent_at: UnixTime::from_secs(1_795_000_000),
    ///     iat: UnixTime::from_secs(1_795_000_001),
    /// };
    /// let jws = issuer.sign_receipt(&receipt);
    /// let keys = KeySet::from_public_keys([*issuer.public_key()]).expect("a good key");
    /// let verified = Receipt::from_jws(&jws, &keys, "https://id.example.com", "chat")?;
    /// assert_eq!(verified.amount, 10);
    /// let other = Receipt::from_jws(&jws, &keys, "https://id.example.com", "another");
    /// assert_eq!(other, Err(VerifyError::WrongAudience));
    /// # Ok::<(), VerifyError>(())
    /// ```
    ///
    /// # Errors
    /// The refusals of a token from [`VerifyError::TooLarge`] to [`VerifyError::BadSignature`];
    /// `Malformed` when a member is missing or of another form; `WrongIssuer`; `WrongAudience`
    /// when it is for another app.
    pub fn from_jws(
        jws: &str,
        keys: &KeySet,
        issuer: &str,
        app_id: &str,
    ) -> Result<Verified<Self>, VerifyError> {
        if jws.len() > MAX_TOKEN_BYTES {
            return Err(VerifyError::TooLarge);
        }
        let jws = Jws::parse(jws, RECEIPT_TYPE)?;
        let kid = jws.kid;
        let payload = jws.verify(keys)?;
        let receipt = Self::from_payload(&parse_payload(&payload)?)
            .ok_or(VerifyError::Malformed(Part::Payload))?;
        if receipt.iss != issuer {
            return Err(VerifyError::WrongIssuer);
        }
        if receipt.app_id != app_id {
            return Err(VerifyError::WrongAudience);
        }
        Ok(Verified::new(receipt, kid, payload))
    }

    fn from_payload(payload: &Object<'_>) -> Option<Self> {
        let text = |name| payload.get(name)?.as_str().map(String::from);
        let instant = |name| payload.get(name)?.as_integer().map(UnixTime::from_secs);
        Some(Self {
            iss: text("iss")?,
            sub: text("sub")?,
            app_id: text("aud")?,
            transaction_id: text("jti")?,
            amount: amount(payload.get("amount")?)?,
            description: text("description")?,
            spent_at: instant("spentAt")?,
            iat: instant("iat")?,
        })
    }
}

/// A whole number from 1 on: a charge may have more digits than an instant.
fn amount(value: &Value<'_>) -> Option<u64> {
    let Value::Number(digits) = value else {
        return None;
    };
    let whole = digits.bytes().all(|digit| digit.is_ascii_digit());
    let amount = whole.then(|| digits.parse().ok()).flatten()?;
    (1..=MAX_AMOUNT).contains(&amount).then_some(amount)
}

/// Not `at+jwt`, so that neither is ever taken for the other (RFC 8725 §3.11).
pub(crate) const RECEIPT_TYPE: &str = "receipt+jwt";
/// The most that one charge can be.
const MAX_AMOUNT: u64 = 1_000_000_000_000;
