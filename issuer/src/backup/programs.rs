//! `pg_dump` and `pg_restore`: which, how they are told where the server is, and what they said.

use std::fmt::{self, Write as _};
use std::io::{self, Read, Write as _};
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;

use url::Url;

use super::file::{BackupFile, CHUNK_BYTES, NewBackup};
use super::progress::Progress;
use crate::db::embedded::{self, Options};
use crate::secret::SecretText;

/// Where the programs are looked for, and the server they talk to.
#[derive(Debug, Clone)]
pub struct Programs {
    /// Where to look.
    pub options: Options,
    /// The login that may read and write everything.
    pub url: SecretText,
}

impl Programs {
    /// Has `pg_dump` write the schemas into the file.
    ///
    /// # Errors
    /// In words: its own, when it failed.
    pub fn dump(
        &self,
        server_major: u32,
        schemas: &[String],
        into: &mut NewBackup,
    ) -> Result<(), String> {
        let mut command = self.command("pg_dump", server_major)?;
        command.args(["--format=custom", "--no-password"]);
        for schema in schemas {
            command.arg(format!("--schema={schema}"));
        }
        let mut running = Running::start(command.stdout(Stdio::piped()).stdin(Stdio::null()))?;
        let mut output = running.child.stdout.take().expect("it was piped");
        // The archive is compressed: how long it will be nobody knows.
        let mut progress = Progress::new("written", None);
        let mut buffer = vec![0; CHUNK_BYTES];
        loop {
            match output.read(&mut buffer) {
                Ok(0) => break,
                Ok(n) => {
                    into.append(&buffer[..n])?;
                    progress.advance(n);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(format!("cannot read from pg_dump: {error}")),
            }
        }
        running.finish("pg_dump")
    }

    /// Has `pg_restore` make everything in one transaction.
    ///
    /// # Errors
    /// In words: its own, when it failed.
    pub fn load(&self, server_major: u32, from: &BackupFile) -> Result<(), String> {
        let at_least = server_major.max(from.header.server_major);
        let mut command = self.command("pg_restore", at_least)?;
        command.args(["--single-transaction", "--exit-on-error", "--no-password"]);
        let mut running = Running::start(command.stdin(Stdio::piped()).stdout(Stdio::null()))?;
        let mut input = running.child.stdin.take().expect("it was piped");
        let (mut archive, length) = from.archive()?;
        let mut progress = Progress::new("restoring", Some(length));
        let mut buffer = vec![0; CHUNK_BYTES];
        loop {
            let n = archive
                .read(&mut buffer)
                .map_err(|error| format!("cannot read the backup: {error}"))?;
            // When it ends early it says why itself.
            if n == 0 || input.write_all(&buffer[..n]).is_err() {
                break;
            }
            progress.advance(n);
        }
        drop(input);
        running.finish("pg_restore")
    }

    fn command(&self, name: &'static str, at_least: u32) -> Result<Command, String> {
        let program = embedded::find_client(&self.options, name, at_least)
            .map_err(|error| error.to_string())?;
        let target = Target::read(&self.url)?;
        let mut command = Command::new(program);
        command.arg(format!("--dbname={}", target.url));
        // Arguments are for everybody on the machine to read, the environment is not.
        if let Some(password) = &target.password {
            command.env("PGPASSWORD", password.expose());
        }
        Ok(command)
    }
}

/// A program at work; ended when it is not waited for.
struct Running {
    child: Child,
    said: Option<JoinHandle<String>>,
}

impl Running {
    fn start(command: &mut Command) -> Result<Self, String> {
        let name = command.get_program().to_string_lossy().into_owned();
        let mut child = command
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("cannot start {name}: {error}"))?;
        let errors = child.stderr.take().expect("it was piped");
        // Read beside the rest: a program whose complaints nobody reads stops.
        let said = std::thread::spawn(move || tail(errors));
        Ok(Self {
            child,
            said: Some(said),
        })
    }

