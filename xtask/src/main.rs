//! All automation of the project: `cargo xtask …`.
//!
//! Every command installs what it needs and is missing, says what it does and why, shows progress
//! on whatever takes long, and does nothing the second time. It builds in seconds and needs nothing
//! but Rust, so that it works on a machine where nothing else is installed yet.

mod bench;
mod chaos;
mod demo;
mod dev;
mod edge;
mod embedded_server;
mod fuzz;
mod http;
mod issuer;
mod openapi;
mod process;
mod prove;
mod release;
mod setup;
mod sqlx;
mod stripe_stand_in;
mod supply;
mod test;
mod tidy;
mod tour;
mod ui;
mod wasm;
mod workspace;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use workspace::Workspace;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match run(&args) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &[&str]) -> Result<ExitCode> {
    let workspace = Workspace::find()?;
    match args {
        [] | ["help" | "--help" | "-h"] => println!("{HELP}"),
        ["setup"] => drop(setup::ensure(&workspace, setup::ALL)?),
        ["dev"] => dev::run(&workspace, &data_dir(&workspace), dev::Then::Wait)?,
        ["dev", "--tour", rest @ ..] => {
            let then = dev::Then::Tour(tour_output(rest)?);
            dev::run(&workspace, &data_dir(&workspace), then)?;
        }
        ["test"] => test::run(&workspace)?,
        ["bench", names @ ..] => bench::run(&workspace, names)?,
        ["prove"] => prove::run(&workspace, None)?,
        ["prove", "--only", name] => prove::run(&workspace, Some(name))?,
        ["prove", "--scale"] => prove::run(&workspace, Some("scale"))?,
        ["chaos", rest @ ..] => chaos::run(&workspace, &chaos::Options::parse(rest)?)?,
        ["fuzz", "--minutes", minutes] => fuzz::run(&workspace, minutes)?,
        ["fuzz", "--quick"] => fuzz::quick(&workspace)?,
        ["tidy"] => tidy::run(&workspace)?,
        ["tidy", "--land-migrations"] => tidy::land_migrations(&workspace)?,
        ["release"] => release::run(&workspace)?,
        ["supply"] => supply::run(&workspace)?,
        ["supply", "--quick"] => supply::quick(&workspace)?,
        ["sbom"] => supply::bills(&workspace)?,
        ["sqlx"] => sqlx::run(&workspace, sqlx::Mode::Write)?,
        ["sqlx", "--check"] => sqlx::run(&workspace, sqlx::Mode::Check)?,
        ["openapi"] => openapi::run(&workspace, openapi::Mode::Write)?,
        ["openapi", "--check"] => openapi::run(&workspace, openapi::Mode::Check)?,
        ["stripe-stand-in", address, webhook] => stripe_stand_in::run(address, webhook)?,
        ["wasm", "pack"] => wasm::pack(&workspace, &setup::ensure(&workspace, edge::TOOLS)?)?,
        ["edge", rest @ ..] => edge::run(&workspace, &data_dir(&workspace), rest)?,
        _ => bail!("no such command: {}\n\n{HELP}", args.join(" ")),
    }
    Ok(ExitCode::SUCCESS)
}

/// Where a development system keeps its data: the folder the issuer would use by itself.
fn data_dir(workspace: &Workspace) -> PathBuf {
    let named = std::env::var_os("TOLLGATE_DATA_DIR");
    workspace
        .root
        .join(named.unwrap_or_else(|| ".tollgate".into()))
}

fn tour_output(args: &[&str]) -> Result<tour::Output> {
    match args {
        [] => Ok(tour::Output::Show),
        ["--check-readme"] => Ok(tour::Output::CheckReadme),
        ["--write-readme"] => Ok(tour::Output::WriteReadme),
        _ => bail!(
            "dev --tour takes --check-readme or --write-readme, not {}",
            args.join(" ")
        ),
    }
}

const HELP: &str = "\
cargo xtask COMMAND

  setup                 install what is missing: wasm target, wasm-bindgen, Node, npm packages,
                        PostgreSQL, Chromium, Redis, PgBouncer, HAProxy, Prometheus, Better Auth
  dev                   build and start everything: issuer, edge, a backend, a stand-in for
                        Stripe; Ctrl-C stops it
  dev --tour            the same, then walk the main job from registration to refusal, and stop
  test                  every test of every part, with a table of how many ran
  bench [NAME]          the benchmarks, each against its peer; fails when a figure is missed
  prove [--only NAME]   the long proofs of ledger and gateway; prints what each has found
  chaos [--minutes N] [--seed S]
                        cut lines and kill processes under load, then look for what was acknowledged
  fuzz --minutes N      long searches, natively and in V8; fails on a finding
  fuzz --quick          what `test` runs of it: V8, and that planted faults are found
  tidy                  the rules of style that a program can check
  tidy --land-migrations
                        list new migrations as landed: from then on they may not change
  sqlx [--check]        bring .sqlx up to date with queries and migrations, or compare it
  openapi [--check]     bring openapi.json up to date with the issuer, or compare it
  release               build what is delivered into target/dist, the same bytes wherever it is built
  supply [--quick]      licences, sources, bans and unused dependencies; --quick from the lock files
  sbom                  write the bills of materials (CycloneDX) into target/sbom
  stripe-stand-in ADDRESS WEBHOOK
                        the stand-in for Stripe alone, such as 127.0.0.1:12111 and the webhook's URL
  wasm pack             build and pack the npm package
  edge build            build the edge worker
  edge check            check edge.toml and print the effective routes
  edge explain METHOD URL
                        say what would become of a request
  edge key              print a new secret that signs the edge's assertions
  edge dev              the edge alone, with reload

Nothing has to be installed beforehand but Rust and Node.";
