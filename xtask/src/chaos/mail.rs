//! A mail server that keeps what it took: RFC 5321 as far as a client of ours speaks it.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::Result;

/// How often each mail came, by its `Message-ID`.
type Mails = BTreeMap<String, usize>;

/// The running server.
pub struct MailServer {
    /// Where it listens.
    pub port: u16,
    taken: Arc<Mutex<Mails>>,
}

impl MailServer {
    /// Starts it.
    pub fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        let taken = Arc::new(Mutex::new(Mails::new()));
        let shared = Arc::clone(&taken);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let taken = Arc::clone(&shared);
                // A connection that breaks off has delivered nothing.
                thread::spawn(move || drop(converse(&client, &taken)));
            }
        });
        Ok(Self { port, taken })
    }

    /// How many mails came, and how many of them more than once.
    pub fn count(&self) -> (usize, usize) {
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let all = taken.values();
        (all.clone().count(), all.filter(|times| **times > 1).count())
    }
}

fn converse(client: &TcpStream, taken: &Mutex<Mails>) -> io::Result<()> {
    let mut lines = BufReader::new(client).lines();
    let mut say = client;
    say.write_all(b"220 chaos\r\n")?;
    while let Some(line) = lines.next().transpose()? {
        let verb = line.to_ascii_uppercase();
        let answer = if verb.starts_with("DATA") {
            say.write_all(b"354 go on\r\n")?;
            let (mut id, mut is_whole) = (String::new(), false);
            for line in lines.by_ref() {
                let line = line?;
                if line == "." {
                    is_whole = true;
                    break;
                }
                if id.is_empty() && line.to_ascii_lowercase().starts_with("message-id:") {
                    id = line;
                }
            }
            if !is_whole {
                return Ok(());
            }
            let mut taken = taken.lock().unwrap_or_else(PoisonError::into_inner);
            *taken.entry(id).or_default() += 1;
            "250 taken"
        } else if verb.starts_with("QUIT") {
            say.write_all(b"221 bye\r\n")?;
            return Ok(());
        } else {
            "250 ok"
        };
        say.write_all(format!("{answer}\r\n").as_bytes())?;
    }
    Ok(())
}
