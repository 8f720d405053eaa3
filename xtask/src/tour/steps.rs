//! The eight steps. Each sends real requests, says what came back, and fails the tour when that is
//! not what it should be.

use std::thread;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use super::printout::{Printout, shortened, varying};
use crate::http::{Answer, BACKEND, EDGE, ISSUER, send};

/// Walks all of them.
pub fn walk(out: &mut Printout) -> Result<()> {
    let mut tour = Tour::new(out)?;
    tour.register().context("register")?;
    tour.login().context("login")?;
    tour.call_through_the_edge()
        .context("call through the edge")?;
    tour.spend().context("spend")?;
    tour.refresh().context("refresh")?;
    tour.logout().context("logout")?;
    tour.call_is_refused().context("call refused")
}

struct Tour<'a> {
    out: &'a mut Printout,
    email: String,
    access_token: String,
    refresh_token: String,
}

impl<'a> Tour<'a> {
    /// A new person for each tour: the data of the last one is still there.
    fn new(out: &'a mut Printout) -> Result<Self> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
        let email = format!("ada.{:x}@example.com", now.as_millis());
        Ok(Self {
            out,
            email,
            access_token: String::new(),
            refresh_token: String::new(),
        })
    }

    fn register(&mut self) -> Result<()> {
        let body = json!({ "email": self.email, "password": PASSWORD, "name": "Ada" });
        let answer = post("/auth/register", None, &body)?;
        expect(&answer, 201)?;
        ensure!(
            answer.text("/user/email") == self.email,
            "another user: {}",
            answer.body
        );
        self.step(
            1,
            "register",
            &format!(
                "POST {}",
                varying_email("/api/v1/auth/register", &self.email)
            ),
        );
        self.result(&format!(
            "201  user {}, role {}",
            varying(answer.text("/user/id")),
            answer.text("/user/role")
        ));
        Ok(())
    }

    fn login(&mut self) -> Result<()> {
        let body = json!({ "email": self.email, "password": PASSWORD, "deviceName": "tour" });
        let answer = post("/auth/login", None, &body)?;
        expect(&answer, 200)?;
        self.keep_tokens(&answer)?;
        self.step(2, "login", "POST /api/v1/auth/login");
        let seconds = answer.number("/expiresIn").context("expiresIn")?;
        self.result(&format!(
            "200  access token {} for {seconds} s, refresh token {}",
            shortened(&self.access_token),
            shortened(&self.refresh_token)
        ));
        Ok(())
    }

    fn call_through_the_edge(&mut self) -> Result<()> {
        let bare = send("GET", &format!("{EDGE}{PROTECTED}"), &[], None)?;
        expect(&bare, 401)?;
        self.step(3, "call through the edge", &format!("GET {PROTECTED}"));
        self.result(&format!(
            "{}  without a token: {}",
            bare.status,
            bare.text("/code")
        ));
        let answer = call_edge(PROTECTED, &self.access_token)?;
        expect(&answer, 200)?;
        let user = answer.text("/identity/x-auth-user");
        ensure!(!user.is_empty(), "the backend saw no user: {}", answer.body);
        ensure!(
            answer.body["sawToken"] == json!(false),
            "the backend saw the token"
        );
        self.result(&format!(
            "{}  with it: the backend saw user {}, role {}, no token",
            answer.status,
            varying(user),
            answer.text("/identity/x-auth-role"),
        ));
        self.call_around_the_edge()
    }

    /// A backend that others can reach believes the edge's signature and no header, or verifies
    /// tokens for itself.
    fn call_around_the_edge(&mut self) -> Result<()> {
        let forged = send(
            "GET",
            &format!("{BACKEND}{PROTECTED}"),
            &[("x-auth-user", "root")],
            None,
        )?;
        expect(&forged, 401)?;
        let direct = format!("{BACKEND}/direct/hello");
        let bare = send("GET", &direct, &[], None)?;
        expect(&bare, 401)?;
        let bearer = format!("Bearer {}", self.access_token);
        let answer = send("GET", &direct, &[("authorization", &bearer)], None)?;
        expect(&answer, 200)?;
        self.result(&format!(
            "{}  around it: the backend verified the token itself, user {}",
            answer.status,
            varying(answer.text("/user")),
        ));
        Ok(())
    }

    fn spend(&mut self) -> Result<()> {
        let before = self.balance()?;
        let body = json!({ "amount": 10, "appId": "tour", "description": "one picture" });
        let first = self.use_credits(&body, "tour-1")?;
        expect(&first, 200)?;
        let again = self.use_credits(&body, "tour-1")?;
        expect(&again, 200)?;
        let id = "/transaction/id";
        ensure!(
            !first.text(id).is_empty() && first.text(id) == again.text(id),
            "charged twice"
        );
        let after = self.balance()?;
        ensure!(after == before - 10, "balance {before} became {after}");
        let too_much = json!({ "amount": 1000, "appId": "tour", "description": "a film" });
        let declined = self.use_credits(&too_much, "tour-2")?;
        expect(&declined, 402)?;
        self.step(4, "spend", "POST /api/v1/credits/use");
        self.result(&format!("200  10 credits: balance {before} → {after}"));
        self.result(&format!(
            "200  the same Idempotency-Key again: same transaction, balance {after}"
        ));
        self.result(&format!("402  1000 credits: {}", declined.text("/code")));
        self.pay_at_the_edge(after)
    }

