//! How many tests ran, read from what the test runners print.

use std::ops::AddAssign;

/// What one runner reported.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Count {
    /// Tests that ran, failed ones included.
    pub ran: u32,
    /// Tests that failed.
    pub failed: u32,
    /// Tests that were left out.
    pub skipped: u32,
}

impl AddAssign for Count {
    fn add_assign(&mut self, other: Self) {
        self.ran += other.ran;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl Count {
    /// `cargo nextest`: `Summary [ 6.656s] 27/34 tests run: 26 passed (1 slow), 1 failed, 0 skipped`.
    pub fn from_nextest(line: &str) -> Option<Self> {
        let (head, tail) = plain(line)
            .split_once("] ")
            .map(|(a, b)| (a.to_owned(), b.to_owned()))?;
        if !head.trim_start().starts_with("Summary [") {
            return None;
        }
        let (run, outcomes) = tail.split_once(" run: ")?;
        let ran = run.split(['/', ' ']).next()?.parse().ok()?;
        let of = |words: &[&str]| words.iter().map(|word| number_before(outcomes, word)).sum();
        Some(Self {
            ran,
            failed: of(&["failed", "timed out", "exec failed"]),
            skipped: of(&["skipped"]),
        })
    }

    /// `cargo test`: `test result: ok. 21 passed; 0 failed; 2 ignored; 0 measured; …`.
    pub fn from_cargo(line: &str) -> Option<Self> {
        let outcomes = line.strip_prefix("test result: ")?;
        let failed = number_before(outcomes, "failed");
        let ran = number_before(outcomes, "passed") + failed;
        Some(Self {
            ran,
            failed,
            skipped: number_before(outcomes, "ignored"),
        })
    }

    /// The end of what Node's TAP reporter writes: `# tests 12`, `# pass 11`, `# fail 1`, …
    pub fn from_tap(text: &str) -> Self {
        let of = |name: &str| {
            let prefix = format!("# {name} ");
            let number = text
                .lines()
                .rev()
                .find_map(|line| line.strip_prefix(&prefix)?.parse().ok());
            number.unwrap_or(0)
        };
        let skipped = of("skipped") + of("todo");
        let failed = of("fail") + of("cancelled");
        Self {
            ran: of("pass") + failed,
            failed,
            skipped,
        }
    }
}

/// The number in `…, 12 failed, …` (or with semicolons); 0 when the word is not there.
fn number_before(outcomes: &str, word: &str) -> u32 {
    let mut parts = outcomes.split([',', ';', '.']);
    let number = parts.find_map(|part| {
        let (number, rest) = part.trim().split_once(' ')?;
        let named = rest == word
            || rest
                .strip_prefix(word)
                .is_some_and(|more| more.starts_with(" ("));
        named.then(|| number.parse().ok()).flatten()
    });
    number.unwrap_or(0)
}

/// Without the escape sequences that colour a terminal.
fn plain(line: &str) -> String {
    let mut text = String::new();
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        if c == '\x1b' {
            chars.by_ref().find(char::is_ascii_alphabetic);
        } else {
            text.push(c);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(ran: u32, failed: u32, skipped: u32) -> Count {
        Count {
            ran,
            failed,
            skipped,
        }
    }

    #[test]
    fn nextest_summary_is_read_in_every_form() {
        for (line, expected) in [
            (
                "     Summary [  15.717s] 34 tests run: 34 passed, 0 skipped",
                count(34, 0, 0),
            ),
            (
                "     Summary [   6.656s] 27/34 tests run: 26 passed, 1 failed, 0 skipped",
                count(27, 1, 0),
            ),
            (
                "Summary [ 1.2s] 9 tests run: 8 passed (2 slow), 1 timed out, 3 skipped",
                count(9, 1, 3),
            ),
            (
                "\x1b[32;1m     Summary\x1b[0m [   0.1s] 1 test run: 1 passed, 0 skipped",
                count(1, 0, 0),
            ),
        ] {
            assert_eq!(Count::from_nextest(line), Some(expected), "{line}");
        }
        assert_eq!(
            Count::from_nextest("  PASS [ 0.005s] ( 1/34) issuer a::b"),
            None
        );
    }

    #[test]
    fn cargo_result_is_read() {
        let line = "test result: ok. 21 passed; 0 failed; 2 ignored; 0 measured; 0 filtered out; finished in 16.71s";
        assert_eq!(Count::from_cargo(line), Some(count(21, 0, 2)));
        let line = "test result: FAILED. 3 passed; 4 failed; 0 ignored; 0 measured; 0 filtered out";
        assert_eq!(Count::from_cargo(line), Some(count(7, 4, 0)));
        assert_eq!(Count::from_cargo("running 21 tests"), None);
    }

    #[test]
    fn tap_totals_are_read_and_a_cancelled_test_counts_as_failed() {
        let text = "TAP version 13\nok 1 - a\n1..2\n# tests 6\n# suites 1\n# pass 2\n# fail 1\n\
            # cancelled 1\n# skipped 1\n# todo 1\n# duration_ms 12.5\n";
        assert_eq!(Count::from_tap(text), count(4, 2, 2));
        assert_eq!(Count::from_tap(""), Count::default());
    }
}
