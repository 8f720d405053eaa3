//! Rules for Rust: sizes, module documentation, who may name what.

use super::Finding;
use super::source::{Source, names};

/// Checks one Rust file.
pub fn check(source: &Source) -> Vec<Finding> {
    let mut findings = sizes(source);
    findings.extend(module_doc(source));
    findings.extend(allow_attributes(source));
    findings.extend(
        BOUNDARIES
            .iter()
            .flat_map(|boundary| boundary.check(source)),
    );
    findings
}

/// Tests are exempt: a table of a hundred cases is best read as one.
fn sizes(source: &Source) -> Vec<Finding> {
    let length = source.product_code().count();
    let mut findings: Vec<_> = long_functions(&source.code)
        .into_iter()
        .filter(|(line, ..)| *line <= length)
        .map(|(line, name, length)| {
            let problem =
                format!("`{name}` has {length} lines, {MAX_FUNCTION_LINES} fit a screen: split it");
            source.finding(line, problem)
        })
        .collect();
    if length > MAX_FILE_LINES {
        let problem =
            format!("{length} lines without tests, {MAX_FILE_LINES} at most: split the file");
        findings.push(source.finding(MAX_FILE_LINES + 1, problem));
    }
    findings
}

fn module_doc(source: &Source) -> Option<Finding> {
    let first = source
        .text
        .lines()
        .find(|line| !line.is_empty() && !line.starts_with("#!"));
    let documented = source.is_test() || first.is_some_and(|line| line.starts_with("//!"));
    (!documented).then(|| source.finding(1, "no module documentation: begin the file with `//!`"))
}

fn allow_attributes(source: &Source) -> Vec<Finding> {
    let has_allow = |line: &str| line.contains("#[allow") || line.contains("#![allow");
    let lines = (1..)
        .zip(source.code.lines())
        .filter(|(_, line)| has_allow(line));
    lines
        .map(|(number, _)| {
            source.finding(
                number,
                "`allow` hides a lint for ever: use `#[expect(…, reason = \"…\")]`",
            )
        })
        .collect()
}

/// Names that only some files of a folder may use.
struct Boundary {
    /// Where the rule holds.
    folder: &'static str,
    /// What may not be named there.
    words: &'static [&'static str],
    /// The files or folders in which it may.
    except: &'static [&'static str],
    problem: &'static str,
}

impl Boundary {
    fn check(&self, source: &Source) -> Vec<Finding> {
        let Some(inside) = source.path.strip_prefix(self.folder) else {
            return Vec::new();
        };
        if self.except.iter().any(|place| is_in(inside, place)) {
            return Vec::new();
        }
        let breaks = |line: &str| self.words.iter().any(|word| names(line, word));
        let lines = source.product_code().filter(|(_, line)| breaks(line));
        lines
            .map(|(number, _)| source.finding(number, self.problem))
            .collect()
    }
}

/// `place` is a folder (`http/`), a file in any folder (`store.rs`) or one file (`cli/mod.rs`).
fn is_in(path: &str, place: &str) -> bool {
    if place.ends_with('/') {
        path.starts_with(place)
    } else {
        path == place || path.ends_with(&format!("/{place}"))
    }
}

/// Every function with too many lines: where it begins, its name, its length.
fn long_functions(code: &str) -> Vec<(usize, &str, usize)> {
    let functions = code
        .match_indices("fn ")
        .filter_map(|(at, _)| function_at(code, at));
    functions
        .filter(|(_, _, length)| *length > MAX_FUNCTION_LINES)
        .collect()
}

fn function_at(code: &str, at: usize) -> Option<(usize, &str, usize)> {
    let before = code[..at].chars().next_back();
    if before.is_some_and(|c| c.is_alphanumeric() || c == '_') {
        return None;
    }
    let rest = &code[at..];
    let name = rest[3..]
        .split(|c: char| !c.is_alphanumeric() && c != '_')
        .next()?;
    let open = body_start(rest)?;
    let close = open + matching_brace(&rest[open..])?;
    let first = code[..at].matches('\n').count() + 1;
    (!name.is_empty()).then(|| (first, name, rest[..close].matches('\n').count() + 1))
}

/// The first brace outside parentheses and brackets; a semicolon there means that there is no body.
fn body_start(rest: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, c) in rest.char_indices() {
        match c {
            '(' | '[' => depth += 1,
            ')' | ']' => depth = depth.saturating_sub(1),
            '{' if depth == 0 => return Some(at),
            ';' if depth == 0 => return None,
            _ => {}
        }
    }
    None
}

fn matching_brace(rest: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, c) in rest.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 1 => return Some(at),
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}

