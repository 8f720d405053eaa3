//! `cargo xtask bench`: what the issuer reaches, each figure as a ratio to something measured in
//! alternation with it, on the real program and a real PostgreSQL.

mod load;
mod login;
mod server;

use anyhow::{Result, bail};

use crate::workspace::Workspace;

/// Runs the benchmarks of these names, or all; fails when one does not reach its figure.
pub fn run(workspace: &Workspace, names: &[&str]) -> Result<()> {
    if let Some(unknown) = names.iter().find(|name| **name != "login") {
        bail!("there is no benchmark {unknown}; there is: login");
    }
    login::run(workspace)
}
