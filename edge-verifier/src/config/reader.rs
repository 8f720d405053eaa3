//! Reads values out of a TOML document and notes every mistake with its line.
//!
//! Each getter answers `None` both when a key is absent and when its value is wrong;
//! in the second case the mistake has been noted, and the caller goes on, so that
//! one run of the tool reports everything at once.

use core::ops::RangeInclusive;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::Notes;

/// A value and the line it stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct At<T> {
    pub(super) line: usize,
    pub(super) value: T,
}

impl<T> At<T> {
    pub(super) const fn new(line: usize, value: T) -> Self {
        Self { line, value }
    }

    pub(super) fn map<U>(self, change: impl FnOnce(T) -> U) -> At<U> {
        At {
            line: self.line,
            value: change(self.value),
        }
    }
}

/// One table of the document.
pub(super) struct Table<'a> {
    /// How messages call it, such as `[issuer]`.
    pub(super) name: String,
    pub(super) line: usize,
    entries: &'a DeTable<'a>,
    notes: &'a Notes,
}

impl<'a> Table<'a> {
    /// The whole document; unknown tables are noted.
    pub(super) fn document(root: &'a DeTable<'a>, known: &[&str], notes: &'a Notes) -> Self {
        let table = Self {
            name: DOCUMENT.into(),
            line: 1,
            entries: root,
            notes,
        };
        table.refuse_unknown(known);
        table
    }

    /// Notes a mistake at a line.
    pub(super) fn note(&self, line: usize, what: impl Into<String>, remedy: impl Into<String>) {
        self.notes.add(line, what, remedy);
    }

