//! `cargo xtask dev`: builds everything, starts it, and stops it on Ctrl-C.

mod edge_service;
mod interrupt;
mod service;
mod services;

use std::net::TcpListener;
use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::{Result, bail};

use crate::demo;
use crate::edge;
use crate::issuer;
use crate::setup;
use crate::tour;
use crate::ui;
use crate::workspace::Workspace;
use interrupt::Interrupt;
use services::{PORTS, Running};

/// What to do once everything runs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Then {
    /// Serve until Ctrl-C.
    Wait,
    /// Walk the main job and stop.
    Tour(tour::Output),
}

/// Starts the whole system, with its data in `data_dir`, and does what was asked.
pub fn run(workspace: &Workspace, data_dir: &Path, then: Then) -> Result<()> {
    let toolbox = setup::ensure(workspace, setup::TO_RUN)?;
    check_ports()?;
    ui::heading(
        "build",
        "compiles the issuer, a backend and the edge worker; long only the first time",
    );
    issuer::build(workspace)?;
    demo::build(workspace)?;
    edge::build(workspace, &toolbox)?;
    let interrupt = Interrupt::listen()?;
    ui::heading(
        "start",
        "a database of its own, the issuer, the edge, a backend to protect and a stand-in for Stripe",
    );
    let mut running = Running::new(data_dir)?;
    let result = start_and_serve(workspace, &toolbox, &interrupt, &mut running, then);
    ui::heading(
        "stop",
        "ends what was started; the data stays for the next time",
    );
    running.stop(&interrupt)?;
    result
}

fn start_and_serve(
    workspace: &Workspace,
    toolbox: &setup::Toolbox,
    interrupt: &Interrupt,
    running: &mut Running,
    then: Then,
) -> Result<()> {
    running.start(workspace, toolbox, interrupt, then == Then::Wait)?;
    match then {
        Then::Wait => wait(running, interrupt),
        Then::Tour(output) => tour::run(workspace, output),
    }
}

fn wait(running: &mut Running, interrupt: &Interrupt) -> Result<()> {
    println!("{TRY_NEXT}");
    while !interrupt.is_set() {
        running.check_alive()?;
        thread::sleep(POLL);
    }
    Ok(())
}

/// Before anything is built or started: the message should not have to be looked for.
fn check_ports() -> Result<()> {
    let taken: Vec<_> = PORTS.iter().filter(|(port, _)| is_taken(*port)).collect();
    for (port, what) in &taken {
        eprintln!("port {port} on 127.0.0.1, which {what} needs, is in use");
    }
    if taken.is_empty() {
        return Ok(());
    }
    bail!("stop what listens there (another `cargo xtask dev`?), then run this again");
}

fn is_taken(port: u16) -> bool {
    TcpListener::bind(("127.0.0.1", port)).is_err()
}

const TRY_NEXT: &str = r#"
try next, in another terminal
  curl -s http://127.0.0.1:3001/api/v1/auth/register -H 'content-type: application/json' \
       -d '{"email": "ada@example.com", "password": "a long enough password"}'
  curl -s http://127.0.0.1:3001/api/v1/auth/login -H 'content-type: application/json' \
       -d '{"email": "ada@example.com", "password": "a long enough password"}'
  TOKEN=<the accessToken of that answer>
  curl -s http://127.0.0.1:8787/api/hello -H "authorization: Bearer $TOKEN"
  curl -si http://127.0.0.1:8787/api/paid/hello -H "authorization: Bearer $TOKEN"   # costs a credit
  curl -s http://127.0.0.1:3001/api/v1/credits/balance -H "authorization: Bearer $TOKEN"
  curl -s http://127.0.0.1:3001/api/v1/auth/logout -X POST -H "authorization: Bearer $TOKEN"
  curl -s http://127.0.0.1:8787/api/hello -H "authorization: Bearer $TOKEN"    # refused

  curl -s http://127.0.0.1:3001/api/v1/credits/checkout -H "authorization: Bearer $TOKEN" \
       -H 'content-type: application/json' \
       -d '{"packageId": "small", "successUrl": "http://127.0.0.1:3001/docs", "cancelUrl": "http://127.0.0.1:3001/docs"}'
                                                      # open its url and pay with one click

  pages: http://127.0.0.1:3001/docs, http://127.0.0.1:3001/dev/mailbox,
         http://127.0.0.1:12111 (refunds, disputes)
  Ctrl-C stops everything and keeps the data
"#;

const POLL: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn port_somebody_listens_on_is_taken() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(is_taken(port));
        drop(listener);
        assert!(!is_taken(port));
    }
}
