//! Cookie mode: a browser keeps the tokens where scripts of the page cannot read them.
//!
//! `?mode=cookie` at a sign-in sets two `__Host-` cookies: the refresh token, which only the
//! issuer reads, and the access token, which the gateway's cookie routes read. The refresh token
//! is then not in the body. What a cookie alone authorises needs an `Origin` that is the issuer's
//! own or listed in `CORS_ORIGINS`: no other page can make the browser do it (CSRF).

use std::sync::Arc;

use poem::http::{HeaderMap, HeaderValue, header};
use poem::{FromRequest, Request, RequestBody, Result};
use poem_openapi::payload::{Json, Response};
use poem_openapi::types::{ParseFromJSON, ToJSON};
use poem_openapi::{Enum, types::Type};
use url::Url;

use super::problem::{Problem, ProblemCode, Public, Refusal};
use crate::app::App;
use crate::secret::SecretText;
use crate::sessions::Tokens;

/// How a client wants its tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename = "SignInMode", rename_all = "lowercase")]
pub enum SignInMode {
    /// In the body, for the app to keep.
    Body,
    /// In cookies, for the browser to keep.
    Cookie,
}

/// What a browser sends along by itself.
#[derive(Debug)]
pub struct Browser {
    refresh_token: Option<SecretText>,
    origin_is_ours: bool,
    refresh_ttl_secs: i32,
}

/// Where the tokens of an answer go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// Into the body.
    Body,
    /// Into cookies that live this long.
    Cookies {
        /// `Max-Age` of the refresh cookie.
        refresh_ttl_secs: i32,
    },
}

impl Browser {
    /// Where the tokens of a sign-in go.
    ///
    /// # Errors
    /// `forbidden` when cookies are asked for by a page of an origin that is not listed: a page
    /// must not sign its visitors in as somebody else.
    pub fn delivery(&self, mode: Option<SignInMode>) -> Result<Delivery, Problem> {
        match mode {
            None | Some(SignInMode::Body) => Ok(Delivery::Body),
            Some(SignInMode::Cookie) => {
                self.demand_origin()?;
                Ok(self.cookies())
            }
        }
    }

    /// The refresh token in the cookie, for an act that it alone authorises.
    ///
    /// # Errors
    /// `forbidden` when the page's origin is missing or not listed.
    pub fn refresh_token(&self) -> Result<Option<&SecretText>, Problem> {
        if self.refresh_token.is_some() {
            self.demand_origin()?;
        }
        Ok(self.refresh_token.as_ref())
    }

    /// The refresh token in the cookie, whoever caused the request: authorises nothing.
    pub fn held_token(&self) -> Option<&SecretText> {
        self.refresh_token.as_ref()
    }

    /// Into cookies.
    pub fn cookies(&self) -> Delivery {
        Delivery::Cookies {
            refresh_ttl_secs: self.refresh_ttl_secs,
        }
    }

    fn demand_origin(&self) -> Result<(), Problem> {
        match self.origin_is_ours {
            true => Ok(()),
            false => Err(Problem::with_detail(
                ProblemCode::Forbidden,
                "A request that uses cookies needs the Origin of the issuer or one listed in CORS_ORIGINS.",
            )),
        }
    }
}

impl Delivery {
    /// The refresh token as the body shows it: not at all beside cookies.
    pub fn shown(self, tokens: &Tokens) -> Option<String> {
        (self == Self::Body).then(|| tokens.refresh_token.expose().into())
    }

    /// The cookies to set.
    pub fn set_cookies(self, tokens: &Tokens) -> Vec<String> {
        let Self::Cookies { refresh_ttl_secs } = self else {
            return Vec::new();
        };
        vec![
            cookie(REFRESH, tokens.refresh_token.expose(), refresh_ttl_secs),
            cookie(ACCESS, tokens.access_token.expose(), tokens.expires_in_secs),
        ]
    }
}

/// An answer with cookies beside it.
pub fn with_cookies<T: Type + ToJSON + ParseFromJSON>(
    body: T,
    cookies: Vec<String>,
) -> Response<Json<T>> {
    cookies
        .into_iter()
        .fold(Response::new(Json(body)), |answer, cookie| {
            answer.header(header::SET_COOKIE, cookie)
        })
}

