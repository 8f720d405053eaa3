//! `/account/…`: the pages that links in mail lead to.

use std::sync::Arc;

use askama::Template;
use poem::http::StatusCode;
use poem::{Endpoint, FromRequest, Request, Response, Result, Route};
use url::form_urlencoded;
use zeroize::Zeroizing;

use super::words::{self, Ending, PageWords};
use crate::accounts::mailed::{LinkError, ResetError, reset_password, verify_by_link};
use crate::accounts::model::Password;
use crate::accounts::own::confirm_email_change;
use crate::app::App;
use crate::http::{RequestInfo, pages as http_pages};
use crate::mail::{LinkPurpose, Locale};

/// Adds the pages to the routes.
pub fn pages(app: &Arc<App>, route: Route) -> Route {
    let purposes = [
        LinkPurpose::VerifyEmail,
        LinkPurpose::ResetPassword,
        LinkPurpose::ChangeEmail,
    ];
    purposes.into_iter().fold(route, |route, purpose| {
        let show = Show {
            app: Arc::clone(app),
            purpose,
        };
        let submit = Submit {
            app: Arc::clone(app),
            purpose,
        };
        route.at(purpose.page(), poem::get(show).post(submit))
    })
}

#[derive(Template)]
#[template(path = "account_page.html")]
struct Page<'a> {
    language: &'static str,
    service: &'a str,
    words: PageWords,
    wrong: bool,
    form: Option<Form<'a>>,
}

struct Form<'a> {
    action: &'static str,
    token: &'a str,
    button: &'static str,
    password: Option<&'static str>,
}

/// GET: shows the button.
struct Show {
    app: Arc<App>,
    purpose: LinkPurpose,
}

impl Endpoint for Show {
    type Output = Response;

    async fn call(&self, request: Request) -> Result<Response> {
        let query = request.uri().query().unwrap_or_default();
        let token = member(query.as_bytes(), "token");
        let locale = Locale::from_request_without_body(&request).await?;
        let words = words::asking(self.purpose, locale);
        Ok(ask(
            &self.app,
            self.purpose,
            locale,
            &token,
            words,
            StatusCode::OK,
        ))
    }
}

/// POST: uses the link.
struct Submit {
    app: Arc<App>,
    purpose: LinkPurpose,
}

impl Endpoint for Submit {
    type Output = Response;

    async fn call(&self, mut request: Request) -> Result<Response> {
        let info = RequestInfo::from_request_without_body(&request).await?;
        let locale = Locale::from_request_without_body(&request).await?;
        let body = Zeroizing::new(request.take_body().into_vec().await.unwrap_or_default());
        let token = member(&body, "token");
        let password = Zeroizing::new(member(&body, "password"));
        let password = Password::choose(&password);
        if let (LinkPurpose::ResetPassword, Err(fault)) = (self.purpose, &password) {
            let text = words::bad_password(*fault, locale);
            let words = PageWords {
                text,
                ..words::asking(self.purpose, locale)
            };
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            return Ok(ask(&self.app, self.purpose, locale, &token, words, status));
        }
        let (status, ending) = self.use_link(&token, password.ok(), &info).await;
        let page = Page {
            language: locale.as_str(),
            service: self.app.mailer.service(),
            words: words::ending(self.purpose, ending, locale),
            wrong: ending != Ending::Done,
            form: None,
        };
        Ok(http_pages::render(status, &page))
    }
}

impl Submit {
    async fn use_link(
        &self,
        token: &str,
        password: Option<Password>,
        info: &RequestInfo,
    ) -> (StatusCode, Ending) {
        let result = match (self.purpose, password) {
            (LinkPurpose::VerifyEmail, _) => verify_by_link(&self.app, token, info).await,
            (LinkPurpose::ChangeEmail, _) => confirm_email_change(&self.app, token, info).await,
            (LinkPurpose::ResetPassword, None) => Err(LinkError::NotGood),
            (LinkPurpose::ResetPassword, Some(password)) => {
                match reset_password(&self.app, token, password, info).await {
                    Ok(()) => Ok(()),
                    Err(ResetError::Link(error)) => Err(error),
                    Err(ResetError::Hash(_)) => return BUSY,
                }
            }
        };
        match result {
            Ok(()) => (StatusCode::OK, Ending::Done),
            Err(LinkError::NotGood) => (StatusCode::BAD_REQUEST, Ending::NotGood),
            Err(LinkError::Asking(_) | LinkError::Db(_)) => BUSY,
        }
    }
}

fn ask(
    app: &App,
    purpose: LinkPurpose,
    locale: Locale,
    token: &str,
    words: PageWords,
    status: StatusCode,
) -> Response {
    let form = words::form(purpose, locale);
    let page = Page {
        language: locale.as_str(),
        service: app.mailer.service(),
        words,
        wrong: status != StatusCode::OK,
        form: Some(Form {
            action: purpose.page(),
            token,
            button: form.button,
            password: Some(form.password).filter(|label| !label.is_empty()),
        }),
    };
    http_pages::render(status, &page)
}

/// A member of a form, cut to what can be meant.
fn member(form: &[u8], name: &str) -> String {
    let mut members = form_urlencoded::parse(form);
    let value = members.find(|(key, _)| key == name).map(|(_, value)| value);
    value
        .unwrap_or_default()
        .chars()
        .take(MAX_MEMBER_CHARS)
        .collect()
}

const BUSY: (StatusCode, Ending) = (StatusCode::SERVICE_UNAVAILABLE, Ending::Busy);
/// One more than the longest password, which is longer than a link.
const MAX_MEMBER_CHARS: usize = 129;
