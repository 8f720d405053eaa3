//! An issuer on loopback that tests control: how it answers, what it has revoked, and the clock.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use poem::http::{StatusCode, Uri};
use poem::listener::{Acceptor, Listener, TcpListener};
use poem::{Response, Server, endpoint};
use shared_claims::fetch::{Clock, EdgeVerifier, RemoteVerifier, Sources};
use shared_claims::sign::SigningKey;
use shared_claims::{
    AccessClaims, EdgeAssertion, KeySet, Policy, RevocationDocument, UnixMillis, UnixTime,
    hash_prefix,
};

/// A Friday in November 2026.
pub const START_SECS: u64 = 1_795_000_000;

/// Where the gateway of the tests publishes its keys: one server plays both.
pub const EDGE_KEYS: &str = "/.well-known/edge-jwks.json";

/// An issuer, and the time.
pub struct Issuer {
    pub url: String,
    clock: Arc<AtomicU64>,
    state: Arc<Mutex<State>>,
}

struct State {
    key: SigningKey,
    feed_key: SigningKey,
    published_feed_key: [u8; 32],
    revoked: Vec<&'static str>,
    requests: Vec<String>,
    is_away: bool,
    redirects: bool,
    padding: usize,
}

impl Issuer {
    /// One that answers as it should.
    pub async fn start() -> Self {
        let feed_key = signing_key(2);
        let state = Arc::new(Mutex::new(State {
            key: signing_key(1),
            published_feed_key: *feed_key.public_key(),
            feed_key,
            revoked: Vec::new(),
            requests: Vec::new(),
            is_away: false,
            redirects: false,
            padding: 0,
        }));
        let clock = Arc::new(AtomicU64::new(START_SECS));
        let acceptor = TcpListener::bind("127.0.0.1:0")
            .into_acceptor()
            .await
            .expect("a port is free");
        let address: SocketAddr = *acceptor.local_addr()[0]
            .as_socket_addr()
            .expect("it is TCP");
        let url = format!("http://{address}");
        let (answering, time, name) = (Arc::clone(&state), Arc::clone(&clock), url.clone());
        let app = endpoint::make_sync(move |request| {
            let now = UnixTime::from_secs(time.load(Ordering::SeqCst));
            answering
                .lock()
                .expect("nobody panics")
                .answer(&name, request.uri(), now)
        });
        tokio::spawn(Server::new_with_acceptor(acceptor).run(app));
        Self { url, clock, state }
    }

    /// A verifier of its tokens, with its revocations.
    pub fn verifier(&self) -> RemoteVerifier {
        self.verifier_from(Sources::of_issuer(&self.url).expect("it is loopback"))
    }

    /// The same without revocations.
    pub fn verifier_of_keys(&self) -> RemoteVerifier {
        let jwks = format!("{}/.well-known/jwks.json", self.url);
        self.verifier_from(Sources::keys(&jwks).expect("it is loopback"))
    }

    fn verifier_from(&self, sources: Sources) -> RemoteVerifier {
        let time = Arc::clone(&self.clock);
        let clock: Clock =
            Arc::new(move || UnixMillis::from_millis(time.load(Ordering::SeqCst) * 1000));
        // Who is second is told that there is one.
        drop(rustls::crypto::ring::default_provider().install_default());
        RemoteVerifier::with_clock(Policy::new(self.url.clone(), "orders"), sources, clock)
            .expect("this machine has a client")
    }

    /// A verifier of the gateway's assertions to the backend `orders`.
    pub fn edge_verifier(&self) -> EdgeVerifier {
        let time = Arc::clone(&self.clock);
        let clock: Clock =
            Arc::new(move || UnixMillis::from_millis(time.load(Ordering::SeqCst) * 1000));
        drop(rustls::crypto::ring::default_provider().install_default());
        let policy = Policy::new("tollgate-edge", "orders");
        EdgeVerifier::with_clock(policy, &format!("{}{EDGE_KEYS}", self.url), clock)
            .expect("this machine has a client")
    }

