//! Better Auth in Node, on another database of the same PostgreSQL.

use std::path::PathBuf;
use std::process::Child;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};

use super::crowd::{Client, text_of};
use super::pgbench::Database;
use super::server::start_listening;
use crate::http;
use crate::setup::Toolbox;
use crate::workspace::Workspace;

/// A running Better Auth, stopped when dropped.
pub struct BetterAuth {
    child: Child,
    /// Where it answers.
    pub url: String,
}

impl BetterAuth {
    /// Starts `bench/better-auth/server.mjs`, which makes its tables, and waits until it answers.
    pub fn start(workspace: &Workspace, toolbox: &Toolbox, database: &Database) -> Result<Self> {
        let packages: PathBuf = workspace.tools.join("better-auth/node_modules");
        let log = workspace.target.join("bench-better-auth.log");
        let mut command = toolbox.command("node");
        command
            .arg(workspace.root.join("bench/better-auth/server.mjs"))
            .env("BETTER_AUTH_PACKAGES", packages)
            .env("NODE_ENV", "production")
            .envs(database.variables());
        let (child, url) = start_listening(&mut command, &log)?;
        let peer = Self { child, url };
        let began = Instant::now();
        let ready = format!("{}/api/auth/ok", peer.url);
        while !http::get(&ready).is_ok_and(|answer| answer.status == 200) {
            if began.elapsed() > START_WITHIN {
                bail!("Better Auth is not ready, see {}", log.display());
            }
            thread::sleep(Duration::from_millis(100));
        }
        Ok(peer)
    }

    /// The process.
    pub fn process(&self) -> &Child {
        &self.child
    }
}

impl Drop for BetterAuth {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Writes so many users, each with one session, as the tables of Better Auth hold them.
pub fn write(database: &Database, n_users: usize) -> Result<()> {
    database.run(&WRITE.replace("N_USERS", &n_users.to_string()))
}

/// A client that asks for access tokens of its own sessions, one after the other.
pub struct Asking {
    host: String,
    /// The numbers of its sessions: every so many-th, from its own on.
    next: usize,
    step: usize,
    n_sessions: usize,
    last: String,
}

impl Asking {
    /// So many clients that share out the sessions.
    pub fn crowd(url: &str, n_clients: usize, n_sessions: usize) -> Vec<Self> {
        let client = |number| Self {
            host: url.trim_start_matches("http://").to_owned(),
            next: number,
            step: n_clients,
            n_sessions,
            last: String::new(),
        };
        (0..n_clients).map(client).collect()
    }
}

impl Client for Asking {
    fn ask(&mut self, request: &mut Vec<u8>) {
        let text = format!(
            "GET /api/auth/token HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {TOKEN_PREFIX}{:06}\r\n\r\n",
            self.host, self.next
        );
        request.extend_from_slice(text.as_bytes());
        self.next = (self.next + self.step) % self.n_sessions;
    }

    fn hear(&mut self, status: u16, body: &str) -> Result<()> {
        ensure!(status == 200, "a session was refused");
        let token = text_of(body, "token")?;
        ensure!(
            token.split('.').count() == 3 && token != self.last,
            "not another access token"
        );
        token.clone_into(&mut self.last);
        Ok(())
    }
}

const START_WITHIN: Duration = Duration::from_secs(60);
/// As long as those it makes itself, of which it looks up the whole.
const TOKEN_PREFIX: &str = "benchbenchbenchbenchbenchb";
const WRITE: &str = "insert into \"user\" (id, name, email, \"emailVerified\", \"createdAt\", \"updatedAt\")
  select 'bench' || n, 'many', 'many' || n || '@example.com', true, now(), now()
    from generate_series(0, N_USERS - 1) n;
insert into session (id, \"expiresAt\", token, \"createdAt\", \"updatedAt\", \"userId\")
  select 'bench' || n, now() + interval '7 days', 'benchbenchbenchbenchbenchb' || lpad(n::text, 6, '0'), now(), now(), 'bench' || n
    from generate_series(0, N_USERS - 1) n;
vacuum analyze;
checkpoint;
";
