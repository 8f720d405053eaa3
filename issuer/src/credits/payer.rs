//! Whose credits are spent, and who asks for it: the user, or a service that shows the user's token.

use super::model::{AppId, Principal};
use crate::app::App;
use crate::apps::{Scope, Service};
use crate::db::DbError;
use crate::http::problem::{FieldError, Problem, ProblemCode};
use crate::http::{UserOrService, UserToken};
use crate::sessions::access_token;

/// Whose credits are meant, and who asks.
#[derive(Debug)]
pub struct Payer {
    /// The user whose credits are spent.
    pub user_id: String,
    /// Who asks: keys and holds are theirs.
    pub principal: Principal,
}

impl Payer {
    /// A signed-in user.
    pub fn user(user_id: &str) -> Self {
        Self {
            user_id: user_id.to_owned(),
            principal: Principal::user(user_id),
        }
    }

    /// Whoever asks to spend in this app. A service needs the user's own token: its secret alone
    /// opens nobody's account.
    ///
    /// # Errors
    /// `forbidden` when the service may not spend in this app, `validation_failed` when it sends
    /// no idempotency key or a user sends a second token, and what is wrong with the user's token.
    pub fn of(
        app: &App,
        caller: &UserOrService,
        user_token: &UserToken,
        app_id: &AppId,
        key: Option<&str>,
    ) -> Result<Self, Problem> {
        match (caller, user_token.text()) {
            (UserOrService::User(caller), None) => Ok(Self::user(&caller.user_id)),
            (UserOrService::User(_), Some(_)) => Err(refuse_field(
                "X-User-Token",
                "goes with the credential of a service",
            )),
            (UserOrService::Service(service), token) => {
                check_service(service, app_id, key)?;
                let token = token.ok_or_else(missing_user_token)?;
                let claims = access_token::verify(app, token)?;
                Ok(Self {
                    user_id: claims.sub.clone(),
                    principal: Principal::service(&service.id),
                })
            }
        }
    }
}

fn check_service(service: &Service, app_id: &AppId, key: Option<&str>) -> Result<(), Problem> {
    if !service.may(Scope::CreditsHold) {
        let words = "The service's credential has not the scope credits:hold.";
        return Err(Problem::with_detail(ProblemCode::Forbidden, words));
    }
    if service.app_id != app_id.as_str() {
        let words = "The service's credential is for another app.";
        return Err(Problem::with_detail(ProblemCode::Forbidden, words));
    }
    // A program repeats what it heard no answer to; a person would notice.
    if key.is_none() {
        return Err(refuse_field("idempotencyKey", "is required of a service"));
    }
    Ok(())
}

fn missing_user_token() -> Problem {
    let words = "A service needs the user's access token beside its own, in X-User-Token.";
    Problem::with_detail(ProblemCode::MissingToken, words)
}

fn refuse_field(field: &str, message: &str) -> Problem {
    Problem::validation(vec![FieldError::new(field, message)])
}

/// Whether a charge or hold was refused because its service may not spend any more: its credential
/// ended between its authentication and the charge.
pub fn is_service_ended(error: &DbError) -> bool {
    matches!(error, DbError::Constraint(name) if RULES.contains(&name.as_str()))
}

/// The answer to a service whose credential has ended.
pub fn service_ended() -> Problem {
    Problem::with_detail(ProblemCode::InvalidToken, "unknown_service")
}

const RULES: [&str; 2] = ["holds_service_may_spend", "entries_service_may_spend"];
