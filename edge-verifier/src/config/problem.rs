//! A mistake in `edge.toml`: where it is, what is wrong and what to write instead.

use core::cell::RefCell;
use core::fmt;

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Line of `edge.toml`, counted from 1.
    pub line: usize,
    /// What is wrong, as a sentence without its full stop.
    pub what: String,
    /// What to do about it, as a sentence without its full stop.
    pub remedy: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}\n    {}", self.line, self.what, self.remedy)
    }
}

/// Collects mistakes, so that one run of the tool names all of them. The tables that
/// are being read share it, hence the cell.
#[derive(Debug)]
pub(super) struct Notes {
    line_starts: Vec<usize>,
    found: RefCell<Vec<Problem>>,
}

impl Notes {
    pub(super) fn new(source: &str) -> Self {
        let line_starts = source.match_indices('\n').map(|(at, _)| at + 1).collect();
        Self {
            line_starts,
            found: RefCell::default(),
        }
    }

    pub(super) fn add(&self, line: usize, what: impl Into<String>, remedy: impl Into<String>) {
        let problem = Problem {
            line,
            what: what.into(),
            remedy: remedy.into(),
        };
        self.found.borrow_mut().push(problem);
    }

    /// The line that holds a byte offset of the source.
    pub(super) fn line_at(&self, offset: usize) -> usize {
        1 + self.line_starts.partition_point(|start| *start <= offset)
    }

    pub(super) fn into_sorted(self) -> Vec<Problem> {
        let mut found = self.found.into_inner();
        found.sort_by_key(|problem| problem.line);
        found
    }
}
