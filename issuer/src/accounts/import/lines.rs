//! The file of an import: one JSON object a line, `{"user": {…}}` or `{"account": {…}}`, each
//! the row of a table of the other system. Members that are not needed are passed over.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::io::{self, BufRead, Read};

use serde::Deserialize;
use serde_json::Value;
use time::OffsetDateTime;
use time::PrimitiveDateTime;
use time::format_description::well_known::{Iso8601, Rfc3339};

use super::super::model::Email;
use super::super::password::StoredHash;
use crate::secret::SecretText;

/// What a file holds.
#[derive(Debug, Default)]
pub struct ImportFile {
    users: Vec<ForeignUser>,
    /// Sign-ins by other means than a password: they are not imported.
    pub n_other_accounts: usize,
    /// Lines that cannot be imported, in order.
    pub problems: Vec<LineProblem>,
}

impl ImportFile {
    /// Its users, in order, without those a problem concerns.
    pub fn users(&self) -> &[ForeignUser] {
        &self.users
    }
}

/// A line and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineProblem {
    /// Counted from 1.
    pub line: usize,
    /// In words. Never what the line says: it may be a password's hash.
    pub reason: String,
}

/// A user of the other system.
pub struct ForeignUser {
    /// There.
    pub id: String,
    /// Trimmed and lower-cased.
    pub email: Email,
    /// What one is called.
    pub name: Option<String>,
    /// Whether the address was proven there.
    pub email_verified: bool,
    /// When the account was made there.
    pub created_at: Option<OffsetDateTime>,
    /// The password as it was hashed there; none for those who sign in by other means.
    pub hash: Option<SecretText>,
}

impl ForeignUser {
    /// Whether the id can be kept.
    pub fn has_id_of_our_form(&self) -> bool {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
        self.id.len() == USER_ID_LENGTH && self.id.bytes().all(plain)
    }
}

impl fmt::Debug for ForeignUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ForeignUser")
    }
}

/// Reads a whole file.
///
/// # Errors
/// That the file cannot be read. What is wrong with lines is in [`ImportFile::problems`].
pub fn read(mut source: impl BufRead) -> io::Result<ImportFile> {
    let mut reading = Reading::default();
    for number in 1..=MAX_LINES {
        let mut line = Vec::new();
        let n_bytes = source
            .by_ref()
            .take(MAX_LINE_BYTES)
            .read_until(b'\n', &mut line)?;
        if n_bytes == 0 {
            return Ok(reading.finish());
        }
        if line.last() != Some(&b'\n') && n_bytes as u64 == MAX_LINE_BYTES {
            reading.problem(number, "is longer than 64 KiB; nothing after it was read");
            return Ok(reading.finish());
        }
        if !line.trim_ascii().is_empty() {
            reading.line(number, &line);
        }
    }
    reading.problem(MAX_LINES, "is not the last; split the file");
    Ok(reading.finish())
}

#[derive(Default)]
struct Reading {
    users: Vec<(usize, ForeignUser)>,
    by_id: HashMap<String, usize>,
    emails: HashSet<String>,
    hashes: BTreeMap<String, (usize, Option<SecretText>)>,
    n_other_accounts: usize,
    problems: Vec<LineProblem>,
}

impl Reading {
    fn line(&mut self, number: usize, line: &[u8]) {
        let result = match serde_json::from_slice(line) {
            Ok(Line::User(row)) => self.user(number, row),
            Ok(Line::Account(row)) => self.account(number, row),
            Err(error) if error.is_data() => {
                Err("lacks a field or has one of the wrong type, or is neither user nor account")
            }
            Err(_) => Err("is not JSON"),
        };
        if let Err(reason) = result {
            self.problem(number, reason);
        }
    }

