//! The server that issuers share limits through. Only tests need it here.

use std::process::Command;

use anyhow::{Result, bail};

use super::apt;
use crate::process;
use crate::ui;

/// Makes sure that `redis-server` is on the `PATH`.
pub fn server() -> Result<()> {
    if let Some(version) = version() {
        ui::line("Redis", &format!("{version} present"));
        return Ok(());
    }
    if apt::install("Redis", &["redis-server"])? && version().is_some() {
        return Ok(());
    }
    bail!(
        "there is no redis-server for the tests of shared limits: install Redis 6 or newer (Debian: \
         apt-get install redis-server), or set REDIS_SERVER_BIN to its program"
    )
}

fn version() -> Option<String> {
    let named = std::env::var_os("REDIS_SERVER_BIN");
    let program = named.unwrap_or_else(|| "redis-server".into());
    let text = process::capture(Command::new(program).arg("--version")).ok()?;
    parse_version(&text).map(str::to_owned)
}

/// `Redis server v=7.0.15 sha=…` → `7.0.15`.
fn parse_version(text: &str) -> Option<&str> {
    let mut words = text.split_whitespace();
    words.find_map(|word| word.strip_prefix("v="))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_is_read_from_what_the_server_prints() {
        let text = "Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64";
        assert_eq!(parse_version(text), Some("7.0.15"));
        assert_eq!(parse_version("something else"), None);
    }
}
