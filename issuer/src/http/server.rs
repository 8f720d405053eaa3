//! Listening: HTTP/1.1 over TCP, with a bound for everything a client could make us wait for.
//!
//! A connection that sends nothing costs memory and a file descriptor. So there are only so many, one
//! address has a part of them, and each has a time in which its next request must have arrived.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use poem::http::uri::Scheme;
use poem::web::{LocalAddr, RemoteAddr};
use poem::{Addr, Endpoint, Request};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use super::client_ip::is_proxy;
use super::places::{Place, Places};
use super::service;
use super::shell::Shell;
use crate::app::App;

/// How many clients may be connected, and how long each may keep us waiting.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at a time.
    pub connections: usize,
    /// From the beginning of a connection to its first request.
    pub first_request: Duration,
    /// From one answer to the next request.
    pub next_request: Duration,
    /// The same while three quarters of the connections are in use.
    pub next_request_in_a_crowd: Duration,
}

impl Limits {
    /// As many connections as the system allows and memory bears.
    pub fn of_this_system() -> Self {
        Self {
            connections: (raise_file_limit() / 2).min(MAX_CONNECTIONS),
            first_request: Duration::from_secs(10),
            next_request: Duration::from_secs(120),
            next_request_in_a_crowd: Duration::from_secs(5),
        }
    }
}

/// Serves until `stop` completes, then finishes what is in flight.
///
/// # Errors
/// When the address cannot be listened on.
pub async fn serve(
    app: &Arc<App>,
    listen: SocketAddr,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    let listener = TcpListener::bind(listen).await?;
    serve_on(listener, service(app), Limits::of_this_system(), stop).await
}

/// The same for a listener that exists, and with other limits.
///
/// # Errors
/// When the listener has no address.
pub async fn serve_on(
    listener: TcpListener,
    shell: Shell,
    limits: Limits,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    let host = Arc::new(Host {
        local: LocalAddr(Addr::SocketAddr(listener.local_addr()?)),
        places: Places::new(limits.connections, &shell.app().metrics.connections),
        shell,
        limits,
        began: Instant::now(),
    });
    let stopping = watch::Sender::new(false);
    let mut connections = JoinSet::new();
    let mut stop = pin!(stop);
    loop {
        tokio::select! {
            () = stop.as_mut() => break,
            (stream, peer, place) = host.accept(&listener) => {
                let host = Arc::clone(&host);
                connections.spawn(host.attend(stream, peer, place, stopping.subscribe()));
            }
            // What has ended is let go of.
            Some(_) = connections.join_next() => {}
        }
    }
    drop(listener);
    stopping.send_replace(true);
    let all = async { while connections.join_next().await.is_some() {} };
    if timeout(SHUTDOWN_GRACE, all).await.is_err() {
        tracing::warn!("requests in flight were cut off");
    }
    Ok(())
}

/// What all connections share.
struct Host {
    shell: Shell,
    local: LocalAddr,
    limits: Limits,
    places: Arc<Places>,
    began: Instant,
}

impl Host {
    /// The next connection that there is a place for. While there is none, clients wait in the
    /// system's queue.
    async fn accept(&self, listener: &TcpListener) -> (TcpStream, SocketAddr, Place) {
        loop {
            let room = self.places.room().await;
            match listener.accept().await {
                Ok((stream, peer)) => match room.take(peer.ip(), self.may_have_more(peer)) {
                    Some(place) => return (stream, peer, place),
                    // One address has its part already: closed without a word.
                    None => drop(stream),
                },
                Err(error) => {
                    // Most likely too many open files: asking again at once would change nothing.
                    tracing::warn!(%error, "a connection could not be accepted");
                    sleep(ACCEPT_AGAIN_AFTER).await;
                }
            }
        }
    }

    /// Whether many clients are behind this address: a proxy that the operator named, or this
    /// machine.
    fn may_have_more(&self, peer: SocketAddr) -> bool {
        let address = peer.ip().to_canonical();
        let proxies = &self.shell.app().config.http.trusted_proxies;
        address.is_loopback() || is_proxy(address, proxies)
    }

