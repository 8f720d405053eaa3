//! A stretch of network that fails when it is told to.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::Result;

/// What becomes of bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum Weather {
    /// They pass.
    Fair,
    /// Connections are refused, and those that were there are gone.
    Refuse,
    /// Nothing passes and nobody is told; what was sent arrives when the weather is fair again.
    Swallow,
    /// Everything takes longer.
    Delay,
    /// Answers break off in the middle, and the connection with them.
    Cut,
}

impl Weather {
    fn of(number: u8) -> Self {
        const ALL: [Weather; 5] = [
            Weather::Fair,
            Weather::Refuse,
            Weather::Swallow,
            Weather::Delay,
            Weather::Cut,
        ];
        ALL[usize::from(number) % ALL.len()]
    }
}

/// Where a connection goes on.
#[derive(Clone, Debug)]
pub enum Target {
    /// A port of this machine.
    Port(u16),
    /// A socket of this machine.
    Socket(PathBuf),
}

/// A proxy on a port of its own.
pub struct Proxy {
    /// Where to connect to.
    pub port: u16,
    state: Arc<State>,
}

struct State {
    weather: AtomicU8,
    is_over: AtomicBool,
    open: Mutex<Vec<TcpStream>>,
}

impl State {
    fn weather(&self) -> Weather {
        Weather::of(self.weather.load(Ordering::SeqCst))
    }

    fn open(&self) -> std::sync::MutexGuard<'_, Vec<TcpStream>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Proxy {
    /// Listens, in fair weather.
    pub fn start(target: Target) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        let state = Arc::new(State {
            weather: AtomicU8::new(Weather::Fair as u8),
            is_over: AtomicBool::new(false),
            open: Mutex::new(Vec::new()),
        });
        let shared = Arc::clone(&state);
        thread::spawn(move || accept(listener, port, &target, &shared));
        Ok(Self { port, state })
    }

    /// Changes the weather.
    pub fn set(&self, weather: Weather) {
        self.state.weather.store(weather as u8, Ordering::SeqCst);
        if weather == Weather::Refuse {
            for connection in self.state.open().drain(..) {
                // It may be gone already.
                drop(connection.shutdown(Shutdown::Both));
            }
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.state.is_over.store(true, Ordering::SeqCst);
        self.set(Weather::Refuse);
    }
}

/// A port that nobody listens on refuses by itself.
fn accept(listener: TcpListener, port: u16, target: &Target, state: &Arc<State>) {
    let mut listening = Some(listener);
    while !state.is_over.load(Ordering::SeqCst) {
        if state.weather() == Weather::Refuse {
            listening = None;
        } else if listening.is_none() {
            listening = TcpListener::bind(("127.0.0.1", port)).ok();
        }
        let accepted = listening.as_ref().and_then(|listener| {
            listener.set_nonblocking(true).ok()?;
            listener.accept().ok()
        });
        match accepted {
            Some((client, _)) => drop(join(client, target, state)),
            None => thread::sleep(POLL),
        }
    }
}

fn join(client: TcpStream, target: &Target, state: &Arc<State>) -> io::Result<()> {
    client.set_nonblocking(false)?;
    client.set_nodelay(true)?;
    let mut open = state.open();
    open.retain(|connection| connection.peer_addr().is_ok());
    open.push(client.try_clone()?);
    drop(open);
    match target {
        Target::Port(port) => {
            let server = TcpStream::connect(("127.0.0.1", *port))?;
            server.set_nodelay(true)?;
            let (from_server, ending) = (server.try_clone()?, server.try_clone()?);
            copy(client.try_clone()?, server, ending, false, state);
            copy(from_server, client.try_clone()?, client, true, state);
        }
        Target::Socket(path) => {
            let server = UnixStream::connect(path)?;
            let (from_server, ending) = (server.try_clone()?, server.try_clone()?);
            copy(client.try_clone()?, server, ending, false, state);
            copy(from_server, client.try_clone()?, client, true, state);
        }
    }
    Ok(())
}

/// A connection that can be ended for its reader too.
trait End {
    fn end(&self);
}

impl End for TcpStream {
    fn end(&self) {
        drop(self.shutdown(Shutdown::Both));
    }
}

impl End for UnixStream {
    fn end(&self) {
        drop(self.shutdown(Shutdown::Both));
    }
}

fn copy<R, W, E>(mut from: R, mut to: W, ending: E, is_answer: bool, state: &Arc<State>)
where
    R: Read + End + Send + 'static,
    W: Write + Send + 'static,
    E: End + Send + 'static,
{
    let state = Arc::clone(state);
    thread::spawn(move || {
        let mut bytes = [0; 16 * 1024];
        while let Ok(n @ 1..) = from.read(&mut bytes) {
            while state.weather() == Weather::Swallow {
                thread::sleep(POLL);
            }
            let (kept, goes_on) = match state.weather() {
                Weather::Cut if is_answer => (n / 2, false),
                Weather::Refuse => (0, false),
                Weather::Delay => {
                    thread::sleep(DELAY);
                    (n, true)
                }
                _ => (n, true),
            };
            if to.write_all(&bytes[..kept]).is_err() || !goes_on {
                break;
            }
        }
        from.end();
        ending.end();
    });
}

/// How soon a change is noticed.
const POLL: Duration = Duration::from_millis(5);
/// What a bad line adds to each message.
const DELAY: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that answers every byte with four.
    fn server() -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            for mut client in listener.incoming().flatten() {
                thread::spawn(move || {
                    let mut byte = [0];
                    while client.read_exact(&mut byte).is_ok() {
                        drop(client.write_all(&[byte[0]; 4]));
                    }
                });
            }
        });
        port
    }

    fn ask(port: u16) -> io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(Duration::from_millis(300)))?;
        stream.write_all(b"x")?;
        let mut found = vec![0; 4];
        stream.read_exact(&mut found)?;
        Ok(found)
    }

    #[test]
    fn each_weather_does_what_it_says_and_passes() {
        let proxy = Proxy::start(Target::Port(server())).unwrap();
        assert_eq!(ask(proxy.port).unwrap(), b"xxxx");
        for bad in [Weather::Refuse, Weather::Swallow, Weather::Cut] {
            proxy.set(bad);
            if bad == Weather::Refuse {
                while TcpStream::connect(("127.0.0.1", proxy.port)).is_ok() {}
            }
            assert!(ask(proxy.port).is_err(), "{bad:?}");
            proxy.set(Weather::Fair);
            let mut found = ask(proxy.port);
            // The port is taken again in a moment.
            while found.is_err() {
                found = ask(proxy.port);
            }
            assert_eq!(found.unwrap(), b"xxxx", "{bad:?}");
        }
        proxy.set(Weather::Delay);
        let began = std::time::Instant::now();
        ask(proxy.port).unwrap();
        assert!(began.elapsed() >= DELAY);
    }
}
