//! `tollgate calibrate`.

use std::time::Duration;

use clap::Args;

use crate::accounts::{self, Measurement};

/// How to measure.
#[derive(Debug, Args)]
pub struct CalibrateArguments {
    /// Only hash on all cores for so many seconds, and say how many a second
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=3600))]
    rate_secs: Option<u64>,
    /// For a program to read
    #[arg(long)]
    json: bool,
}

/// Measures and prints.
#[expect(clippy::print_stdout, reason = "the answer to the command")]
pub fn run(arguments: &CalibrateArguments) {
    if let Some(secs) = arguments.rate_secs {
        let n_hashed = accounts::hashing_rate(Duration::from_secs(secs));
        match arguments.json {
            true => println!(
                "{}",
                serde_json::json!({ "hashed": n_hashed, "secs": secs })
            ),
            false => println!("{} hashes a second on all cores", n_hashed / secs),
        }
        return;
    }
    let measured = accounts::measure_hashing();
    match arguments.json {
        true => println!("{}", to_json(&measured)),
        false => println!("{}", table(&measured)),
    }
}

fn to_json(measured: &[Measurement]) -> String {
    let rows: Vec<_> = measured
        .iter()
        .map(|one| {
            serde_json::json!({
                "name": one.name,
                "micros": u64::try_from(one.time.as_micros()).unwrap_or(u64::MAX),
                "inUse": one.is_ours,
                "verdict": verdict(one),
            })
        })
        .collect();
    serde_json::Value::from(rows).to_string()
}

fn table(measured: &[Measurement]) -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from) as u128;
    let mut lines = vec![format!(
        "{:30}  {:>8}  {:>14}  {:>12}  {}",
        "HASH", "TIME", "A SECOND", "MEMORY", "VERDICT"
    )];
    for one in measured {
        let micros = one.time.as_micros().max(1);
        let memory = match u128::from(one.memory_mib) * cores {
            0 => String::new(),
            mib => format!("{mib} MiB"),
        };
        lines.push(format!(
            "{:30}  {:>5} ms  {:>14}  {memory:>12}  {}",
            one.name,
            micros / 1000,
            1_000_000 * cores / micros,
            verdict(one),
        ));
    }
    lines.push(format!(
        "A second: on {cores} core(s), with nothing else to do. Memory: with every core hashing.\n\
         Refused sign-ins take {} ms while hashes of other systems are left; each of those must take less.",
        accounts::REFUSAL_TIME.as_millis()
    ));
    lines.join("\n")
}

fn verdict(one: &Measurement) -> &'static str {
    let is_argon2id = one.memory_mib > 0;
    match (is_argon2id, one.is_ours, one.time) {
        (true, true, time) if time > SLOW => "in use; slow here: sign-ins will queue, add cores",
        (true, true, _) => "in use",
        (true, false, time) if time <= COMFORTABLE => "affordable here",
        (true, false, _) => "too slow for sign-ins here",
        (false, _, time) if time < accounts::REFUSAL_TIME => "accepted from elsewhere",
        (false, _, _) => "slower than a refusal: its users can be told apart until they sign in",
    }
}

/// What a person does not notice, with room for others on the same core.
const COMFORTABLE: Duration = Duration::from_millis(100);
/// Fewer than four sign-ins a second and core.
const SLOW: Duration = Duration::from_millis(250);