    /// Serves one connection to its end.
    async fn attend(
        self: Arc<Self>,
        stream: TcpStream,
        peer: SocketAddr,
        _place: Place,
        mut stopping: watch::Receiver<bool>,
    ) {
        // Answers are written whole; none gains by waiting for another.
        let _unless_it_is_closed = stream.set_nodelay(true);
        let remote = RemoteAddr(Addr::SocketAddr(peer));
        let waiting = Waiting::since(self.now_ms());
        let service = service_fn(|request: hyper::Request<Incoming>| {
            let request = (request, self.local.clone(), remote.clone(), Scheme::HTTP);
            self.answer(Request::from(request), &waiting)
        });
        let connection = http1::Builder::new()
            // Answers are small: head and body put together are sent sooner than as two pieces.
            .writev(false)
            .max_buf_size(MAX_HEAD_BYTES)
            .serve_connection(TokioIo::new(stream), service);
        let mut connection = pin!(connection);
        let mut look = interval(self.limits.first_request.min(LOOK_EVERY));
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut is_stopping = false;
        loop {
            tokio::select! {
                biased;
                // How it ended is known to the client, who ended it.
                _ = connection.as_mut() => return,
                _ = stopping.wait_for(|stopping| *stopping), if !is_stopping => {
                    is_stopping = true;
                    connection.as_mut().graceful_shutdown();
                }
                _ = look.tick() => if self.is_overdue(&waiting) {
                    return;
                }
            }
        }
    }

    async fn answer(
        &self,
        request: Request,
        waiting: &Waiting,
    ) -> io::Result<hyper::Response<AnswerBody>> {
        waiting.is_over();
        let response = self.shell.get_response(request).await;
        waiting.begin(self.now_ms());
        Ok(response.into())
    }

    fn is_overdue(&self, waiting: &Waiting) -> bool {
        let limits = &self.limits;
        let allowed = match waiting.for_first() {
            true => limits.first_request,
            false if self.places.is_crowded() => limits.next_request_in_a_crowd,
            false => limits.next_request,
        };
        waiting.began_ms().is_some_and(|began| {
            Duration::from_millis(self.now_ms().saturating_sub(began)) >= allowed
        })
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// Since when the next request is awaited; shared by a connection and what watches over it.
struct Waiting {
    /// Milliseconds on the host's clock; [`NOT_WAITING`] while a request is answered.
    began_ms: AtomicU64,
    is_first: AtomicBool,
}

impl Waiting {
    fn since(now_ms: u64) -> Self {
        Self {
            began_ms: AtomicU64::new(now_ms),
            is_first: AtomicBool::new(true),
        }
    }

    fn begin(&self, now_ms: u64) {
        self.began_ms.store(now_ms, Ordering::Relaxed);
    }

    fn is_over(&self) {
        self.began_ms.store(NOT_WAITING, Ordering::Relaxed);
        self.is_first.store(false, Ordering::Relaxed);
    }

    fn for_first(&self) -> bool {
        self.is_first.load(Ordering::Relaxed)
    }

    fn began_ms(&self) -> Option<u64> {
        Some(self.began_ms.load(Ordering::Relaxed)).filter(|began| *began != NOT_WAITING)
    }
}

/// Lets this process open as many files as the system lets it; answers how many. What programs are
/// given at first, often 1024, is a bound for those that cannot count further.
fn raise_file_limit() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    let now = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    now.map_or(usize::MAX, |files| {
        usize::try_from(files).unwrap_or(usize::MAX)
    })
}

type AnswerBody = http_body_util::combinators::BoxBody<Bytes, io::Error>;

const NOT_WAITING: u64 = u64::MAX;
/// A request's head, all headers together: many times what a browser with our cookies and a token
/// sends. With hyper's own limit one connection could take up 400 KB.
const MAX_HEAD_BYTES: usize = 32 * 1024;
/// An idle connection takes some 15 KB.
const MAX_CONNECTIONS: usize = 16_384;
/// Long enough for other connections to have ended.
const ACCEPT_AGAIN_AFTER: Duration = Duration::from_millis(100);
/// How often connections that wait are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Longer than any request may take.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(30);
