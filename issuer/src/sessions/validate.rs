//! Says whether a token is valid, from memory alone.

use shared_claims::VerifyError;

use super::access_token;
use crate::app::App;

/// Checks signature, claims and revocation; the claims as the token has them, a JSON object, or the
/// verifier's code.
pub fn validate(app: &App, token: &str) -> Result<String, &'static str> {
    let signer = access_token::signer(app).ok_or(VerifyError::KeysUnavailable.code())?;
    let claims = access_token::check(app, &signer, token).map_err(VerifyError::code)?;
    Ok(claims.payload().to_owned())
}
