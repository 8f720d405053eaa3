//! `edge.toml` in, configuration or a list of mistakes out.

use toml::de::DeTable;

use super::problem::Notes;
use super::reader::{At, Table};
use super::{Config, Problem, keys, resolve};

/// Checks the text of an `edge.toml`.
///
/// # Errors
/// Every mistake that was found, in the order of the lines.
pub fn check(text: &str) -> Result<Config, Vec<Problem>> {
    let notes = Notes::new(text);
    let config = parse(text, &notes);
    let problems = notes.into_sorted();
    match config {
        Some(config) if problems.is_empty() => Ok(config),
        _ => Err(problems),
    }
}

fn parse(text: &str, notes: &Notes) -> Option<Config> {
    if text.len() > MAX_BYTES {
        let what = format!("the file is longer than {MAX_BYTES} bytes");
        notes.add(1, what, "split the gateway into several Workers");
        return None;
    }
    match DeTable::parse(text) {
        Ok(root) => read(root.get_ref(), notes),
        Err(error) => {
            let offset = error.span().map_or(0, |span| span.start);
            let line = notes.line_at(offset);
            let what = format!("not TOML: {}", error.message());
            notes.add(line, what, "correct the syntax; toml.io describes it");
            None
        }
    }
}

fn read<'a>(root: &'a DeTable<'a>, notes: &'a Notes) -> Option<Config> {
    let file = Table::document(root, &["issuer", "edge", "defaults", "route"], notes);
    let issuer = file.table("issuer", keys::ISSUER_KEYS);
    if issuer.is_none() {
        file.note(
            1,
            "there is no [issuer]",
            "add [issuer] with url and audience",
        );
    }
    let defaults = file.table("defaults", &keys::ROUTE_KEYS[N_ROUTE_ONLY_KEYS..]);
    let routes = file.tables("route", keys::ROUTE_KEYS);
    if routes.is_empty() || routes.len() > MAX_ROUTES {
        let what = format!("the file has {} routes", routes.len());
        file.note(1, what, format!("write 1 to {MAX_ROUTES} [[route]] tables"));
    }
    let issuer = issuer.map(|table| At::new(table.line, keys::issuer(&table)));
    let edge = file.table("edge", keys::EDGE_KEYS);
    let edge = edge.map(|table| keys::edge(&table)).unwrap_or_default();
    let defaults = defaults
        .map(|table| keys::rules(&table))
        .unwrap_or_default();
    resolve::config(
        &file,
        issuer,
        edge,
        &defaults,
        routes.iter().map(keys::route).collect(),
    )
}

/// `id`, `path` and `host` stand first in the list of a route's keys.
const N_ROUTE_ONLY_KEYS: usize = 3;
/// Far above any hand-written file, far below what would slow an isolate's start.
const MAX_BYTES: usize = 512 * 1024;
/// Routes are tried one after the other on every request.
const MAX_ROUTES: usize = 500;
