//! People who use the issuer and remember what they were told: what was acknowledged, what was
//! refused, and what nobody knows because no answer came.

use serde_json::{Value, json};

use super::PASSWORD;
use super::client::{Client, Reply};
use super::rng::Rng;

/// One person.
pub struct Person {
    email: String,
    app: String,
    /// Sign-ins that were acknowledged and not ended.
    sessions: Vec<Session>,
    /// Refresh tokens of sign-ins whose end was acknowledged.
    ended: Vec<String>,
    writes: Vec<Write>,
    /// Mails asked for: acknowledged, and perhaps.
    n_mails: (usize, usize),
    /// What was counted on the way.
    pub counts: Counts,
    /// What must not have happened, in words.
    pub findings: Vec<String>,
}

#[derive(Clone)]
struct Session {
    access: String,
    refresh: String,
}

/// A change of the ledger with a key of its own.
struct Write {
    path: String,
    body: Value,
    /// What was answered; nothing when nobody knows.
    answer: Option<Value>,
    kind: Kind,
}

enum Kind {
    Use,
    Hold,
    /// Of the hold of that write.
    Capture(usize),
    Release(usize),
}

/// How it went.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// Answered as it should be.
    pub n_acknowledged: u64,
    /// No whole answer, or 503.
    pub n_unknown: u64,
}

impl Person {
    /// Registers until it is acknowledged, which proves that an unknown registration is there once
    /// or not at all.
    pub fn register(client: &Client, name: &str) -> Option<Self> {
        let mut person = Self {
            email: format!("{name}@example.com"),
            app: format!("app-{name}"),
            sessions: Vec::new(),
            ended: Vec::new(),
            writes: Vec::new(),
            n_mails: (0, 0),
            counts: Counts::default(),
            findings: Vec::new(),
        };
        let mut in_doubt = false;
        for _ in 0..MOST_TRIES {
            let reply = client.post("/auth/register", "", &person.credentials());
            match person.judge("register", reply, &[201, 409]) {
                Some(reply) if reply.status == 201 => {
                    person.is_own("register", &reply, "/user/email");
                    return Some(person);
                }
                Some(_) if in_doubt => return Some(person),
                Some(reply) => person.find(&format!("register: {} without a reason", reply.status)),
                None => in_doubt = true,
            }
        }
        None
    }

    /// Does one thing, by chance.
    pub fn act(&mut self, client: &Client, rng: &mut Rng) {
        if self.sessions.is_empty() {
            return self.login(client);
        }
        match rng.below(20) {
            0 if self.sessions.len() < 3 => self.login(client),
            1 if self.sessions.len() > 1 => self.logout(client, rng),
            // Who asks again within a minute gets no second one.
            2 if self.n_mails.0 == 0 && self.n_mails.1 < MOST_MAILS => self.ask_for_mail(client),
            0..=6 => self.refresh(client, rng),
            7..=11 => self.spend(client, rng),
            12..=14 => self.hold(client, rng),
            15..=16 => self.end_hold(client, rng),
            17..=18 => self.read(client, "/api/v1/auth/me", "/user/email", rng),
            _ => self.read(client, "/api/v1/credits/balance", "", rng),
        }
    }

    fn login(&mut self, client: &Client) {
        let reply = client.post("/auth/login", "", &self.credentials());
        if let Some(reply) = self.judge("login", reply, &[200]) {
            self.is_own("login", &reply, "/user/email");
            self.sessions.push(session(&reply));
        }
    }

    fn refresh(&mut self, client: &Client, rng: &mut Rng) {
        let number = rng.below(self.sessions.len());
        let body = json!({ "refreshToken": self.sessions[number].refresh });
        let reply = client.post("/auth/refresh", "", &body);
        // When no answer came the token that is still held stays good.
        if let Some(reply) = self.judge("refresh", reply, &[200]) {
            self.sessions[number] = session(&reply);
        }
    }

    fn logout(&mut self, client: &Client, rng: &mut Rng) {
        let session = self.sessions.remove(rng.below(self.sessions.len()));
        let reply = client.post("/auth/logout", &session.access, &json!({}));
        // Of one that is in doubt nothing can be said afterwards.
        if self.judge("logout", reply, &[200]).is_some() {
            self.ended.push(session.refresh);
        }
    }

