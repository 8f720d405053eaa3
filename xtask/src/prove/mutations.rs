//! Takes each rule of the ledger out of the database in turn: the tests must notice each time.

use std::process::Command;

use anyhow::{Result, ensure};

use crate::embedded_server;
use crate::process;
use crate::setup::Toolbox;
use crate::sqlx;
use crate::ui;
use crate::workspace::Workspace;

/// Runs the tests of the ledger once for each rule, from that with the number `PROVE_FROM` on: they
/// take an hour, and a run that was cut short is gone on with.
pub fn prove(workspace: &Workspace, toolbox: &Toolbox) -> Result<Vec<String>> {
    let rules = list(workspace, toolbox)?;
    ensure!(rules.len() > 50, "only {} rules were found", rules.len());
    for suite in SUITES {
        let mut command = super::tests(workspace, toolbox);
        let passes = process::succeeds(command.args(*suite));
        ensure!(passes, "{suite:?} fails with every rule in place");
    }
    let from: usize = super::number("PROVE_FROM")?.unwrap_or(1);
    let mut unnoticed = Vec::new();
    for (number, (name, sql)) in rules.iter().enumerate().skip(from.saturating_sub(1)) {
        let noticed = SUITES.iter().any(|suite| {
            let mut command = super::tests(workspace, toolbox);
            command.args(*suite).env("PROVE_MUTATION", sql);
            !process::succeeds(&mut command)
        });
        let verdict = if noticed { "noticed" } else { "NOT noticed" };
        ui::line(
            &format!("{}/{}", number + 1, rules.len()),
            &format!("{name}: {verdict}"),
        );
        if !noticed {
            unnoticed.push(name.as_str());
        }
    }
    ensure!(
        unnoticed.is_empty(),
        "no test misses: {}",
        unnoticed.join(", ")
    );
    Ok(vec![format!(
        "{} of {} rules are missed when they are gone",
        rules.len() - from.saturating_sub(1),
        rules.len()
    )])
}

/// Each rule with the statement that takes it out.
fn list(workspace: &Workspace, toolbox: &Toolbox) -> Result<Vec<(String, String)>> {
    let runner = sqlx::build_runner(workspace)?;
    let mut command = Command::new(runner);
    toolbox.equip(&mut command);
    command
        .arg(embedded_server::of_tests(workspace))
        .args([
            "sh",
            "-c",
            r#"psql -XAtF "$1" -c "$2" "$DATABASE_URL""#,
            "sh",
        ])
        .args([SEPARATOR, RULES]);
    let text = process::capture(&mut command)?;
    let pair = |line: &str| {
        let (name, sql) = line.split_once(SEPARATOR)?;
        Some((name.to_owned(), sql.to_owned()))
    };
    Ok(text.lines().filter_map(pair).collect())
}

/// The quick ones first: most rules are missed there.
const SUITES: &[&[&str]] = &[
    &["credits::rules::"],
    &["credits::tables::", "::attacks::"],
    &["webhooks::events::", "gifts::addressed::"],
    &["credits::", "purchases::"],
];
const SEPARATOR: &str = "\u{1f}";

/// Constraints, unique indexes and triggers from the catalogues; the rules inside the functions
/// that check rows, and the locks inside the others, by their text.
const RULES: &str = r"
with functions as (
  select p.oid, p.proname, p.prosrc from pg_proc p
   where p.pronamespace = 'credits'::regnamespace and p.prosrc <> ''),
edits as (
  select f.oid, 'rule ' || m[2] as name, m[1] as found, 'null' as instead
    from functions f, regexp_matches(f.prosrc, '(perform credits.refuse_row\(''[a-z_]+'', ''([a-z_]+)''\))', 'g') m
  union all
  select f.oid, 'rule ' || m[2], m[1], 'then null'
    from functions f, regexp_matches(f.prosrc, '(then ''((?:accounts|credit_grants)_[a-z_]+)'')', 'g') m
  union all
  select f.oid, 'lock of ' || f.proname, m[1], ''
    from functions f, regexp_matches(f.prosrc, '(for (?:no key )?update(?: skip locked)?)', 'g') m
   group by 1, 2, 3)
select 'constraint ' || conname, format('alter table %s drop constraint %I cascade', conrelid::regclass, conname)
  from pg_constraint
 where connamespace = 'credits'::regnamespace and conrelid <> 0 and contype in ('c', 'f', 'p', 'u', 'x')
union all
select 'index ' || i.relname, format('drop index credits.%I', i.relname)
  from pg_index x join pg_class i on i.oid = x.indexrelid
 where i.relnamespace = 'credits'::regnamespace and x.indisunique
   and not exists (select from pg_constraint c where c.conindid = x.indexrelid)
union all
select 'trigger ' || t.tgname, format('drop trigger %I on %s', t.tgname, t.tgrelid::regclass)
  from pg_trigger t join pg_class c on c.oid = t.tgrelid
 where c.relnamespace = 'credits'::regnamespace and not t.tgisinternal
union all
select e.name, format('do $m$ begin execute replace(pg_get_functiondef(%L::regprocedure), %L, %L); end $m$',
                      e.oid::regprocedure, e.found, e.instead)
  from edits e
order by 1";
