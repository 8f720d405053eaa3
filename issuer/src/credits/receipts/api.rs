//! `/api/v1/credits/transactions/{id}/receipt`.

use std::sync::Arc;

use poem_openapi::param::Path;
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};

use super::issue_receipt::{IssueReceiptError, issue_receipt};
use crate::app::App;
use crate::credits::api::SignedInOrAbsent;
use crate::http::Caller;
use crate::http::problem::{Problem, ProblemCode, Refusal};
use crate::http::tags::Tag;

/// Receipts.
#[derive(Debug)]
pub struct ReceiptsApi {
    /// The issuer.
    pub app: Arc<App>,
}

/// A signed receipt.
#[derive(Debug, Object)]
#[oai(rename = "ReceiptAnswer")]
struct ReceiptAnswer {
    /// A JWS of type `receipt+jwt` with `iss`, `sub` (the user), `aud` (the app), `jti` (the
    /// transaction), `iat`, `amount`, `description` and `spentAt`.
    receipt: String,
}

#[OpenApi(prefix_path = "/api/v1/credits", tag = "Tag::Credits")]
impl ReceiptsApi {
    /// Get a receipt
    ///
    /// Proof of a charge that its app can verify by itself with the keys of
    /// `/.well-known/jwks.json`. Signed anew each time it is asked for.
    #[oai(
        path = "/transactions/:id/receipt",
        method = "get",
        operation_id = "getReceipt"
    )]
    async fn get_receipt(
        &self,
        caller: Caller,
        /// The transaction: a charge or capture of the caller's own.
        #[oai(validator(max_length = 64))]
        id: Path<String>,
    ) -> Result<Json<ReceiptAnswer>, Refusal<SignedInOrAbsent>> {
        let receipt = issue_receipt(&self.app, &caller.user_id, &id.0).await?;
        let receipt = receipt.ok_or_else(|| Problem::new(ProblemCode::NotFound))?;
        Ok(Json(ReceiptAnswer { receipt }))
    }
}

impl From<IssueReceiptError> for Problem {
    fn from(error: IssueReceiptError) -> Self {
        match error {
            IssueReceiptError::NoSigningKey => Self::new(ProblemCode::Unavailable),
            IssueReceiptError::Db(error) => error.into(),
        }
    }
}