    fn ask_for_mail(&mut self, client: &Client) {
        let reply = client.post("/auth/forgot-password", "", &json!({ "email": self.email }));
        match self.judge("forgot-password", reply, &[202]) {
            Some(_) => self.n_mails.0 += 1,
            None => self.n_mails.1 += 1,
        }
    }

    fn spend(&mut self, client: &Client, rng: &mut Rng) {
        let body = json!({"amount": 1 + rng.below(9), "appId": self.app, "description": "work",
            "idempotencyKey": self.next_key()});
        self.write(client, "/credits/use".into(), body, Kind::Use);
    }

    fn hold(&mut self, client: &Client, rng: &mut Rng) {
        let body = json!({"amount": 10 + rng.below(9), "appId": self.app,
            "expiresInSeconds": 3600, "idempotencyKey": self.next_key()});
        self.write(client, "/credits/holds".into(), body, Kind::Hold);
    }

    /// Captures part of a hold that was acknowledged, or releases it.
    fn end_hold(&mut self, client: &Client, rng: &mut Rng) {
        let is_ended = |number: usize| {
            self.writes.iter().any(
                |write| matches!(write.kind, Kind::Capture(n) | Kind::Release(n) if n == number),
            )
        };
        let open = self.writes.iter().enumerate().find(|(number, write)| {
            matches!(write.kind, Kind::Hold) && write.answer.is_some() && !is_ended(*number)
        });
        let Some((number, write)) = open else { return };
        let id = text(write.answer.as_ref(), "/hold/id");
        let key = self.next_key();
        if rng.below(2) == 0 {
            let body = json!({"amount": 4, "final": true, "idempotencyKey": key});
            let path = format!("/credits/holds/{id}/capture");
            self.write(client, path, body, Kind::Capture(number));
        } else {
            let path = format!("/credits/holds/{id}/release");
            self.write(
                client,
                path,
                json!({"idempotencyKey": key}),
                Kind::Release(number),
            );
        }
    }

    fn read(&mut self, client: &Client, path: &str, pointer: &str, rng: &mut Rng) {
        let number = rng.below(self.sessions.len());
        let reply = client.get(path, &self.sessions[number].access);
        if let Some(reply) = self.judge(path, reply, &[200])
            && !pointer.is_empty()
        {
            self.is_own(path, &reply, pointer);
        }
    }

    fn write(&mut self, client: &Client, path: String, body: Value, kind: Kind) {
        let token = self.sessions[0].access.clone();
        let reply = client.post(&path, &token, &body);
        let reply = self.judge(&path, reply, &[200, 201]);
        if let Some(reply) = &reply {
            self.answers_the_question(&path, &body, &reply.body);
        }
        let answer = reply.map(|reply| reply.body);
        self.writes.push(Write {
            path,
            body,
            answer,
            kind,
        });
    }

    /// What came back speaks of what was asked, and of nobody else's.
    fn answers_the_question(&mut self, path: &str, body: &Value, answer: &Value) {
        let app = ["/transaction/appId", "/hold/appId"]
            .iter()
            .find_map(|pointer| answer.pointer(pointer)?.as_str());
        if app.is_some_and(|app| app != self.app) {
            self.find(&format!("{path} answered with another's: {answer}"));
        }
        let charged = answer
            .pointer("/transaction/amount")
            .and_then(Value::as_i64);
        let asked = body["amount"].as_i64();
        if charged.is_some() && charged.map(i64::abs) != asked {
            self.find(&format!("{path} of {asked:?} answered {charged:?}"));
        }
    }

    /// When everything is well again: what was acknowledged is there, once, and everything that is
    /// in doubt is there once when it is asked for again.
    pub fn check(&mut self, client: &Client, n_mails: usize, bonus: i64) {
        for session in std::mem::take(&mut self.sessions) {
            let reply = client.post(
                "/auth/refresh",
                "",
                &json!({"refreshToken": session.refresh}),
            );
            if reply.as_ref().map(|reply| reply.status) != Some(200) {
                self.find(&format!(
                    "a session that was acknowledged is gone: {reply:?}"
                ));
            }
        }
        for refresh in std::mem::take(&mut self.ended) {
            let reply = client.post("/auth/refresh", "", &json!({ "refreshToken": refresh }));
            let code = reply.as_ref().map(|reply| reply.text("/code").to_owned());
            if code.as_deref() != Some("session_revoked") {
                self.find(&format!("a session that was ended answers {reply:?}"));
            }
        }
        self.login(client);
        if self.sessions.is_empty() {
            return self.find("registered, and cannot sign in");
        }
        self.ask_again(client);
        self.compare_balance(client, bonus);
        let (sure, perhaps) = self.n_mails;
        if n_mails < sure || n_mails > sure + perhaps {
            self.find(&format!(
                "{sure} mails were acknowledged, {perhaps} are in doubt, {n_mails} were written"
            ));
        }
    }

