//! Tokens and the verdict on each.

mod accepted;
mod claims;
mod headers;
mod order;
mod payloads;
mod signatures;
mod structure;

use serde::{Deserialize, Serialize};

use crate::forge::{AUDIENCE, ISSUER, Members, NOW, header, jwk, key_set, other_jwk, signed};

#[derive(Clone, Serialize, Deserialize)]
pub struct Case {
    pub name: String,
    pub token: String,
    /// The key set as its issuer would send it.
    pub jwks: String,
    pub policy: Policy,
    /// Seconds since 1970.
    pub now: u64,
    /// `ok` or the code of the refusal.
    pub expected: String,
}

#[derive(Clone, Serialize, Deserialize)]
pub struct Policy {
    pub issuer: String,
    pub audience: String,
    /// Seconds.
    pub leeway: u64,
}

pub fn all() -> Vec<Case> {
    let tables = [
        accepted::cases(),
        structure::cases(),
        headers::cases(),
        signatures::cases(),
        payloads::cases(),
        claims::cases(),
        order::cases(),
    ];
    tables.into_iter().flatten().collect()
}

/// A token under the usual policy, at the usual time, with two keys published.
fn case(name: &str, token: impl Into<String>, expected: &str) -> Case {
    Case {
        name: name.to_owned(),
        token: token.into(),
        jwks: key_set(&[jwk(), other_jwk()]),
        policy: Policy {
            issuer: ISSUER.into(),
            audience: AUDIENCE.into(),
            leeway: 30,
        },
        now: NOW,
        expected: expected.to_owned(),
    }
}

/// The usual payload under this header, rightly signed.
fn with_header(name: &str, header: &Members, expected: &str) -> Case {
    case(
        name,
        signed(header.json(), crate::forge::claims().json()),
        expected,
    )
}

/// This payload under the usual header, rightly signed.
fn with_payload(name: &str, payload: impl AsRef<[u8]>, expected: &str) -> Case {
    case(name, signed(header().json(), payload), expected)
}

fn with_claims(name: &str, claims: &Members, expected: &str) -> Case {
    with_payload(name, claims.json(), expected)
}

impl Case {
    fn at(self, now: u64) -> Self {
        Self { now, ..self }
    }

    fn leeway(mut self, secs: u64) -> Self {
        self.policy.leeway = secs;
        self
    }

    fn keys(self, keys: &[Members]) -> Self {
        Self {
            jwks: key_set(keys),
            ..self
        }
    }
}
