//! Reading variables and collecting what is wrong with them.

use std::ops::RangeInclusive;
use std::str::FromStr;

use super::ConfigError;
use crate::secret::SecretText;

/// One variable and what is wrong with it. Never the value: it may be a secret.
#[derive(Debug, PartialEq, Eq)]
pub struct VariableProblem {
    /// The variable.
    pub variable: &'static str,
    /// What is wrong and what would be right.
    pub message: String,
}

/// The variables, and the problems found so far.
pub struct Source<'a> {
    lookup: &'a dyn Fn(&str) -> Option<String>,
    problems: Vec<VariableProblem>,
}

impl<'a> Source<'a> {
    /// Reads through `lookup`.
    pub fn new(lookup: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self {
            lookup,
            problems: Vec::new(),
        }
    }

    /// A variable as text; an empty one counts as unset.
    pub fn text(&mut self, name: &str) -> Option<String> {
        (self.lookup)(name)
            .map(|text| text.trim().to_owned())
            .filter(|text| !text.is_empty())
    }

    /// A variable that must not be printed.
    pub fn secret(&mut self, name: &str) -> Option<SecretText> {
        self.text(name).map(SecretText::new)
    }

    /// A variable of another type, or its default.
    pub fn parsed<T: FromStr>(&mut self, name: &'static str, default: T, expected: &str) -> T {
        match self.text(name).map(|text| text.parse()) {
            None => default,
            Some(Ok(value)) => value,
            Some(Err(_)) => {
                self.problem(name, expected);
                default
            }
        }
    }

    /// A whole number in a range, or its default.
    pub fn number(&mut self, name: &'static str, default: i64, range: RangeInclusive<i64>) -> i64 {
        let expected = format!(
            "must be a whole number from {} to {}",
            range.start(),
            range.end()
        );
        let value = self.parsed(name, default, &expected);
        if !range.contains(&value) {
            self.problem(name, &expected);
        }
        value
    }

    /// A list separated by commas; empty when unset.
    pub fn list(&mut self, name: &str) -> Vec<String> {
        let text = self.text(name).unwrap_or_default();
        text.split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty())
            .map(str::to_owned)
            .collect()
    }

    /// Notes that a variable is wrong.
    pub fn problem(&mut self, variable: &'static str, message: &str) {
        if self
            .problems
            .iter()
            .all(|problem| problem.variable != variable)
        {
            self.problems.push(VariableProblem {
                variable,
                message: message.to_owned(),
            });
        }
    }

    /// Ends the reading.
    pub fn finish(&mut self) -> Result<(), ConfigError> {
        match std::mem::take(&mut self.problems) {
            problems if problems.is_empty() => Ok(()),
            problems => Err(ConfigError(problems)),
        }
    }
}