    /// The gateway's assertion that `GET target` is for the backend `orders`, by the key of this
    /// number; the published one has number 4.
    pub fn assertion(&self, key: u8, target: &str) -> String {
        let now = UnixTime::from_secs(self.clock.load(Ordering::SeqCst));
        signing_key(key).sign_assertion(&EdgeAssertion {
            iss: "tollgate-edge".into(),
            backend: "orders".into(),
            sub: Some("user-1".into()),
            sid: None,
            role: None,
            jti: "request-1".into(),
            iat: now,
            exp: now.plus_secs(60),
            method: "GET".into(),
            target: target.into(),
        })
    }

    pub fn set_clock(&self, secs: u64) {
        self.clock.store(secs, Ordering::SeqCst);
    }

    /// A good token of this session.
    pub fn token(&self, sid: &str) -> String {
        self.token_for("orders", sid)
    }

    pub fn token_for(&self, audience: &str, sid: &str) -> String {
        self.token_of_role("user", audience, sid)
    }

    pub fn token_of_role(&self, role: &str, audience: &str, sid: &str) -> String {
        let now = self.clock.load(Ordering::SeqCst);
        self.state().key.sign_access_token(&AccessClaims {
            iss: self.url.clone(),
            sub: "user-1".into(),
            aud: vec![audience.into()],
            exp: UnixTime::from_secs(now + 900),
            nbf: None,
            iat: UnixTime::from_secs(now),
            jti: "token-1".into(),
            sid: sid.into(),
            email: None,
            email_verified: None,
            role: Some(role.into()),
            act: None,
        })
    }

    pub fn revoke(&self, sid: &'static str) {
        self.state().revoked.push(sid);
    }

    pub fn sign_feed_with_another_key(&self) {
        self.state().feed_key = signing_key(3);
    }

    pub fn go_away(&self, is_away: bool) {
        self.state().is_away = is_away;
    }

    pub fn redirect(&self, redirects: bool) {
        self.state().redirects = redirects;
    }

    pub fn pad_keys(&self, padding: usize) {
        self.state().padding = padding;
    }

    pub fn count(&self, path: &str) -> usize {
        let state = self.state();
        state.requests.iter().filter(|asked| *asked == path).count()
    }

    pub fn requests(&self) -> usize {
        self.state().requests.len()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics")
    }
}

impl State {
    fn answer(&mut self, issuer: &str, uri: &Uri, now: UnixTime) -> Response {
        self.requests.push(uri.path().into());
        if self.is_away {
            return StatusCode::SERVICE_UNAVAILABLE.into();
        }
        if self.redirects {
            let to = format!("{issuer}/elsewhere");
            return Response::builder()
                .status(StatusCode::FOUND)
                .header("location", to)
                .finish();
        }
        match uri.path() {
            "/.well-known/jwks.json" => document(*self.key.public_key(), self.padding),
            EDGE_KEYS => document(*signing_key(4).public_key(), 0),
            "/.well-known/feed-jwks.json" => document(self.published_feed_key, 0),
            "/.well-known/revocations" => self.feed(issuer, now).into(),
            _ => StatusCode::NOT_FOUND.into(),
        }
    }

    fn feed(&self, issuer: &str, now: UnixTime) -> String {
        let mut document = RevocationDocument {
            iss: issuer.into(),
            epoch: 1,
            seq: 1 + self.revoked.len() as u64,
            as_of: now,
            iat: now,
            deny_kids: Vec::new(),
            sids: self.revoked.iter().map(|sid| hash_prefix(sid)).collect(),
            subs: Vec::new(),
            reject_before: None,
            base: None,
        };
        document.normalise();
        self.feed_key.sign_revocations(&document)
    }
}

fn document(public_key: [u8; 32], padding: usize) -> Response {
    let keys = KeySet::from_public_keys([public_key]).expect("it is a key");
    (keys.to_json() + &" ".repeat(padding)).into()
}

fn signing_key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&[seed; 32]).expect("it is not zero")
}
