//! Migrations only add: the version before runs on the same schema while issuers are restarted one
//! after the other (docs/scaling.md).
//!
//! A statement that takes something away is the contract step of a change whose other steps were
//! released before. It says so in a comment on the line above: `-- contract: unused since 1.4`.

use super::Finding;
use super::source::Source;

/// Looks through the migrations that came after this rule.
pub fn check(sources: &[Source]) -> Vec<Finding> {
    let migrations = sources
        .iter()
        .filter(|source| source.path.starts_with("migrations/") && is_young(&source.path));
    migrations
        .flat_map(|source| narrowings(&source.path, &source.text))
        .collect()
}

/// Those before have landed and may not change any more.
fn is_young(path: &str) -> bool {
    let number = path.trim_start_matches("migrations/").get(..4);
    number
        .and_then(|digits| digits.parse::<u32>().ok())
        .is_some_and(|number| number >= FIRST_CHECKED)
}

fn narrowings(path: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut is_marked = false;
    for (number, line) in (1..).zip(text.lines()) {
        let (code, comment) = line.split_once("--").unwrap_or((line, ""));
        is_marked |= comment.trim_start().starts_with("contract:");
        let code = code.split_whitespace().collect::<Vec<_>>().join(" ");
        if code.is_empty() {
            continue;
        }
        // `alter column name type text`: what stands between is the column.
        let code = without_column(&code);
        let taken = NARROWING.iter().find(|words| has_words(&code, words));
        if let Some(words) = taken.filter(|_| !is_marked) {
            findings.push(Finding {
                file: path.to_owned(),
                line: number,
                problem: format!(
                    "`{words}` takes away what the version before may use: expand first, and mark the later step \
                     with `-- contract: why nobody uses it` on the line above"
                ),
            });
        }
        is_marked = false;
    }
    findings
}

/// The line without the name behind `alter column`, and with one way to say `type`.
fn without_column(code: &str) -> String {
    let code = code.to_ascii_lowercase().replace("set data type", "type");
    match code.split_once("alter column ") {
        Some((before, after)) => {
            let rest = after.split_once(' ').map_or("", |(_, rest)| rest);
            format!("{before}alter column {rest}")
        }
        None => code,
    }
}

/// Whether the words stand in the line one after the other, as words.
fn has_words(code: &str, words: &str) -> bool {
    let code = format!(" {} ", code.replace([';', ','], " "));
    code.contains(&format!(" {words} "))
}

/// What narrows a schema. A dropped constraint, trigger, policy or index refuses nothing to anybody.
const NARROWING: [&str; 12] = [
    "drop table",
    "drop column",
    "drop view",
    "drop schema",
    "drop type",
    "drop function",
    "drop default",
    "rename to",
    "rename column",
    "set not null",
    "alter column type",
    "truncate",
];
/// The first migration after the rule.
const FIRST_CHECKED: u32 = 25;

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(sql: &str) -> Vec<usize> {
        let found = narrowings("migrations/0099_x.sql", sql);
        found.into_iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn what_takes_away_is_found_and_what_adds_is_not() {
        for sql in [
            "drop table auth.old;",
            "alter table auth.users drop column name;",
            "alter table auth.users\n  rename column name to label;",
            "alter table auth.users alter column name set not null,",
            "alter table auth.users alter column name type varchar(10);",
            "alter table auth.users alter column name set data type text;",
            "DROP  FUNCTION auth.f(text);",
        ] {
            assert_eq!(lines(sql).len(), 1, "{sql}");
        }
        for sql in [
            "create table auth.new (id bigint not null);",
            "alter table auth.users add column label text;",
            "alter table auth.users drop constraint users_name_form;",
            "-- drop table is for later",
            "create or replace function auth.f() returns void",
        ] {
            assert!(lines(sql).is_empty(), "{sql}");
        }
    }

    #[test]
    fn mark_counts_for_the_statement_below_it_only() {
        let sql = "-- contract: unused since 1.4\ndrop table auth.old;\ndrop table auth.other;";
        assert_eq!(lines(sql), [3]);
    }

    #[test]
    fn migrations_from_before_the_rule_are_left_alone() {
        assert!(!is_young("migrations/0024_holds_of_services.sql"));
        assert!(is_young("migrations/0025_next.sql"));
        assert!(!is_young("migrations/README.md"));
    }
}
