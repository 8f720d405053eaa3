//! The issuer as a relying party: a thin layer over `webauthn-rs`, which keeps its errors in.
//!
//! The library draws its challenges from the system's randomness itself.

use serde_json::Value;
use webauthn_rs::prelude::{
    AuthenticationResult, DiscoverableAuthentication, DiscoverableKey, Passkey,
    PasskeyAuthentication, PasskeyRegistration, PublicKeyCredential, RegisterPublicKeyCredential,
    Uuid, Webauthn, WebauthnBuilder,
};

use crate::config::PasskeyConfig;
use crate::secret::sha256;

/// Asks authenticators and checks their answers.
#[derive(Debug)]
pub struct RelyingParty(Webauthn);

/// A question: what the authenticator gets, and what we keep to check its answer.
pub struct Question {
    /// `publicKey` of the browser's call.
    pub options: Value,
    /// For us alone.
    pub state: Value,
}

/// A registered credential.
pub struct Registered {
    /// The authenticator's name for it.
    pub credential_id: Vec<u8>,
    /// Public key and what belongs to it.
    pub credential: Value,
    /// The signature counter.
    pub counter: i64,
}

/// Who registers.
pub struct Registrant<'a> {
    /// The user.
    pub user_id: &'a str,
    /// What the authenticator calls the account.
    pub email: &'a str,
    /// What it calls the person.
    pub name: &'a str,
    /// Credentials that the user has; an authenticator that holds one declines.
    pub existing: Vec<Vec<u8>>,
}

impl RelyingParty {
    /// `None` when the configuration is not one the library takes.
    pub fn new(config: &PasskeyConfig) -> Option<Self> {
        let mut builder = WebauthnBuilder::new(&config.rp_id, &config.origin).ok()?;
        for origin in &config.more_origins {
            builder = builder.append_allowed_origin(origin);
        }
        builder.build().ok().map(Self)
    }

    /// Asks an authenticator for a new credential that it can find by itself later.
    pub fn ask_to_register(&self, registrant: Registrant<'_>) -> Option<Question> {
        let (mut asked, state) = self
            .0
            .start_passkey_registration(
                user_handle(registrant.user_id),
                registrant.email,
                registrant.name,
                Some(registrant.existing),
            )
            .ok()?;
        let mut options = serde_json::to_value(&mut asked.public_key).ok()?;
        let selection = &mut options["authenticatorSelection"];
        selection["residentKey"] = "required".into();
        selection["requireResidentKey"] = true.into();
        question(options, &state)
    }

    /// Checks a new credential.
    pub fn check_registration(&self, state: Value, answer: Value) -> Option<Registered> {
        let state: PasskeyRegistration = serde_json::from_value(state).ok()?;
        let answer: RegisterPublicKeyCredential = serde_json::from_value(answer).ok()?;
        let passkey = self.0.finish_passkey_registration(&answer, &state).ok()?;
        let credential = serde_json::to_value(&passkey).ok()?;
        Some(Registered {
            credential_id: passkey.cred_id().clone(),
            counter: credential["cred"]["counter"].as_i64()?,
            credential,
        })
    }

    /// Asks whoever is there.
    pub fn ask_anyone(&self) -> Option<Question> {
        let (asked, state) = self.0.start_discoverable_authentication().ok()?;
        question(serde_json::to_value(&asked.public_key).ok()?, &state)
    }

    /// Checks the answer of somebody whose credential has been found.
    pub fn check_anyone(&self, state: Value, answer: &Assertion, stored: Value) -> Option<Updated> {
        let state: DiscoverableAuthentication = serde_json::from_value(state).ok()?;
        let passkey: Passkey = serde_json::from_value(stored).ok()?;
        let key = DiscoverableKey::from(&passkey);
        let result = self
            .0
            .finish_discoverable_authentication_v2(&answer.0, state, &key)
            .ok()?;
        updated(passkey, &result)
    }

    /// Asks for one of these credentials.
    pub fn ask_for(&self, stored: Vec<Value>) -> Option<Question> {
        let passkeys: Vec<Passkey> = stored
            .into_iter()
            .map(serde_json::from_value)
            .collect::<Result<_, _>>()
            .ok()?;
        let (asked, state) = self.0.start_passkey_authentication(&passkeys).ok()?;
        question(serde_json::to_value(&asked.public_key).ok()?, &state)
    }

    /// Checks the answer of one of the credentials that were asked for.
    pub fn check_asked(&self, state: Value, answer: &Assertion, stored: Value) -> Option<Updated> {
        let state: PasskeyAuthentication = serde_json::from_value(state).ok()?;
        let result = self
            .0
            .finish_passkey_authentication(&answer.0, &state)
            .ok()?;
        updated(serde_json::from_value(stored).ok()?, &result)
    }
}

/// The answer of an authenticator.
pub struct Assertion(PublicKeyCredential);

impl Assertion {
    /// Reads what the browser sends.
    pub fn parse(answer: Value) -> Option<Self> {
        serde_json::from_value(answer).ok().map(Self)
    }

    /// Which credential answers.
    pub fn credential_id(&self) -> &[u8] {
        self.0.get_credential_id()
    }

    /// Whether the authenticator says that the credential is this user's. It must when it was
    /// not told whom to look for.
    pub fn names(&self, user_id: &str) -> bool {
        self.0.get_user_unique_id() == Some(user_handle(user_id).as_bytes().as_slice())
    }
}

/// A credential after it was used.
pub struct Updated {
    /// What is stored from now on.
    pub credential: Value,
    /// The signature counter.
    pub counter: i64,
}

fn updated(mut passkey: Passkey, result: &AuthenticationResult) -> Option<Updated> {
    if !result.user_verified() {
        return None;
    }
    passkey.update_credential(result)?;
    Some(Updated {
        credential: serde_json::to_value(&passkey).ok()?,
        counter: i64::from(result.counter()),
    })
}

fn question(options: Value, state: &impl serde::Serialize) -> Option<Question> {
    Some(Question {
        options,
        state: serde_json::to_value(state).ok()?,
    })
}

/// The user as authenticators know them: says nothing to whoever reads it there.
fn user_handle(user_id: &str) -> Uuid {
    let digest = sha256(format!("tollgate passkey user 1\n{user_id}").as_bytes());
    let (handle, _) = digest
        .split_first_chunk::<16>()
        .expect("a SHA-256 digest has 32 bytes");
    Uuid::from_bytes(*handle)
}