    /// The table under `key`; keys not in `known` are noted.
    pub(super) fn table(&self, key: &str, known: &[&str]) -> Option<Table<'a>> {
        let found = self.find(key)?;
        let name = if self.name == DOCUMENT {
            format!("[{key}]")
        } else {
            format!("{key} of {}", self.name)
        };
        self.open(&found, name, known)
    }

    /// The tables under `[[key]]`, in the order of the file.
    pub(super) fn tables(&self, key: &str, known: &[&str]) -> Vec<Table<'a>> {
        let Some(found) = self.find(key) else {
            return Vec::new();
        };
        let DeValue::Array(items) = found.value.get_ref() else {
            let wanted = format!("tables, each beginning with [[{key}]]");
            return self.wrong_type(key, &found, &wanted).unwrap_or_default();
        };
        let open = |(index, value)| {
            let found = Found {
                line: self.line_of(value),
                value,
            };
            self.open(&found, format!("[[{key}]] number {}", index + 1), known)
        };
        items.iter().enumerate().filter_map(open).collect()
    }

    /// A string that is not empty.
    pub(super) fn text(&self, key: &str) -> Option<At<String>> {
        let found = self.find(key)?;
        match found.value.get_ref() {
            DeValue::String(text) if text.is_empty() => {
                let what = format!("`{key}` of {} is empty", self.name);
                self.note(
                    found.line,
                    what,
                    format!("give `{key}` a value or remove it"),
                );
                None
            }
            DeValue::String(text) => Some(At::new(found.line, text.to_string())),
            _ => self.wrong_type(key, &found, "a string"),
        }
    }

    /// A whole number within a range.
    pub(super) fn number(&self, key: &str, range: &RangeInclusive<u64>) -> Option<At<u64>> {
        let found = self.find(key)?;
        let DeValue::Integer(number) = found.value.get_ref() else {
            return self.wrong_type(key, &found, "a whole number");
        };
        let number = u64::from_str_radix(number.as_str(), number.radix()).ok();
        match number.filter(|number| range.contains(number)) {
            Some(number) => Some(At::new(found.line, number)),
            None => {
                let what = format!("`{key}` of {} is out of range", self.name);
                let remedy = format!("use a number from {} to {}", range.start(), range.end());
                self.note(found.line, what, remedy);
                None
            }
        }
    }

    /// `true` or `false`.
    pub(super) fn flag(&self, key: &str) -> Option<At<bool>> {
        let found = self.find(key)?;
        match found.value.get_ref() {
            DeValue::Boolean(flag) => Some(At::new(found.line, *flag)),
            _ => self.wrong_type(key, &found, "true or false"),
        }
    }

    /// A list of strings, each with its own line.
    pub(super) fn texts(&self, key: &str) -> Option<At<Vec<At<String>>>> {
        let found = self.find(key)?;
        let DeValue::Array(items) = found.value.get_ref() else {
            return self.wrong_type(key, &found, "a list of strings");
        };
        let mut texts = Vec::with_capacity(items.len());
        for item in items {
            let line = self.line_of(item);
            match item.get_ref() {
                DeValue::String(text) => texts.push(At::new(line, text.to_string())),
                _ => return self.wrong_type(key, &found, "a list of strings"),
            }
        }
        Some(At::new(found.line, texts))
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(&self, key: &str, words: &[(&str, T)]) -> Option<At<T>> {
        let text = self.text(key)?;
        let chosen = words.iter().find(|(word, _)| *word == text.value);
        if chosen.is_none() {
            let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            let what = format!("`{key}` of {} cannot be {:?}", self.name, text.value);
            self.note(text.line, what, format!("use one of: {}", words.join(", ")));
        }
        chosen.map(|(_, value)| At::new(text.line, *value))
    }

    /// The line of a key, whatever its value.
    pub(super) fn line_of_key(&self, key: &str) -> Option<usize> {
        self.find(key).map(|found| found.line)
    }

    fn open(&self, found: &Found<'a>, name: String, known: &[&str]) -> Option<Table<'a>> {
        let DeValue::Table(entries) = found.value.get_ref() else {
            return self.wrong_type(&name, found, "a table");
        };
        let table = Self {
            name,
            line: found.line,
            entries,
            notes: self.notes,
        };
        table.refuse_unknown(known);
        Some(table)
    }

    fn refuse_unknown(&self, known: &[&str]) {
        for (key, _) in self.entries {
            let name = key.get_ref().as_ref();
            if known.contains(&name) {
                continue;
            }
            let line = self.notes.line_at(key.span().start);
            let remedy = match nearest(name, known) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("remove it; known here: {}", known.join(", ")),
            };
            self.note(
                line,
                format!("unknown key `{name}` in {}", self.name),
                remedy,
            );
        }
    }

    fn find(&self, key: &str) -> Option<Found<'a>> {
        let (name, value) = self
            .entries
            .iter()
            .find(|(name, _)| name.get_ref() == key)?;
        let line = self.notes.line_at(name.span().start);
        Some(Found { line, value })
    }

    fn line_of(&self, value: &Spanned<DeValue<'_>>) -> usize {
        self.notes.line_at(value.span().start)
    }

    fn wrong_type<T>(&self, key: &str, found: &Found<'_>, wanted: &str) -> Option<T> {
        let kind = found.value.get_ref().type_str();
        let what = format!("`{key}` of {} is of type {kind}", self.name);
        self.note(found.line, what, format!("write {wanted}"));
        None
    }
}

struct Found<'a> {
    line: usize,
    value: &'a Spanned<DeValue<'a>>,
}

/// The known key that a typing mistake probably meant.
fn nearest<'k>(name: &str, known: &[&'k str]) -> Option<&'k str> {
    let distances = known.iter().map(|key| (distance(name, key), *key));
    distances
        .filter(|(far, _)| *far <= MAX_TYPO)
        .min()
        .map(|(_, key)| key)
}

/// Levenshtein distance of two short words.
fn distance(left: &str, right: &str) -> usize {
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in right.bytes().enumerate() {
            let substituted = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}

/// How messages call the whole document.
const DOCUMENT: &str = "the file";
/// Two edits cover a dropped, doubled or swapped letter without guessing wildly.
const MAX_TYPO: usize = 2;
