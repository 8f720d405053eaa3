//! Runs the searches of `shared_claims::fuzz`; `cargo xtask fuzz` calls it.
//!
//! - `fuzz list` names them.
//! - `fuzz run NAME SEED SECONDS` runs one for so long, from one seed after the other, and fails
//!   on a finding.
//! - `fuzz cases SEED N` writes signatures with the library's verdict, for other engines: key,
//!   signature, verdict, length of the message in two bytes, message.

use std::io::{BufWriter, Write, stdout};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use shared_claims::fuzz::{Random, TARGETS, Tally, of_one_key};
use shared_claims::verify_signature;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let result = match args[..] {
        ["list"] => {
            TARGETS
                .iter()
                .for_each(|target| println!("{}", target.name));
            Ok(())
        }
        ["run", name, seed, seconds] => run(name, number(seed), number(seconds)),
        ["cases", seed, n_cases] => write_cases(number(seed), number(n_cases)),
        _ => Err("usage: fuzz list | run NAME SEED SECONDS | cases SEED N".into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(finding) => {
            eprintln!("{finding}");
            ExitCode::FAILURE
        }
    }
}

fn run(name: &str, seed: u64, seconds: u64) -> Result<(), String> {
    let target = TARGETS.iter().find(|target| target.name == name);
    let target = target.ok_or_else(|| format!("there is no search {name}"))?;
    let (began, mut total, mut next) = (Instant::now(), Tally::default(), seed);
    while began.elapsed() < Duration::from_secs(seconds) || next == seed {
        let found = (target.run)(next, N_CASES_OF_A_SEED);
        let tally = found.map_err(|finding| format!("{name}, seed {next}: {finding}"))?;
        total.n_cases += tally.n_cases;
        total.n_accepted += tally.n_accepted;
        next = next.wrapping_add(1);
    }
    println!(
        "{name}: {} cases, {} of them good, no difference, seeds {seed} to {}",
        total.n_cases,
        total.n_accepted,
        next.wrapping_sub(1)
    );
    Ok(())
}

fn write_cases(seed: u64, n_cases: u64) -> Result<(), String> {
    let (mut random, mut n_written) = (Random::new(seed), 0);
    let mut out = BufWriter::new(stdout().lock());
    while n_written < n_cases {
        for case in of_one_key(&mut random) {
            let verdict = verify_signature(&case.key, &case.message, &case.signature);
            let length = u16::try_from(case.message.len()).map_err(|error| error.to_string())?;
            let parts: [&[u8]; 5] = [
                &case.key,
                &case.signature,
                &[u8::from(verdict)],
                &length.to_le_bytes(),
                &case.message,
            ];
            out.write_all(&parts.concat())
                .map_err(|error| error.to_string())?;
            n_written += 1;
        }
    }
    out.flush().map_err(|error| error.to_string())
}

fn number(text: &str) -> u64 {
    text.parse().unwrap_or_default()
}

/// Small enough that a minute is many seeds, large enough that starting anew costs nothing.
const N_CASES_OF_A_SEED: usize = 5_000;