    fn user(&mut self, number: usize, row: UserRow) -> Result<(), &'static str> {
        let user = row.check()?;
        if self.by_id.contains_key(&user.id) {
            return Err("has the id of a user above");
        }
        if !self.emails.insert(user.email.as_str().to_owned()) {
            return Err("has the address of a user above");
        }
        self.by_id.insert(user.id.clone(), self.users.len());
        self.users.push((number, user));
        Ok(())
    }

    fn account(&mut self, number: usize, row: AccountRow) -> Result<(), &'static str> {
        if row.provider_id != "credential" {
            self.n_other_accounts += 1;
            return Ok(());
        }
        let hash = row.password.map(SecretText::new);
        let known = |hash: &SecretText| StoredHash::parse(hash.expose()).is_some();
        if !hash.as_ref().is_none_or(known) {
            return Err(
                "has a password hash that is not supported: bcrypt up to cost 12, Better Auth's scrypt, Argon2id up to 64 MiB",
            );
        }
        if self.hashes.contains_key(&row.user_id) {
            return Err("is a second password for its user");
        }
        self.hashes.insert(row.user_id, (number, hash));
        Ok(())
    }

    fn problem(&mut self, line: usize, reason: &str) {
        self.problems.push(LineProblem {
            line,
            reason: reason.to_owned(),
        });
    }

    /// Brings users and passwords together.
    fn finish(mut self) -> ImportFile {
        for (user_id, (number, hash)) in std::mem::take(&mut self.hashes) {
            match self.by_id.get(&user_id) {
                Some(&index) => self.users[index].1.hash = hash,
                None => self.problem(number, "belongs to no user in the file"),
            }
        }
        self.problems.sort_by_key(|problem| problem.line);
        ImportFile {
            users: self.users.into_iter().map(|(_, user)| user).collect(),
            n_other_accounts: self.n_other_accounts,
            problems: self.problems,
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
enum Line {
    User(UserRow),
    Account(AccountRow),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct UserRow {
    id: String,
    email: String,
    name: Option<String>,
    email_verified: Option<Flag>,
    created_at: Option<Value>,
}

/// A truth value as databases write it.
#[derive(Deserialize)]
#[serde(untagged)]
enum Flag {
    Bool(bool),
    Number(u8),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AccountRow {
    user_id: String,
    provider_id: String,
    password: Option<String>,
}

impl UserRow {
    fn check(self) -> Result<ForeignUser, &'static str> {
        if !(1..=MAX_FOREIGN_ID_BYTES).contains(&self.id.len()) {
            return Err("has an id that is not 1 to 255 bytes long");
        }
        let email = Email::parse(&self.email).ok_or("has no usable e-mail address")?;
        let name = self.name.filter(|name| !name.is_empty());
        let fits = |name: &String| name.chars().count() <= MAX_NAME_CHARS && !name.contains('\0');
        if !name.as_ref().is_none_or(fits) {
            return Err("has a name of more than 100 characters");
        }
        let created_at = match self.created_at {
            None | Some(Value::Null) => None,
            Some(value) => Some(instant(&value).ok_or("has a createdAt that is not a time")?),
        };
        Ok(ForeignUser {
            id: self.id,
            email,
            name,
            email_verified: matches!(
                self.email_verified,
                Some(Flag::Bool(true) | Flag::Number(1))
            ),
            created_at,
            hash: None,
        })
    }
}

/// RFC 3339, the same without an offset (then UTC) or with a space, or Unix milliseconds.
fn instant(value: &Value) -> Option<OffsetDateTime> {
    match value {
        Value::String(text) => {
            let text = text.trim().replacen(' ', "T", 1);
            OffsetDateTime::parse(&text, &Rfc3339).ok().or_else(|| {
                let without_offset = PrimitiveDateTime::parse(&text, &Iso8601::DATE_TIME);
                without_offset.ok().map(PrimitiveDateTime::assume_utc)
            })
        }
        Value::Number(millis) => {
            let nanos = i128::from(millis.as_i64()?) * 1_000_000;
            OffsetDateTime::from_unix_timestamp_nanos(nanos).ok()
        }
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

/// The whole file is checked before anything is written, so it is held in memory: about 1 GB.
const MAX_LINES: usize = 4_000_000;
/// Rows of users and accounts are a few hundred bytes; tokens of providers make some longer.
const MAX_LINE_BYTES: u64 = 64 * 1024;
const MAX_FOREIGN_ID_BYTES: usize = 255;
/// As at registration.
const MAX_NAME_CHARS: usize = 100;
const USER_ID_LENGTH: usize = 21;

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(lines: &[&str]) -> ImportFile {
        read(lines.join("\n").as_bytes()).expect("readable")
    }

    fn reasons(lines: &[&str]) -> Vec<usize> {
        let file = parse(lines);
        file.problems.iter().map(|problem| problem.line).collect()
    }

    const ADA: &str = r#"{"user":{"id":"1","email":"Ada@example.com","name":"Ada","emailVerified":true,"createdAt":"2025-01-02T03:04:05.678Z","image":null}}"#;

    #[test]
    fn users_and_their_passwords_come_together_in_any_order() {
        let hash = format!("{}:{}", "a".repeat(32), "b".repeat(128));
        let account = format!(
            r#"{{"account":{{"id":"x","userId":"1","providerId":"credential","password":"{hash}"}}}}"#
        );
        let google = r#"{"account":{"userId":"1","providerId":"google","accessToken":"t"}}"#;
        let file = parse(&[&account, "", ADA, google]);
        assert_eq!(file.problems, []);
        assert_eq!((file.users().len(), file.n_other_accounts), (1, 1));
        let user = &file.users()[0];
        assert_eq!(user.email.as_str(), "ada@example.com");
        assert_eq!(
            user.hash.as_ref().map(SecretText::expose),
            Some(hash.as_str())
        );
        assert!(user.email_verified && !user.has_id_of_our_form());
        assert_eq!(format!("{user:?}"), "ForeignUser");
    }

    #[test]
    fn every_bad_line_is_named() {
        let bad = [
            ADA,
            "not json",
            r#"{"user":{"id":"2"}}"#,
            r#"{"session":{"id":"2"}}"#,
            r#"{"user":{"id":"2","email":"nobody"}}"#,
            r#"{"user":{"id":"1","email":"bob@example.com"}}"#,
            r#"{"user":{"id":"2","email":"ADA@example.com"}}"#,
            r#"{"user":{"id":"3","email":"eve@example.com","createdAt":"yesterday"}}"#,
            r#"{"account":{"userId":"1","providerId":"credential","password":"plain"}}"#,
            r#"{"account":{"userId":"9","providerId":"credential","password":null}}"#,
            r#"{"user":{"id":"","email":"empty@example.com"}}"#,
        ];
        assert_eq!(reasons(&bad), (2..=11).collect::<Vec<_>>());
        let long = format!(
            r#"{{"user":{{"id":"4","email":"d@example.com","name":"{}"}}}}"#,
            "n".repeat(101)
        );
        assert_eq!(reasons(&[&long]), [1]);
        let endless = "x".repeat(70_000);
        assert_eq!(reasons(&[ADA, &endless, "not json"]), [2]);
    }

    #[test]
    fn times_are_read_as_databases_write_them() {
        let expected = time::macros::datetime!(2025-01-02 03:04:05.678 UTC);
        for value in [
            serde_json::json!("2025-01-02T03:04:05.678Z"),
            serde_json::json!("2025-01-02T03:04:05.678"),
            serde_json::json!("2025-01-02 03:04:05.678"),
            serde_json::json!("2025-01-02 04:04:05.678+01:00"),
            serde_json::json!(1_735_787_045_678_i64),
        ] {
            assert_eq!(instant(&value), Some(expected), "{value}");
        }
        for value in [serde_json::json!("2025"), serde_json::json!(true)] {
            assert_eq!(instant(&value), None, "{value}");
        }
    }

    #[test]
    fn an_id_of_our_form_is_kept() {
        let of = |id: &str| {
            let line = serde_json::json!({"user": {"id": id, "email": "a@example.com"}});
            parse(&[&line.to_string()]).users()[0].has_id_of_our_form()
        };
        assert!(of("abcdefghijklmnopqrs_-"));
        assert!(!of("abcdefghijklmnopqrs_-x"));
        assert!(!of("abcdefghijklmnopqrs+-"));
    }
}
