//! One file and what the rules want to know of it.

use std::path::Path;

use super::Finding;
use super::mask::mask;

/// A text file of the checkout.
pub struct Source {
    /// Its path, relative to the checkout.
    pub path: String,
    /// All of it.
    pub text: String,
    /// For Rust, only the code; otherwise empty.
    pub code: String,
}

impl Source {
    /// Wraps a file's text.
    pub fn new(path: &str, text: String) -> Self {
        let code = if has_extension(path, "rs") {
            mask(&text)
        } else {
            String::new()
        };
        Self {
            path: path.to_owned(),
            text,
            code,
        }
    }

    /// Whether it is Rust.
    pub fn is_rust(&self) -> bool {
        self.has_extension("rs")
    }

    /// Whether its name ends so.
    pub fn has_extension(&self, extension: &str) -> bool {
        has_extension(&self.path, extension)
    }

    /// The name without its folders.
    pub fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    /// Whether all of it is tests.
    pub fn is_test(&self) -> bool {
        ["tests/", "/tests/", "/benches/"]
            .iter()
            .any(|folder| self.path.contains(folder))
    }

    /// The lines of code before the tests, numbered from one.
    pub fn product_code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = (1..).zip(self.code.lines());
        lines.take_while(|(_, line)| !self.is_test() && line.trim() != "#[cfg(test)]")
    }

    /// A finding in this file.
    pub fn finding(&self, line: usize, problem: impl Into<String>) -> Finding {
        Finding {
            file: self.path.clone(),
            line,
            problem: problem.into(),
        }
    }
}

/// Whether `code` names `word`, not as a part of a longer name.
pub fn names(code: &str, word: &str) -> bool {
    let part_of_name = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let after = code[at + word.len()..].chars().next();
        !before.is_some_and(part_of_name) && !after.is_some_and(part_of_name)
    })
}

fn has_extension(path: &str, extension: &str) -> bool {
    Path::new(path)
        .extension()
        .is_some_and(|found| found == extension)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn word_is_named_only_as_a_whole() {
        assert!(names("use poem::Server;", "poem"));
        assert!(names("poem", "poem"));
        assert!(!names("use poem_openapi::Object;", "poem"));
        assert!(!names("let poems = 1;", "poem"));
    }

    #[test]
    fn product_code_ends_where_the_tests_begin() {
        let source = Source::new(
            "a/src/b.rs",
            "fn a() {}\n#[cfg(test)]\nmod tests {}\n".into(),
        );
        assert_eq!(source.product_code().count(), 1);
        let test = Source::new("a/tests/it/b.rs", "fn a() {}\n".into());
        assert_eq!(test.product_code().count(), 0);
    }
}
