//! Rules for every text file.

use super::Finding;
use super::source::{Source, names};

/// Checks one file.
pub fn check(source: &Source) -> Vec<Finding> {
    let mut findings = conflict_marks(source);
    let is_generated = GENERATED
        .iter()
        .any(|name| source.name() == *name || source.path.starts_with(name));
    if !is_generated {
        findings.extend(white_space(source));
        findings.extend(lines(source));
    }
    findings
}

/// What a merge leaves behind. In generated files, too: nobody looks at those again.
fn conflict_marks(source: &Source) -> Vec<Finding> {
    let is_mark = |line: &str| {
        let rest = CONFLICT_MARKS.iter().find_map(|c| {
            let mark = c.to_string().repeat(CONFLICT_MARK_LENGTH);
            line.strip_prefix(mark.as_str())
        });
        rest.is_some_and(|rest| rest.starts_with(' '))
    };
    (1..)
        .zip(source.text.lines())
        .filter(|(_, line)| is_mark(line))
        .map(|(number, _)| source.finding(number, "a mark of a merge: resolve the conflict"))
        .collect()
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

/// They stand seven times at the beginning of a line, before a space and the name of a side. The
/// line between the sides could be a heading's, and never stands there without these two.
const CONFLICT_MARKS: [char; 2] = ['<', '>'];
const CONFLICT_MARK_LENGTH: usize = 7;
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
    fn marks_of_a_merge_are_found_at_the_beginning_of_a_line() {
        for c in CONFLICT_MARKS {
            let mark = c.to_string().repeat(CONFLICT_MARK_LENGTH);
            assert_eq!(problems(&format!("a\n{mark} main\nb\n"))[0].0, 2, "{c}");
            for text in [
                format!("a {mark} main\n"),
                format!("{mark}\n"),
                format!("{mark}{c} main\n"),
                format!("{} main\n", &mark[1..]),
            ] {
                assert_eq!(problems(&text), [], "{text}");
            }
        }
    }

    #[test]
    fn generated_files_are_left_alone_but_for_marks_of_a_merge() {
        let source = |text: &str| Source::new(".sqlx/query-1.json", text.to_owned());
        assert_eq!(check(&source("a ")), []);
        let mark = "<".repeat(CONFLICT_MARK_LENGTH);
        assert_eq!(check(&source(&format!("{mark} main\n"))).len(), 1);
    }
}
