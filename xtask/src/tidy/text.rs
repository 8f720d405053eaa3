//! Rules for every text file.

use super::Finding;
use super::source::{Source, names};

/// Checks one file.
pub fn check(source: &Source) -> Vec<Finding> {
    if GENERATED
        .iter()
        .any(|name| source.name() == *name || source.path.starts_with(name))
    {
        return Vec::new();
    }
    let mut findings = white_space(source);
    findings.extend(lines(source));
    findings
}

fn white_space(source: &Source) -> Vec<Finding> {
    let mut findings: Vec<_> = (1..)
        .zip(source.text.lines())
        .filter(|(_, line)| line.ends_with([' ', '\t', '\r']))
        .map(|(number, _)| source.finding(number, "white space at the end of the line"))
        .collect();
    if !source.text.is_empty() && !source.text.ends_with('\n') {
        let last = source.text.lines().count();
        findings.push(source.finding(last, "no newline at the end of the file"));
    }
    findings
}

fn lines(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, line) in (1..).zip(source.text.lines()) {
        if let Some(word) = POSTPONED.iter().find(|word| names(line, word)) {
            findings.push(source.finding(number, format!("{word}: do it, or open an issue")));
        }
        if let Some(path) = MACHINE_PATHS.iter().find(|path| begins_in(line, path)) {
            findings.push(source.finding(number, format!("{path}… exists on one machine only")));
        }
    }
    findings
}

/// Whether an absolute path that begins like `path` stands in `line`.
fn begins_in(line: &str, path: &str) -> bool {
    let goes_on = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '}');
    line.match_indices(path)
        .any(|(at, _)| !line[..at].ends_with(goes_on))
}

/// Written by tools; what they write is theirs.
const GENERATED: [&str; 4] = ["Cargo.lock", "package-lock.json", "openapi.json", ".sqlx/"];
/// In two halves, so that this file does not break its own rule.
const POSTPONED: [&str; 3] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
];
const MACHINE_PATHS: [&str; 5] = [
    concat!("/", "work/"),
    concat!("/", "tmp/"),
    concat!("/", "root/"),
    concat!("/", "home/"),
    concat!("/", "Users/"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> Vec<(usize, String)> {
        let findings = check(&Source::new("docs/a.md", text.to_owned()));
        findings
            .into_iter()
            .map(|finding| (finding.line, finding.problem))
            .collect()
    }

    #[test]
    fn clean_text_has_no_findings() {
        assert_eq!(problems("one\n\ntwo\n"), []);
        assert_eq!(problems(""), []);
    }

    #[test]
    fn white_space_at_line_and_file_end_is_found_with_its_line() {
        let found = problems("one \ntwo\t\nthree\r\nfour");
        assert_eq!(
            found.iter().map(|(line, _)| *line).collect::<Vec<_>>(),
            [1, 2, 4]
        );
    }

    #[test]
    fn postponed_work_is_found_but_not_inside_longer_words() {
        for word in POSTPONED {
            assert_eq!(problems(&format!("a\n{word}: later\n")).len(), 1, "{word}");
            assert_eq!(problems(&format!("a{word}\n")), [], "{word}");
        }
    }

    #[test]
    fn paths_of_one_machine_are_found() {
        for path in MACHINE_PATHS {
            assert_eq!(problems(&format!("see {path}x\n")).len(), 1, "{path}");
            assert_eq!(
                problems(&format!("see docs{path}x and ./a{path}x\n")),
                [],
                "{path}"
            );
        }
        assert_eq!(problems("see docs/work/x\n"), problems("see docs/wörk/x\n"));
    }

    #[test]
    fn generated_files_are_left_alone() {
        let source = Source::new(".sqlx/query-1.json", "a ".into());
        assert_eq!(check(&source), []);
    }
}
