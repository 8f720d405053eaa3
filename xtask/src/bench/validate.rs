//! Validation of access tokens, against an empty handler that parses the same body.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::json;

use super::chains::{self, TokenMaker};
use super::crowd::{Client, Heard, drive};
use super::figures::{Figure, Goal, conclude, decimal, ratio};
use super::limit::{self, Limit};
use super::load;
use super::pgbench::Database;
use super::pid;
use super::server::Server;
use crate::setup::{self, Tool};
use crate::ui;
use crate::workspace::Workspace;

/// Measures in alternation and compares.
pub fn run(workspace: &Workspace) -> Result<()> {
    let toolbox = setup::ensure(workspace, &[Tool::Node, Tool::Postgres])?;
    ui::heading(
        "bench validate",
        "validation against an empty handler that parses the same body",
    );
    let (issuer, empty) = limit::build(workspace)?;
    let server = Server::start(workspace, &toolbox, &issuer)?;
    let limit = Limit::start(workspace, &empty)?;
    ui::line("tokens", &format!("{N_TOKENS} are signed first"));
    let tokens = sign(&server)?;
    let crowd = |url: &str, path| Validating::crowd(url, path, &tokens);
    let mut ours = crowd(&server.url, "/api/v1/auth/validate");
    let mut empty = crowd(&limit.url, "/parse");
    ui::line(
        "load",
        &format!("{ROUNDS} rounds of {} s for each figure", LASTING.as_secs()),
    );
    let mut ratios = Vec::new();
    for number in 1..=ROUNDS {
        let before = [
            pid::busy_ms(server.process())?,
            pid::busy_ms(limit.process())?,
        ];
        let ours = drive(&server.url, &mut ours, LASTING)?;
        let empty = drive(&limit.url, &mut empty, LASTING)?;
        let after = [
            pid::busy_ms(server.process())?,
            pid::busy_ms(limit.process())?,
        ];
        let micros = |i: usize, heard: &Heard| (after[i] - before[i]) * 1000 / heard.n_answers();
        let of_limit = ratio(ours.rate(), empty.rate());
        let text = format!(
            "{} of an empty handler; processor time {} and {} µs",
            decimal(of_limit),
            micros(0, &ours),
            micros(1, &empty)
        );
        ui::line(&format!("round {number}"), &text);
        ratios.push(of_limit);
    }
    let figure = Figure {
        name: "validations ÷ empty handler".into(),
        ratios,
        goal: Goal::AtLeast(600),
    };
    conclude(workspace, "validate", &[figure])
}

/// Access tokens of as many sessions.
fn sign(server: &Server) -> Result<Vec<String>> {
    let database = Database::of(server.data_dir())?;
    chains::write(&database, N_TOKENS)?;
    let maker = TokenMaker::of(server.data_dir())?;
    let mut client = load::Client::connect(&server.url)?;
    let mut refresh = |session| {
        let body = json!({ "refreshToken": maker.first(session) });
        let answer = client.post("/auth/refresh", &body, 200)?;
        load::member(&answer, "accessToken")
    };
    (0..N_TOKENS).map(&mut refresh).collect()
}

/// A client that shows its own tokens, one after the other.
struct Validating {
    requests: Vec<Vec<u8>>,
    next: usize,
}

impl Validating {
    fn crowd(url: &str, path: &str, tokens: &[String]) -> Vec<Self> {
        let host = url.trim_start_matches("http://");
        let request = |token: &String| {
            let body = format!("{{\"token\":\"{token}\"}}");
            let head = format!(
                "POST {path} HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\n\
                 content-length: {}\r\n\r\n",
                body.len()
            );
            (head + &body).into_bytes()
        };
        let parts = tokens.chunks(tokens.len().div_ceil(N_CLIENTS));
        let client = |part: &[String]| Self {
            requests: part.iter().map(request).collect(),
            next: 0,
        };
        parts.map(client).collect()
    }
}

impl Client for Validating {
    fn ask(&mut self, request: &mut Vec<u8>) {
        request.extend_from_slice(&self.requests[self.next]);
        self.next = (self.next + 1) % self.requests.len();
    }

    fn hear(&mut self, status: u16, body: &str) -> Result<()> {
        ensure!(
            status == 200 && body.contains("\"valid\":true"),
            "a token that is valid was refused"
        );
        Ok(())
    }
}

/// Odd, so that there is a median.
const ROUNDS: usize = 5;
const LASTING: Duration = Duration::from_secs(5);
const N_CLIENTS: usize = 16;
/// More than anything would remember.
const N_TOKENS: usize = 12_288;
