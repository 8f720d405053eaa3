//! The load balancer in front of issuers, for the proof of rolling restarts.

use std::process::Command;

use anyhow::{Result, bail};

use super::apt;
use crate::process;
use crate::ui;

/// Makes sure that `haproxy` is on the `PATH`.
pub fn balancer() -> Result<()> {
    if let Some(version) = version() {
        ui::line("HAProxy", &format!("{version} present"));
        return Ok(());
    }
    if apt::install("HAProxy", &["haproxy"])? && version().is_some() {
        return Ok(());
    }
    bail!(
        "there is no haproxy for the proof of rolling restarts: install HAProxy 2.4 or newer (Debian: apt-get \
         install haproxy)"
    )
}

fn version() -> Option<String> {
    let text = process::capture(Command::new("haproxy").arg("-v")).ok()?;
    parse_version(&text).map(str::to_owned)
}

/// `HAProxy version 2.6.12-1+deb12u2 2025/04/28 - …` → `2.6.12-1+deb12u2`.
fn parse_version(text: &str) -> Option<&str> {
    text.strip_prefix("HAProxy version ")?
        .split_whitespace()
        .next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_is_read_from_what_the_balancer_prints() {
        let text = "HAProxy version 2.6.12-1+deb12u2 2025/04/28 - https://haproxy.org/\nStatus: ";
        assert_eq!(parse_version(text), Some("2.6.12-1+deb12u2"));
        assert_eq!(parse_version("something else"), None);
    }
}