    /// Each change with the same key again: the same answer, or now the first.
    fn ask_again(&mut self, client: &Client) {
        let token = self.sessions[0].access.clone();
        for number in 0..self.writes.len() {
            let write = &self.writes[number];
            let reply = client.post(&write.path, &token, &write.body);
            let Some(reply) = reply.filter(|reply| matches!(reply.status, 200 | 201)) else {
                let path = write.path.clone();
                self.find(&format!("{path} does not answer when it is asked again"));
                continue;
            };
            let same = |before: &Value| {
                ["/transaction", "/hold/id"]
                    .iter()
                    .all(|pointer| before.pointer(pointer) == reply.body.pointer(pointer))
            };
            if write.answer.as_ref().is_some_and(|before| !same(before)) {
                let before = write.answer.clone().unwrap_or_default();
                self.find(&format!(
                    "{before} was acknowledged, and now it is {}",
                    reply.body
                ));
            }
            self.writes[number].answer = Some(reply.body);
        }
    }

    fn compare_balance(&mut self, client: &Client, bonus: i64) {
        let (mut spent, mut held) = (0, 0);
        for (number, write) in self.writes.iter().enumerate() {
            let amount = write.body["amount"].as_i64().unwrap_or(0);
            match write.kind {
                Kind::Use | Kind::Capture(_) => spent += amount,
                Kind::Release(_) => {}
                Kind::Hold => {
                    let is_ended = self.writes.iter().any(|other| {
                        matches!(other.kind, Kind::Capture(n) | Kind::Release(n) if n == number)
                    });
                    held += if is_ended { 0 } else { amount };
                }
            }
        }
        let reply = client.get("/api/v1/credits/balance", &self.sessions[0].access);
        let found =
            reply.map(|reply| (reply.body["balance"].as_i64(), reply.body["held"].as_i64()));
        let expected = (Some(bonus - spent - held), Some(held));
        if found != Some(expected) {
            self.find(&format!(
                "the balance should be {expected:?} and is {found:?}"
            ));
        }
    }

    /// How many mails were asked for and acknowledged.
    pub fn n_mails_acknowledged(&self) -> usize {
        self.n_mails.0
    }

    /// Their address.
    pub fn email(&self) -> &str {
        &self.email
    }

    /// The whole answer if it is one of these; nothing when nobody knows. Anything else is a finding.
    fn judge(&mut self, what: &str, reply: Option<Reply>, expected: &[u16]) -> Option<Reply> {
        match reply {
            Some(reply) if expected.contains(&reply.status) => {
                self.counts.n_acknowledged += 1;
                Some(reply)
            }
            Some(reply) if reply.status != 503 => {
                self.find(&format!("{what} answered {}: {}", reply.status, reply.body));
                None
            }
            Some(reply) if !reply.has_retry_after => {
                self.find(&format!("{what} answered 503 without Retry-After"));
                None
            }
            _ => {
                self.counts.n_unknown += 1;
                None
            }
        }
    }

    fn is_own(&mut self, what: &str, reply: &Reply, pointer: &str) {
        let found = reply.text(pointer);
        if found != self.email {
            let found = found.to_owned();
            self.find(&format!("{what} answered with another's: {found}"));
        }
    }

    fn find(&mut self, what: &str) {
        self.findings.push(format!("{}: {what}", self.email));
    }

    fn next_key(&self) -> String {
        format!("{}-{}", self.app, self.writes.len())
    }

    fn credentials(&self) -> Value {
        json!({ "email": self.email, "password": PASSWORD })
    }
}

fn session(reply: &Reply) -> Session {
    Session {
        access: reply.text("/accessToken").to_owned(),
        refresh: reply.text("/refreshToken").to_owned(),
    }
}

fn text(answer: Option<&Value>, pointer: &str) -> String {
    let found = answer.and_then(|answer| answer.pointer(pointer)?.as_str());
    found.unwrap_or_default().to_owned()
}

/// A registration that is not answered so often has hit something that does not pass.
const MOST_TRIES: usize = 60;
/// Below the ten that an account gets in a day.
const MOST_MAILS: usize = 8;