    /// The edge holds the credits before it asks the backend, and spends them when it has answered.
    fn pay_at_the_edge(&mut self, before: i64) -> Result<()> {
        let answer = call_edge(PAID, &self.access_token)?;
        expect(&answer, 200)?;
        let after = self.balance()?;
        ensure!(after == before - 1, "balance {before} became {after}");
        self.result(&format!(
            "200  GET {PAID} through the edge, which charges for it: balance {before} → {after}"
        ));
        Ok(())
    }

    fn refresh(&mut self) -> Result<()> {
        let (access, refresh) = (self.access_token.clone(), self.refresh_token.clone());
        let answer = post("/auth/refresh", None, &json!({ "refreshToken": refresh }))?;
        expect(&answer, 200)?;
        self.keep_tokens(&answer)?;
        ensure!(
            self.refresh_token != refresh,
            "the refresh token did not change"
        );
        ensure!(
            self.access_token != access,
            "the access token did not change"
        );
        expect(&call_edge(PROTECTED, &self.access_token)?, 200)?;
        self.step(5, "refresh", "POST /api/v1/auth/refresh");
        self.result(&format!(
            "200  new access token {}, new refresh token {}; the old one is spent",
            shortened(&self.access_token),
            shortened(&self.refresh_token)
        ));
        Ok(())
    }

    fn logout(&mut self) -> Result<()> {
        let answer = post("/auth/logout", Some(&self.access_token), &json!({}))?;
        expect(&answer, 200)?;
        self.step(6, "logout", "POST /api/v1/auth/logout");
        self.result("200  the session is revoked; its access token would live on for minutes");
        Ok(())
    }

    /// Requests keep flowing, as they would from a client that has not noticed.
    fn call_is_refused(&mut self) -> Result<()> {
        let logged_out = Instant::now();
        let refused = loop {
            let answer = call_edge(PROTECTED, &self.access_token)?;
            let elapsed = logged_out.elapsed();
            match answer.status {
                401 => break answer,
                200 if elapsed <= REFUSAL_LIMIT => thread::sleep(CALL_PAUSE),
                status => bail!("answer {status} {} ms after logout", elapsed.as_millis()),
            }
        };
        let elapsed = logged_out.elapsed();
        ensure!(
            refused.text("/code") == "revoked",
            "refused, but as {}",
            refused.text("/code")
        );
        self.step(
            7,
            "call refused",
            &format!("GET {PROTECTED} with the same access token"),
        );
        self.result(&format!("401  {}", refused.text("/code")));
        self.step(
            8,
            "logout to refusal",
            &format!("{} (promised: 2 s)", varying(millis(elapsed))),
        );
        ensure!(
            elapsed <= REFUSAL_LIMIT,
            "the refusal came {} after logout",
            millis(elapsed)
        );
        Ok(())
    }

    fn keep_tokens(&mut self, answer: &Answer) -> Result<()> {
        for (pointer, kept) in [
            ("/accessToken", &mut self.access_token),
            ("/refreshToken", &mut self.refresh_token),
        ] {
            let token = answer.text(pointer);
            ensure!(!token.is_empty(), "the answer has no {pointer}");
            token.clone_into(kept);
        }
        Ok(())
    }

    fn balance(&self) -> Result<i64> {
        let bearer = format!("Bearer {}", self.access_token);
        let url = format!("{ISSUER}/api/v1/credits/balance");
        let answer = send("GET", &url, &[("authorization", &bearer)], None)?;
        expect(&answer, 200)?;
        answer
            .number("/balance")
            .context("the answer has no balance")
    }

    fn use_credits(&self, body: &Value, key: &str) -> Result<Answer> {
        let bearer = format!("Bearer {}", self.access_token);
        let headers = [("authorization", bearer.as_str()), ("idempotency-key", key)];
        send(
            "POST",
            &format!("{ISSUER}/api/v1/credits/use"),
            &headers,
            Some(body),
        )
    }

    fn step(&mut self, number: u32, name: &str, what: &str) {
        self.out
            .line(&format!("{number}  {name:<NAME_WIDTH$}{what}"));
    }

    fn result(&mut self, text: &str) {
        self.out
            .line(&format!("{:width$}{text}", "", width = 3 + NAME_WIDTH));
    }
}

fn call_edge(path: &str, token: &str) -> Result<Answer> {
    let bearer = format!("Bearer {token}");
    send(
        "GET",
        &format!("{EDGE}{path}"),
        &[("authorization", &bearer)],
        None,
    )
}

fn post(path: &str, token: Option<&str>, body: &Value) -> Result<Answer> {
    let bearer = token.map(|token| format!("Bearer {token}"));
    let headers: Vec<_> = bearer
        .iter()
        .map(|b| ("authorization", b.as_str()))
        .collect();
    send(
        "POST",
        &format!("{ISSUER}/api/v1{path}"),
        &headers,
        Some(body),
    )
}

fn expect(answer: &Answer, status: u16) -> Result<()> {
    ensure!(
        answer.status == status,
        "expected {status}, got {} {}",
        answer.status,
        answer.body
    );
    Ok(())
}

fn varying_email(path: &str, email: &str) -> String {
    format!("{path} as {}", varying(email))
}

fn millis(elapsed: Duration) -> String {
    format!("{} ms", elapsed.as_millis())
}

const PASSWORD: &str = "a long enough password";
/// A path that the shipped `edge.toml` protects.
const PROTECTED: &str = "/api/hello";
/// A path that costs a credit there.
const PAID: &str = "/api/paid/hello";
/// What the security design promises.
const REFUSAL_LIMIT: Duration = Duration::from_secs(2);
/// Twenty requests a second.
const CALL_PAUSE: Duration = Duration::from_millis(50);
/// The longest name and a gap.
const NAME_WIDTH: usize = 24;
