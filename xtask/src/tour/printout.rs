//! What the tour prints: text in which the parts that differ from run to run are marked, so that
//! two runs can be compared.

use std::fmt::Display;

/// The lines printed so far, with their marks.
#[derive(Debug, Default)]
pub struct Printout {
    lines: Vec<String>,
}

impl Printout {
    /// Prints a line and keeps it.
    pub fn line(&mut self, marked: &str) {
        let marked = marked.trim_end();
        println!("{}", strip(marked));
        self.lines.push(marked.to_owned());
    }

    /// All of it as it was shown.
    pub fn plain(&self) -> String {
        self.lines.iter().map(|line| strip(line) + "\n").collect()
    }

    /// The first line in which `text` is not a printout of the same tour.
    pub fn difference_from(&self, text: &str) -> Option<String> {
        let theirs: Vec<_> = text.lines().collect();
        for (index, line) in self.lines.iter().enumerate() {
            let other = theirs.get(index).copied().unwrap_or_default();
            if !matches(line, other) {
                return Some(format!(
                    "it has `{other}` where this run printed `{}`",
                    strip(line)
                ));
            }
        }
        let surplus = theirs.get(self.lines.len())?;
        Some(format!("it goes on with `{surplus}`"))
    }
}

/// Marks a part that differs from run to run.
pub fn varying(part: impl Display) -> String {
    format!("{OPEN}{part}{CLOSE}")
}

/// Shortens a token so that one recognizes it and cannot use it: the end, because all begin alike.
pub fn shortened(token: &str) -> String {
    let skipped = token.chars().count().saturating_sub(SHOWN_CHARS);
    let end: String = token.chars().skip(skipped).collect();
    varying(format!("…{end}"))
}

fn strip(marked: &str) -> String {
    marked.replace([OPEN, CLOSE], "")
}

/// Whether `text` has every fixed part of `marked` in order, with something between them where
/// there is a mark.
fn matches(marked: &str, text: &str) -> bool {
    let mut parts = marked.split(OPEN);
    let Some(mut rest) = text.strip_prefix(parts.next().unwrap_or_default()) else {
        return false;
    };
    for part in parts {
        let fixed = part.split_once(CLOSE).map_or("", |(_, fixed)| fixed);
        let skip = rest.chars().next().map_or(0, char::len_utf8);
        let found = if fixed.is_empty() {
            Some(rest.len())
        } else {
            rest[skip..].find(fixed)
        };
        match found {
            Some(_) if skip == 0 => return false,
            Some(at) if fixed.is_empty() => rest = &rest[at..],
            Some(at) => rest = &rest[skip + at + fixed.len()..],
            None => return false,
        }
    }
    rest.is_empty()
}

/// From Unicode's private use area: no text of ours contains them.
const OPEN: char = '\u{E000}';
const CLOSE: char = '\u{E001}';
/// Long enough to recognize, far too short to guess the rest.
const SHOWN_CHARS: usize = 6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_differ_only_in_marked_parts_match() {
        let line = format!(
            "200 user {} in {}, role user",
            varying("a@b.c"),
            varying("12 ms")
        );
        assert!(matches(&line, "200 user x@y.z in 4 ms, role user"));
        assert!(matches(&line, &strip(&line)));
        assert!(matches(&format!("in {}", varying("1")), "in 250 ms"));
        assert!(matches("nothing varies", "nothing varies"));
    }

    #[test]
    fn lines_that_differ_in_a_fixed_part_do_not_match() {
        let line = format!("200 user {}, role user", varying("a@b.c"));
        for text in [
            "",
            "401 user x@y.z, role user",
            "200 user x@y.z, role admin",
            "200 user x@y.z, role user, more",
            "200 user , role user",
            "200 user x@y.z",
        ] {
            assert!(!matches(&line, text), "{text}");
        }
        assert!(!matches(&format!("in {}", varying("1")), "in "));
        assert!(!matches("nothing varies", "nothing varied"));
    }

    #[test]
    fn first_difference_is_named_missing_and_surplus_lines_too() {
        let mut printout = Printout::default();
        printout.line("one");
        printout.line(&format!("two {}", varying("x")));
        assert_eq!(printout.difference_from("one\ntwo y\n"), None);
        assert!(printout.difference_from("one\n").unwrap().contains("two x"));
        assert!(
            printout
                .difference_from("uno\ntwo y\n")
                .unwrap()
                .contains("uno")
        );
        assert!(
            printout
                .difference_from("one\ntwo y\nthree\n")
                .unwrap()
                .contains("three")
        );
        assert_eq!(printout.plain(), "one\ntwo x\n");
    }

    #[test]
    fn secret_is_never_shown_whole() {
        assert_eq!(strip(&shortened("eyJhbGciOiJFZERTQSJ9.qrs")), "…J9.qrs");
    }
}
