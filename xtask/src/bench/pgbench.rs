//! PostgreSQL's own load program, on the database of a running issuer.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::process;

/// A database, entered as its superuser.
#[derive(Clone)]
pub struct Database {
    name: String,
    socket_folder: String,
    password: String,
    scripts: PathBuf,
}

impl Database {
    /// Finds the database of an issuer's data directory.
    pub fn of(data_dir: &Path) -> Result<Self> {
        let file = data_dir.join("postgres.json");
        let text = fs::read(&file).with_context(|| file.display().to_string())?;
        let record: serde_json::Value = serde_json::from_slice(&text)?;
        let member = |name: &str| {
            let text = record[name].as_str().map(str::to_owned);
            text.with_context(|| format!("{} has no {name}", file.display()))
        };
        let scripts = data_dir.join("pgbench");
        fs::create_dir_all(&scripts)?;
        Ok(Self {
            name: "tollgate".to_owned(),
            socket_folder: member("socketDir")?,
            password: member("ownerPassword")?,
            scripts,
        })
    }

    /// Makes another one on the same server, and enters it.
    pub fn create(&self, name: &str) -> Result<Self> {
        self.run(&format!("create database {name};\n"))?;
        Ok(Self {
            name: name.to_owned(),
            ..self.clone()
        })
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its address, password included. What is in it needs no quoting but the folder's slashes.
    pub fn url(&self) -> String {
        format!(
            "postgres://{USER}:{}@localhost/{}?host={}&sslmode=disable",
            self.password,
            self.name,
            self.socket_folder.replace('/', "%2F")
        )
    }

    /// What PostgreSQL's own library reads of the environment, and what follows it.
    pub fn variables(&self) -> [(&str, &str); 4] {
        [
            ("PGHOST", &self.socket_folder),
            ("PGUSER", USER),
            ("PGPASSWORD", &self.password),
            ("PGDATABASE", &self.name),
        ]
    }

    /// Runs a script once.
    pub fn run(&self, script: &str) -> Result<()> {
        process::capture(self.pgbench(script)?.args(["-c", "1", "-t", "1"])).map(drop)
    }

    /// Runs a script over and over, so many at a time; how often in an hour it was done.
    pub fn rate(&self, script: &str, n_clients: usize, lasting: Duration) -> Result<u64> {
        let mut command = self.pgbench(script)?;
        command.args(["-M", "prepared", "-j", "2"]);
        command.args(["-c", &n_clients.to_string()]);
        command.args(["-T", &lasting.as_secs().to_string()]);
        let text = process::capture(&mut command)?;
        let figure = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            let digits =
                line.and_then(|rest| rest.trim_start_matches([' ', ':', '=']).split(' ').next());
            digits
                .map(str::to_owned)
                .with_context(|| format!("pgbench said no {name}: {text}"))
        };
        anyhow::ensure!(
            figure("number of failed transactions")? == "0",
            "pgbench failed: {text}"
        );
        let (whole, fraction) = {
            let tps = figure("tps")?;
            let (whole, fraction) = tps.split_once('.').unwrap_or((&tps, "0"));
            let fraction: String = fraction.chars().chain("000".chars()).take(3).collect();
            (whole.parse::<u64>()?, fraction.parse::<u64>()?)
        };
        Ok(whole * 3600 + fraction * 3600 / 1000)
    }

    fn pgbench(&self, script: &str) -> Result<Command> {
        let file = self.scripts.join("script.sql");
        fs::write(&file, script)?;
        let mut command = Command::new("pgbench");
        command
            .envs(self.variables())
            .args(["--no-vacuum", "--file"])
            .arg(file);
        Ok(command)
    }
}

/// The superuser of the issuer's own PostgreSQL.
const USER: &str = "tollgate_admin";
