//! Users and sessions by the thousand, written by SQL, and the refresh tokens that belong to them.
//!
//! A sign-in costs what a password's hash costs, so a hundred thousand of them would take an hour.
//! The tokens are made as the issuer makes them, from the master key of its data directory.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use base64ct::{Base64, Base64UrlUnpadded, Encoding};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use super::crowd::{Client, text_of};
use super::pgbench::Database;

/// Writes so many users, each with one session.
pub fn write(database: &Database, n_users: usize) -> Result<()> {
    database.run(&WRITE.replace("N_USERS", &n_users.to_string()))
}

/// Fails unless all sessions together were refreshed exactly so often.
pub fn demand_rotations(database: &Database, n_rotations: u64) -> Result<()> {
    let script =
        format!("select 1 / (sum(counter) = {n_rotations})::integer from auth.sessions;\n");
    let counted = database.run(&script);
    counted.context("the database counts other rotations than the clients were answered")
}

/// Makes the first refresh tokens of the sessions.
pub struct TokenMaker {
    key: [u8; 32],
}

impl TokenMaker {
    /// Reads the master key of a development data directory.
    pub fn of(data_dir: &Path) -> Result<Self> {
        let text = fs::read_to_string(data_dir.join("master-key"))?;
        let master_key = Base64::decode_vec(text.trim());
        let master_key = master_key.map_err(|_| anyhow::anyhow!("not a master key"))?;
        // HKDF-SHA256 (RFC 5869): extracted without a salt, expanded to one block.
        let extracted = mac(&[0; 32], &[&master_key]);
        Ok(Self {
            key: mac(&extracted, &[b"tollgate/1/refresh-tokens", &[1]]),
        })
    }

    /// The first token of the session with this number.
    pub fn first(&self, number: usize) -> String {
        let mut body = vec![VERSION];
        body.extend(half_digest("session", number));
        body.extend([0; 8]);
        body.extend(half_digest("nonce", number));
        body.extend(mac(&self.key, &[&body]));
        format!("tgr_{}", Base64UrlUnpadded::encode_string(&body))
    }
}

fn half_digest(what: &str, number: usize) -> [u8; 16] {
    let digest = Sha256::digest(format!("{what}{number}"));
    let half = digest.first_chunk();
    *half.expect("a digest of SHA-256 has more bytes")
}

fn mac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// A client that refreshes its own sessions, one after the other.
pub struct Refreshing {
    host: String,
    chains: Vec<String>,
    next: usize,
}

impl Refreshing {
    /// So many clients that share out the sessions with these numbers.
    pub fn crowd(
        url: &str,
        maker: &TokenMaker,
        n_clients: usize,
        sessions: impl Iterator<Item = usize>,
    ) -> Vec<Self> {
        let host = url.trim_start_matches("http://").to_owned();
        let mut clients: Vec<_> = (0..n_clients)
            .map(|_| Self {
                host: host.clone(),
                chains: Vec::new(),
                next: 0,
            })
            .collect();
        for (i, session) in sessions.enumerate() {
            clients[i % n_clients].chains.push(maker.first(session));
        }
        clients
    }
}

impl Client for Refreshing {
    fn ask(&mut self, request: &mut Vec<u8>) {
        let chain = &self.chains[self.next];
        let length = chain.len() + r#"{"refreshToken":""}"#.len();
        let text = format!(
            "POST /api/v1/auth/refresh HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\n\
             content-length: {length}\r\n\r\n{{\"refreshToken\":\"{chain}\"}}",
            self.host
        );
        request.extend_from_slice(text.as_bytes());
    }

    fn hear(&mut self, status: u16, body: &str) -> Result<()> {
        ensure!(status == 200, "a refresh was refused");
        let access_token = text_of(body, "accessToken")?;
        ensure!(access_token.split('.').count() == 3, "no access token");
        let chain = &mut self.chains[self.next];
        let successor = text_of(body, "refreshToken")?;
        ensure!(
            successor != chain && successor.get(..SESSION_CHARS) == chain.get(..SESSION_CHARS),
            "the successor is not another token of the same session"
        );
        successor.clone_into(chain);
        self.next = (self.next + 1) % self.chains.len();
        Ok(())
    }
}

const VERSION: u8 = 1;
/// `tgr_`, and what is the same in all tokens of a session: 22 characters hold the version and all
/// but four bits of the session's id.
const SESSION_CHARS: usize = 4 + 22;
/// Triggers and foreign keys rest meanwhile; every constraint of a row is checked. The password is
/// that of the first user of all, who has registered.
const WRITE: &str = "set session_replication_role = replica;
insert into auth.users (id, email, name, password_hash, password_set_at, created_at, updated_at)
  select 'benchbenchbench' || lpad(n::text, 6, '0'), 'many' || n || '@example.com', 'many',
         (select u.password_hash from auth.users u where u.email = 'user0@example.com'), now(), now(), now()
    from generate_series(0, N_USERS - 1) n;
insert into auth.sessions
  (id, user_id, nonce_hash, created_at, authenticated_at, last_used_at,
   access_expires_at, expires_at, absolute_expires_at)
  select translate(rtrim(encode(substring(sha256(convert_to('session' || n, 'UTF8')) for 16), 'base64'), '='), '+/', '-_'),
         'benchbenchbench' || lpad(n::text, 6, '0'),
         sha256(substring(sha256(convert_to('nonce' || n, 'UTF8')) for 16)),
         now(), now(), now(), now() + interval '15 minutes', now() + interval '7 days', now() + interval '30 days'
    from generate_series(0, N_USERS - 1) n;
set session_replication_role = origin;
vacuum analyze;
checkpoint;
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_of_sessions_have_the_length_of_the_issuers() {
        let maker = TokenMaker { key: [7; 32] };
        let [a, b] = [maker.first(0), maker.first(1)];
        assert_eq!([a.len(), b.len()], [4 + 98, 4 + 98]);
        assert_ne!(a[..SESSION_CHARS], b[..SESSION_CHARS]);
    }
}
