//! Middleware for backends: who is asking, and may they. For poem and for whatever speaks tower
//! (axum, tonic, hyper).

mod bearer;
#[cfg(feature = "poem")]
pub mod poem;
mod refusal;
#[cfg(feature = "tower")]
pub mod tower;

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Deref;

use crate::claims::{AccessClaims, Verified};
use crate::fetch::RemoteVerifier;

pub use refusal::Refusal;

/// Who may pass. Cheap to clone.
///
/// ```
/// # fn example(verifier: shared_claims::fetch::RemoteVerifier) {
/// use shared_claims::middleware::Guard;
///
/// let everybody = Guard::new(verifier.clone());
/// let admins = Guard::new(verifier).roles(["admin"]);
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Guard {
    verifier: RemoteVerifier,
    is_required: bool,
    /// Empty means any.
    roles: Arc<[String]>,
}

/// Whose request it is: the claims of the token, verified. What middleware leaves with a request.
#[derive(Clone, Debug)]
pub struct CurrentUser(Arc<Verified<AccessClaims>>);

impl Guard {
    /// Everybody with a good token.
    pub fn new(verifier: RemoteVerifier) -> Self {
        Self {
            verifier,
            is_required: true,
            roles: Arc::new([]),
        }
    }

    /// Only these roles; others are refused with 403.
    #[must_use]
    pub fn roles(self, roles: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let roles: Vec<String> = roles.into_iter().map(Into::into).collect();
        Self {
            roles: roles.into(),
            ..self
        }
    }

    /// Lets requests without a token pass, too, without a [`CurrentUser`]. A token that is there
    /// must be good all the same.
    #[must_use]
    pub fn optional(self) -> Self {
        Self {
            is_required: false,
            ..self
        }
    }

    /// Who is asking, by the values of the headers `Authorization`: for frameworks without
    /// middleware here.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn authenticate<'a>(
        &self,
        authorization: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<Option<CurrentUser>, Refusal> {
        let Some(token) = bearer::token(authorization)? else {
            return if self.is_required {
                Err(Refusal::MissingToken)
            } else {
                Ok(None)
            };
        };
        let verified = self.verifier.verify(token).await.map_err(Refusal::Token)?;
        let role = verified.role.as_deref();
        if !self.roles.is_empty() && !self.roles.iter().any(|wanted| role == Some(wanted)) {
            return Err(Refusal::InsufficientScope);
        }
        Ok(Some(CurrentUser(Arc::new(verified))))
    }
}

impl Deref for CurrentUser {
    type Target = Verified<AccessClaims>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}
