//! The issuer's environment variables: what the code reads, what `.env.example` names and what the
//! documentation explains must be the same.

use std::collections::BTreeMap;

use super::Finding;
use super::source::Source;

/// Compares the three.
pub fn check(sources: &[Source]) -> Vec<Finding> {
    let read = read_by_code(sources);
    let mut findings = Vec::new();
    for path in DESCRIPTIONS {
        let Some(source) = sources.iter().find(|source| source.path == path) else {
            findings.push(missing(path));
            continue;
        };
        findings.extend(compare(source, &read));
    }
    findings
}

fn compare(source: &Source, read: &BTreeMap<String, (String, usize)>) -> Vec<Finding> {
    let described = described_in(source);
    let unknown = described
        .iter()
        .filter(|(name, _)| !read.contains_key(*name));
    let undescribed = read
        .iter()
        .filter(|(name, _)| !described.contains_key(*name));
    unknown
        .map(|(name, line)| source.finding(*line, format!("{name} is read by no code")))
        .chain(undescribed.map(|(name, (file, line))| {
            source.finding(1, format!("{name} is missing; {file}:{line} reads it"))
        }))
        .collect()
}

/// Every literal in the configuration that is a variable's name, with the place of the first.
fn read_by_code(sources: &[Source]) -> BTreeMap<String, (String, usize)> {
    let mut names = BTreeMap::new();
    for source in sources
        .iter()
        .filter(|source| READERS.iter().any(|r| source.path.starts_with(r)))
    {
        let n_lines = source.product_code().count();
        for (number, line) in (1..).zip(source.text.lines()).take(n_lines) {
            if line.trim_start().starts_with("//") {
                continue;
            }
            for name in line
                .split('"')
                .skip(1)
                .step_by(2)
                .filter(|literal| is_name(literal))
            {
                names
                    .entry(name.to_owned())
                    .or_insert((source.path.clone(), number));
            }
        }
    }
    names
}

/// `NAME=value` or `# NAME=value` in the example; `` `NAME` `` first in a row of a table.
fn described_in(source: &Source) -> BTreeMap<String, usize> {
    let name_in = |line: &str| {
        let name = match line.strip_prefix("| `") {
            Some(row) => row.split('`').next(),
            None => line
                .trim_start_matches(['#', ' '])
                .split_once('=')
                .map(|(name, _)| name),
        };
        name.filter(|name| is_name(name)).map(str::to_owned)
    };
    let lines = (1..).zip(source.text.lines());
    lines
        .filter_map(|(number, line)| Some((name_in(line)?, number)))
        .collect()
}

/// At least four characters, so that `GET` is none; capitals, digits and underscores.
fn is_name(text: &str) -> bool {
    text.len() >= 4
        && text.starts_with(|c: char| c.is_ascii_uppercase())
        && text
            .chars()
            .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
}

fn missing(path: &str) -> Finding {
    let problem = "is missing: it names every environment variable of the issuer".to_owned();
    Finding {
        file: path.to_owned(),
        line: 1,
        problem,
    }
}

const DESCRIPTIONS: [&str; 2] = [".env.example", "docs/configuration.md"];
/// Where the issuer reads its environment.
const READERS: [&str; 2] = ["issuer/src/config/", "issuer/src/cli/mod.rs"];

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(example: &str, docs: &str) -> Vec<Source> {
        let code = "//! Doc.\n// \"NOT_READ\"\nfn a() { read(\"BASE_URL\"); read(\"RUST_LOG\"); m(\"GET\"); }\n\
            #[cfg(test)]\nmod tests { fn b() { read(\"TEST_ONLY\"); } }\n";
        vec![
            Source::new("issuer/src/config/http.rs", code.to_owned()),
            Source::new(".env.example", example.to_owned()),
            Source::new("docs/configuration.md", docs.to_owned()),
        ]
    }

    const DOCS: &str = "| variable |\n| --- |\n| `BASE_URL` | where |\n| `RUST_LOG` | what |\n";

    #[test]
    fn equal_sets_have_no_findings() {
        assert_eq!(
            check(&sources("BASE_URL=x\n# RUST_LOG=info\n# free text\n", DOCS)),
            []
        );
    }

    #[test]
    fn missing_and_unknown_names_are_found_in_either_file() {
        let found = check(&sources("BASE_URL=x\nBASE_UR=1\n", DOCS));
        let told: Vec<_> = found.iter().map(ToString::to_string).collect();
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told[0].starts_with(".env.example:2: BASE_UR "), "{told:?}");
        assert!(
            told[1].contains("RUST_LOG is missing; issuer/src/config/http.rs:3"),
            "{told:?}"
        );
        let found = check(&sources("BASE_URL=x\nRUST_LOG=x\n", "| `BASE_URL` | x |\n"));
        assert_eq!(found.len(), 1);
    }

    #[test]
    fn missing_file_is_found() {
        let only_code = sources("", "").into_iter().take(1).collect::<Vec<_>>();
        assert_eq!(check(&only_code).len(), DESCRIPTIONS.len());
    }
}