/// Makes the browser forget both cookies: the same attributes, or it would keep them.
pub fn forget_cookies() -> Vec<String> {
    vec![cookie(REFRESH, "", 0), cookie(ACCESS, "", 0)]
}

/// Adds [`forget_cookies`] to a refusal.
pub fn forgetting(problem: Problem) -> Problem {
    forget_cookies().iter().fold(problem, |problem, cookie| {
        match HeaderValue::from_str(cookie) {
            Ok(value) => problem.with_header(header::SET_COOKIE, value),
            Err(_) => problem,
        }
    })
}

fn cookie((name, same_site): (&str, &str), value: &str, max_age_secs: i32) -> String {
    format!(
        "{name}={value}; Max-Age={max_age_secs}; Path=/; Secure; HttpOnly; SameSite={same_site}"
    )
}

impl<'a> FromRequest<'a> for Browser {
    async fn from_request(request: &'a Request, _: &mut RequestBody) -> Result<Self> {
        let app: Option<&Arc<App>> = request.data();
        let app =
            app.ok_or_else(|| Refusal::<Public>::from(Problem::new(ProblemCode::Internal)))?;
        Ok(Self {
            refresh_token: find_cookie(request.headers(), REFRESH.0),
            origin_is_ours: origin_is_ours(app, request.headers()),
            refresh_ttl_secs: app.config.tokens.refresh_ttl_secs,
        })
    }
}

/// The value of a cookie; `None` when it is there twice, which no browser does to `__Host-`.
fn find_cookie(headers: &HeaderMap, name: &str) -> Option<SecretText> {
    let mut values = headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(found, value)| *found == name && !str::is_empty(value))
        .map(|(_, value)| value);
    let value = values.next()?;
    values
        .next()
        .is_none()
        .then(|| SecretText::new(value.into()))
}

fn origin_is_ours(app: &App, headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(header::ORIGIN).iter();
    let (Some(origin), None) = (
        values.next().and_then(|value| value.to_str().ok()),
        values.next(),
    ) else {
        return false;
    };
    let http = &app.config.http;
    let own = Url::parse(&http.base_url).map(|url| url.origin().ascii_serialization());
    own.is_ok_and(|own| own == origin) || http.cors_origins.iter().any(|listed| listed == origin)
}

/// Never leaves the issuer's own requests: Strict keeps it from any other site's.
const REFRESH: (&str, &str) = ("__Host-tollgate_refresh", "Strict");
/// Also sent when a link leads here, so that a page behind the gateway opens signed in.
const ACCESS: (&str, &str) = ("__Host-tollgate_access", "Lax");

#[cfg(test)]
mod tests {
    use super::*;

    fn found(headers: &[&'static str]) -> Option<String> {
        let mut map = HeaderMap::new();
        for value in headers {
            map.append(header::COOKIE, HeaderValue::from_static(value));
        }
        find_cookie(&map, "__Host-a").map(|value| value.expose().to_owned())
    }

    #[test]
    fn a_cookie_is_found_among_others_and_never_guessed() {
        assert_eq!(found(&["b=1; __Host-a=x; c=2"]).as_deref(), Some("x"));
        assert_eq!(found(&["b=1", "__Host-a=x"]).as_deref(), Some("x"));
        for headers in [
            &["b=1"][..],
            &["__Host-a="],
            &["__Host-ab=x"],
            &["x__Host-a=x"],
            &["__Host-a=x; __Host-a=y"],
            &["__Host-a=x", "__Host-a=y"],
        ] {
            assert_eq!(found(headers), None, "{headers:?}");
        }
    }

    #[test]
    fn a_cookie_is_forgotten_with_the_attributes_it_was_set_with() {
        let set = cookie(REFRESH, "secret", 60);
        let attributes = |text: &str| text.split_once("; Path").expect("attributes").1.to_owned();
        assert_eq!(attributes(&set), attributes(&forget_cookies()[0]));
        assert_eq!(
            set,
            "__Host-tollgate_refresh=secret; Max-Age=60; Path=/; Secure; HttpOnly; SameSite=Strict"
        );
    }
}
