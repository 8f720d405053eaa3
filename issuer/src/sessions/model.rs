//! Sessions and tokens, without any input or output.

use time::OffsetDateTime;

use crate::secret::SecretText;

/// What a client gets for signing in or refreshing.
#[derive(Debug)]
pub struct Tokens {
    /// Signed, short-lived, checked anywhere.
    pub access_token: SecretText,
    /// Opaque, single use.
    pub refresh_token: SecretText,
    /// Life of the access token in seconds.
    pub expires_in_secs: i32,
}

/// A live session as its user sees it.
#[derive(Debug)]
pub struct Session {
    /// Opaque id (`sid`).
    pub id: String,
    /// The app's name for the device.
    pub device_id: Option<String>,
    /// What the device is called.
    pub device_name: Option<String>,
    /// What signed in.
    pub user_agent: Option<String>,
    /// Where from.
    pub ip_address: Option<String>,
    /// When it signed in.
    pub created_at: OffsetDateTime,
    /// When it last refreshed.
    pub last_used_at: OffsetDateTime,
    /// When it ends unless it refreshes.
    pub expires_at: OffsetDateTime,
}

/// Whom an access token is for.
#[derive(Debug)]
pub struct TokenSubject {
    /// `sub`.
    pub user_id: String,
    /// `sid`.
    pub session_id: String,
    /// `email`.
    pub email: String,
    /// `email_verified`.
    pub email_verified: bool,
    /// `role`.
    pub role: String,
    /// No token of this user carries an earlier time, Unix seconds.
    pub cutoff: i64,
    /// Who acts in the user's place (`act`); `None` for the user.
    pub actor: Option<String>,
}
