//! Running programs.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

/// The password of every test user.
pub const PASSWORD: &str = "correct horse battery";
/// Any 32 bytes.
pub const MASTER_KEY: &str = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";

/// A data directory of this test, emptied first.
pub fn data_dir(name: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("process")
        .join(name);
    if dir.exists() {
        std::fs::remove_dir_all(&dir).expect("an old data directory can be removed");
    }
    dir
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .expect("a free port")
        .local_addr()
        .expect("bound")
        .port()
}

/// The program with no environment but this one.
pub fn tollgate(arguments: &[&str], variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
    command
        .args(arguments)
        .env_clear()
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command.env("PATH", std::env::var("PATH").unwrap_or_default());
    command.envs(variables.iter().copied());
    command
}

/// Runs the program to its end.
pub fn run(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    tollgate(arguments, variables)
        .output()
        .expect("the program starts")
}

/// What the program said last.
pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A running issuer, told to stop when dropped.
pub struct Issuer {
    child: Child,
    /// Where it answers.
    pub url: String,
    /// Its client.
    pub http: reqwest::Client,
}

impl Issuer {
    /// Starts `serve` and waits until it is ready.
    pub async fn start(arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let port = free_port();
        let listen = format!("127.0.0.1:{port}");
        let mut all = vec![("LISTEN_ADDR", listen.as_str())];
        all.extend(variables);
        let child = tollgate(&[&["serve"], arguments].concat(), &all)
            .stderr(Stdio::inherit())
            .spawn()
            .expect("the program starts");
        // The client speaks to this machine without TLS, and wants to know whose TLS it would use. Who
        // is second is told that there is one.
        drop(rustls::crypto::ring::default_provider().install_default());
        let http = reqwest::Client::builder()
            .timeout(Duration::from_secs(10))
            .build()
            .expect("a client");
        let issuer = Self {
            child,
            url: format!("http://{listen}"),
            http,
        };
        assert!(
            issuer.becomes_ready(Duration::from_secs(60)).await,
            "the issuer did not become ready"
        );
        issuer
    }

    /// Waits until `/ready` answers 200.
    pub async fn becomes_ready(&self, within: Duration) -> bool {
        let deadline = Instant::now() + within;
        while Instant::now() < deadline {
            let answer = self.http.get(format!("{}/ready", self.url)).send().await;
            if answer.is_ok_and(|answer| answer.status() == 200) {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        false
    }

    /// POST under `/api/v1` with a JSON body; status and body, or 0 when there was no answer.
    pub async fn post(&self, path: &str, token: &str, body: &Value) -> (u16, Value) {
        let mut request = self
            .http
            .post(format!("{}/api/v1{path}", self.url))
            .json(body);
        if !token.is_empty() {
            request = request.bearer_auth(token);
        }
        match request.send().await {
            Ok(answer) => (
                answer.status().as_u16(),
                answer.json().await.unwrap_or_default(),
            ),
            Err(_) => (0, Value::Null),
        }
    }

    /// GET; status and text.
    pub async fn get(&self, path: &str) -> (u16, String) {
        match self.http.get(format!("{}{path}", self.url)).send().await {
            Ok(answer) => (
                answer.status().as_u16(),
                answer.text().await.unwrap_or_default(),
            ),
            Err(_) => (0, String::new()),
        }
    }

    /// Registers and signs in; the access token.
    pub async fn user(&self, name: &str) -> String {
        let body = json!({"email": format!("{name}@example.com"), "password": PASSWORD});
        assert_eq!(self.post("/auth/register", "", &body).await.0, 201);
        self.login(name).await
    }

    /// Signs in; the access token.
    pub async fn login(&self, name: &str) -> String {
        let body = json!({"email": format!("{name}@example.com"), "password": PASSWORD});
        let (status, answer) = self.post("/auth/login", "", &body).await;
        assert_eq!(status, 200, "{answer}");
        answer["accessToken"].as_str().expect("a token").to_owned()
    }

    /// Tells it to stop and says how it ended and how long that took.
    pub fn stop(&mut self) -> (Option<i32>, Duration) {
        self.signal(Signal::TERM);
        let began = Instant::now();
        (self.wait(), began.elapsed())
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id())
            .ok()
            .and_then(Pid::from_raw)
            .expect("a process id");
        kill_process(pid, signal).expect("it is ours");
    }

    /// Waits for its end after a signal and says how it ended.
    pub fn wait(&mut self) -> Option<i32> {
        self.child.wait().expect("it ends").code()
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            self.stop();
        }
    }
}

/// The process id of the server in a data directory; waits for one that is just starting.
pub fn postmaster(data_dir: &Path) -> Pid {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(pid) = find_postmaster(data_dir) {
            return pid;
        }
        assert!(
            Instant::now() < deadline,
            "no server runs in {}",
            data_dir.display()
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn find_postmaster(data_dir: &Path) -> Option<Pid> {
    let mut found = Vec::new();
    find(data_dir, "postmaster.pid", &mut found);
    let text = std::fs::read_to_string(found.first()?).ok()?;
    text.lines().next()?.parse().ok().and_then(Pid::from_raw)
}

fn find(dir: &Path, name: &str, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            find(&path, name, found);
        } else if path.file_name().is_some_and(|n| n == name) {
            found.push(path);
        }
    }
}
