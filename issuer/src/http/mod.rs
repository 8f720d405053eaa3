//! HTTP: all APIs in one service, wrapped in the shell.
//!
//! Order around a request: request id and client address, host check (development), CORS
//! preflight, rate limit, time limit, the operation, problem form, security headers, metrics.

mod auth;
mod client_ip;
pub mod cookies;
mod cors;
mod docs;
mod front;
mod header_extractor;
mod health;
mod idempotency;
mod if_match;
mod json;
mod language;
mod methods;
pub mod pages;
mod places;
mod prepared;
pub mod problem;
pub mod rate_limit;
mod raw;
mod read_body;
mod request_info;
mod server;
mod shell;
mod specification;
mod status;
pub mod tags;
mod trace;
mod user_token;

use std::sync::Arc;

use poem::endpoint::BoxEndpoint;
use poem::{IntoEndpoint, Response, Route};
use poem_openapi::{OpenApi, OpenApiService};

use self::front::Front;
pub use auth::{AdminCaller, Caller, OptionalCaller, UserOrService};
pub use idempotency::IdempotencyKey;
pub use if_match::{IfMatch, etag_of_version};
pub use json::{Body, MAX_BODY_BYTES, OptionalBody};
pub use prepared::Prepared;
pub use raw::RawBody;
pub use request_info::RequestInfo;
pub use server::{Limits, serve, serve_on};
pub use shell::Shell;
pub use user_token::UserToken;

use crate::accounts::{self, AccountsApi, MailedApi, OwnApi};
use crate::admin::AdminApi;
use crate::app::App;
use crate::apps::AppsApi;
use crate::audit::AuditApi;
use crate::config::Mode;
use crate::credits::{
    CorrectionsApi, CreditsApi, GiftsApi, HoldsApi, ReceiptsApi, SpendLimitsAdminApi,
    SpendLimitsApi, UsageApi,
};
use crate::mail;
use crate::purchases::{AdminPurchasesApi, PackagesApi, PurchasesApi};
use crate::revocations::FeedApi;
use crate::second_factor::SecondFactorApi;
use crate::second_factor::passkeys::PasskeysApi;
use crate::sessions::SessionsApi;
use crate::settings::SettingsApi;
use crate::signing_keys::JwksApi;
use crate::webhooks::WebhooksApi;

/// The whole service.
pub fn service(app: &Arc<App>) -> Shell {
    let api = api(app);
    let spec = specification::document(&api);
    let methods = methods::Methods::from_spec(&spec);
    let page = docs::page(&api.swagger_ui_html());
    let mut route = Route::new()
        .at("/openapi.json", docs::specification(&spec))
        .at("/docs", page)
        .at("/status", poem::get(status::status(app)));
    if app.config.mode == Mode::Development {
        route = route
            .at("/dev/mailbox", poem::get(mail::mailbox_list(app)))
            .at("/dev/mailbox/:name", poem::get(mail::mailbox_mail(app)));
    }
    let front = Front::new(accounts::pages(app, route), api.into_endpoint());
    Shell::new(app, methods, Box::new(front))
}

/// An endpoint of a benchmark, behind what surrounds every operation.
pub fn in_shell(app: &Arc<App>, endpoint: BoxEndpoint<'static, Response>) -> Shell {
    Shell::new(app, methods::Methods::default(), endpoint)
}

/// The OpenAPI document, as it is committed and served.
pub fn openapi(app: &Arc<App>) -> String {
    specification::text(&specification::document(&api(app)))
}

/// In a tuple of their own: there is a limit to how many one may hold.
fn credits_apis(app: &Arc<App>) -> impl OpenApi + 'static {
    (
        CreditsApi {
            app: Arc::clone(app),
        },
        HoldsApi {
            app: Arc::clone(app),
        },
        GiftsApi {
            app: Arc::clone(app),
        },
        UsageApi {
            app: Arc::clone(app),
        },
        ReceiptsApi {
            app: Arc::clone(app),
        },
        SpendLimitsApi {
            app: Arc::clone(app),
        },
        SpendLimitsAdminApi {
            app: Arc::clone(app),
        },
        CorrectionsApi {
            app: Arc::clone(app),
        },
    )
}

fn api(app: &Arc<App>) -> OpenApiService<impl OpenApi + 'static, ()> {
    let apis = (
        AccountsApi {
            app: Arc::clone(app),
        },
        MailedApi {
            app: Arc::clone(app),
        },
        OwnApi {
            app: Arc::clone(app),
        },
        SessionsApi {
            app: Arc::clone(app),
        },
        SettingsApi {
            app: Arc::clone(app),
        },
        SecondFactorApi {
            app: Arc::clone(app),
        },
        PasskeysApi {
            app: Arc::clone(app),
        },
        credits_apis(app),
        (
            PurchasesApi {
                app: Arc::clone(app),
            },
            PackagesApi {
                app: Arc::clone(app),
            },
            AdminPurchasesApi {
                app: Arc::clone(app),
            },
        ),
        AuditApi {
            app: Arc::clone(app),
        },
        AdminApi {
            app: Arc::clone(app),
        },
        (
            AppsApi {
                app: Arc::clone(app),
            },
            WebhooksApi {
                app: Arc::clone(app),
            },
        ),
        JwksApi {
            app: Arc::clone(app),
        },
        FeedApi {
            app: Arc::clone(app),
        },
        health::HealthApi {
            app: Arc::clone(app),
        },
    );
    OpenApiService::new(apis, "Tollgate", env!("CARGO_PKG_VERSION")).description(
        "Signs people in and keeps their credits. Every refusal is a problem document (RFC 9457).",
    )
}