const MAX_FUNCTION_LINES: usize = 70;
const MAX_FILE_LINES: usize = 500;
const BOUNDARIES: &[Boundary] = &[
    Boundary {
        folder: "issuer/src/",
        words: &[
            "sqlx::query",
            "query!",
            "query_as!",
            "query_scalar!",
            "query_unchecked!",
        ],
        except: &["store.rs", "store/", "db/"],
        problem: "SQL belongs into the feature's store.rs",
    },
    Boundary {
        folder: "issuer/src/",
        words: &["poem", "poem_openapi"],
        except: &["api.rs", "api/", "http/"],
        problem: "only api.rs and http/ know the HTTP framework",
    },
    Boundary {
        folder: "issuer/src/",
        words: &["env::var", "env::var_os", "env::vars", "env::vars_os"],
        except: &["config/", "cli/mod.rs"],
        problem: "the environment is read once: add a field to the configuration",
    },
    Boundary {
        folder: "edge-verifier/src/",
        words: &["worker"],
        except: &["lib.rs", "bindings.rs", "platform/"],
        problem: "only lib.rs, bindings.rs and platform/ know the runtime",
    },
    Boundary {
        folder: "shared-claims/src/",
        words: &[
            "issuer::",
            "edge_verifier",
            "wasm_pkg",
            "env::var",
            "SystemTime",
            "Instant",
        ],
        except: &["fetch/clock.rs"],
        problem: "shared-claims depends on none of ours and has no clock and no environment",
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(path: &str, text: &str) -> Vec<Finding> {
        check(&Source::new(path, text.to_owned()))
    }

    fn function(name: &str, lines: usize) -> String {
        format!(
            "fn {name}(a: [u8; 2]) -> u8 {{\n{}}}\n",
            "    x();\n".repeat(lines - 2)
        )
    }

    #[test]
    fn function_at_the_limit_passes_and_one_line_more_is_named() {
        assert_eq!(long_functions(&function("fits", MAX_FUNCTION_LINES)), []);
        let text = format!("\n{}", function("long", MAX_FUNCTION_LINES + 1));
        assert_eq!(long_functions(&text), [(2, "long", MAX_FUNCTION_LINES + 1)]);
    }

    #[test]
    fn signatures_without_a_body_and_function_types_are_not_measured() {
        let text = format!(
            "trait T {{ fn a(&self); }}\ntype F = fn (u8) -> u8;\n{}",
            "\n".repeat(99)
        );
        assert_eq!(long_functions(&text), []);
    }

    #[test]
    fn file_over_the_limit_is_found_but_tests_do_not_count() {
        let product = "//! Doc.\n".to_owned() + &"fn a() {}\n".repeat(MAX_FILE_LINES - 1);
        assert_eq!(findings("shared-claims/src/a.rs", &product), []);
        let with_tests = product.clone() + "#[cfg(test)]\nmod tests {}\n" + &"\n".repeat(99);
        assert_eq!(findings("shared-claims/src/a.rs", &with_tests), []);
        let found = findings("shared-claims/src/a.rs", &(product + "fn a() {}\n"));
        assert_eq!((found.len(), found[0].line), (1, MAX_FILE_LINES + 1));
    }

    #[test]
    fn file_without_documentation_is_found() {
        assert_eq!(findings("xtask/src/a.rs", "use std::fs;\n").len(), 1);
        assert_eq!(findings("xtask/src/a.rs", "#![no_std]\n//! Doc.\n"), []);
        assert_eq!(findings("issuer/tests/it/a.rs", "use std::fs;\n"), []);
    }

    #[test]
    fn allow_is_found_in_code_and_not_in_text() {
        let text = "//! Doc.\n// #[allow(x)]\nconst A: &str = \"#[allow(x)]\";\n";
        assert_eq!(findings("xtask/src/a.rs", text), []);
        assert_eq!(
            findings(
                "xtask/src/a.rs",
                "//! Doc.\n#[allow(dead_code)]\nfn a() {}\n"
            )
            .len(),
            1
        );
        assert_eq!(
            findings("xtask/src/a.rs", "//! Doc.\n#![allow(dead_code)]\n").len(),
            1
        );
    }

    #[test]
    fn every_boundary_is_kept_outside_its_exceptions_and_open_inside() {
        for boundary in BOUNDARIES {
            for word in boundary.words {
                let text = format!("//! Doc.\nfn a() {{ {word}(1); }}\n");
                let path = format!("{}feature/operation.rs", boundary.folder);
                assert!(!findings(&path, &text).is_empty(), "{word} in {path}");
                for place in boundary.except {
                    let file = if place.ends_with('/') { "x.rs" } else { "" };
                    let path = format!("{}{place}{file}", boundary.folder);
                    assert_eq!(
                        boundary.check(&Source::new(&path, text.clone())),
                        [],
                        "{word} in {path}"
                    );
                }
            }
        }
    }

    #[test]
    fn boundaries_do_not_hold_in_tests() {
        let text = "//! Doc.\n#[cfg(test)]\nmod tests { fn a() { poem::x(); } }\n";
        assert_eq!(findings("issuer/src/a.rs", text), []);
    }
}