    fn finish(mut self, name: &str) -> Result<(), String> {
        let status = self
            .child
            .wait()
            .map_err(|error| format!("cannot wait for {name}: {error}"))?;
        let said = self.said.take().and_then(|said| said.join().ok());
        match status.success() {
            true => Ok(()),
            false => Err(format!(
                "{name} failed ({status}): {}",
                said.unwrap_or_default().trim()
            )),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended already when it was waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The end of what a program says: its last words name the cause.
fn tail(mut errors: impl Read) -> String {
    let mut kept = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(n @ 1..) = errors.read(&mut buffer) {
        kept.extend_from_slice(&buffer[..n]);
        let surplus = kept.len().saturating_sub(MAX_SAID_BYTES);
        kept.drain(..surplus);
    }
    String::from_utf8_lossy(&kept).into_owned()
}

/// A connection string without its password, of the parameters that PostgreSQL's own programs know.
struct Target {
    url: Url,
    password: Option<SecretText>,
}

impl Target {
    fn read(url: &SecretText) -> Result<Self, String> {
        // The parser's own message may quote what it read.
        let mut url = Url::parse(url.expose())
            .map_err(|_| "the connection string in DATABASE_OWNER_URL is no URL".to_owned())?;
        let mut password = url.password().map(unescaped);
        let mut kept = Vec::new();
        for (name, value) in url.query_pairs() {
            match &*name {
                "password" => password = Some(SecretText::new(value.into_owned())),
                // As sqlx also writes them.
                "ssl-mode" => kept.push(("sslmode".to_owned(), value.into_owned())),
                "ssl-root-cert" | "ssl-ca" => {
                    kept.push(("sslrootcert".to_owned(), value.into_owned()));
                }
                "ssl-cert" => kept.push(("sslcert".to_owned(), value.into_owned())),
                "ssl-key" => kept.push(("sslkey".to_owned(), value.into_owned())),
                name if KNOWN.contains(&name) => {
                    kept.push((name.to_owned(), value.into_owned()));
                }
                _ => {}
            }
        }
        // No host is a valid form, which has no place for a password either.
        let _ = url.set_password(None);
        url.set_query(None);
        // A socket's path is escaped as libpq reads it: `+` would stay a plus.
        let query: Vec<String> = kept
            .iter()
            .map(|(name, value)| format!("{name}={}", escaped(value)))
            .collect();
        if !query.is_empty() {
            url.set_query(Some(&query.join("&")));
        }
        Ok(Self { url, password })
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Target")
    }
}

fn unescaped(text: &str) -> SecretText {
    let decoded = url::form_urlencoded::parse(text.replace('+', "%2B").as_bytes())
        .next()
        .map(|(name, _)| name.into_owned());
    SecretText::new(decoded.unwrap_or_default())
}

fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' => {
                escaped.push(char::from(byte));
            }
            _ => write!(escaped, "%{byte:02X}").expect("a string grows"),
        }
    }
    escaped
}

/// What libpq takes in a URL and we have a use for; it refuses what it does not know.
const KNOWN: [&str; 10] = [
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "connect_timeout",
];
/// The last messages, not a report on every table.
const MAX_SAID_BYTES: usize = 2_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn target(url: &str) -> (String, Option<String>) {
        let target = Target::read(&SecretText::new(url.into())).unwrap();
        let password = target.password.map(|password| password.expose().to_owned());
        (target.url.to_string(), password)
    }

    #[test]
    fn password_leaves_the_url_wherever_it_stands() {
        let (url, password) = target("postgres://ada:p%40s+s%3d%26@db.example.com:5433/tollgate");
        assert_eq!(url, "postgres://ada@db.example.com:5433/tollgate");
        assert_eq!(password.as_deref(), Some("p@s+s=&"));
        let (url, password) = target("postgres://localhost/tollgate?password=s%20t&user=ada");
        assert_eq!(url, "postgres://localhost/tollgate?user=ada");
        assert_eq!(password.as_deref(), Some("s t"));
    }

    #[test]
    fn only_parameters_that_libpq_knows_are_passed_on() {
        let (url, _) = target(
            "postgres://localhost/t?host=%2Frun%2Fa%20b&ssl-mode=require&statement-cache-capacity=7",
        );
        assert_eq!(
            url,
            "postgres://localhost/t?host=/run/a%20b&sslmode=require"
        );
    }

    #[test]
    fn what_is_no_url_is_refused_without_quoting_it() {
        let refused = Target::read(&SecretText::new("hunter2".into())).unwrap_err();
        assert!(!refused.contains("hunter2"), "{refused}");
    }
}
