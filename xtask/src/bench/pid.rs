//! What the system knows of a process: how long it was busy, how much memory it has.

use std::fs;
use std::process::Child;

use anyhow::{Context, Result};

/// Milliseconds of processor time since it was started.
pub fn busy_ms(child: &Child) -> Result<u64> {
    let stat = proc_file(child, "stat")?;
    let fields = stat.rsplit_once(')').context("no name in it")?.1;
    let ticks = |nth: usize| -> Result<u64> {
        let field = fields.split_whitespace().nth(nth);
        Ok(field.context("too few fields")?.parse()?)
    };
    Ok((ticks(USER_TICKS)? + ticks(SYSTEM_TICKS)?) * MS_A_TICK)
}

/// Resident memory.
pub fn resident_kb(child: &Child) -> Result<u64> {
    let status = proc_file(child, "status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    Ok(number.context("no VmRSS")?.parse()?)
}

fn proc_file(child: &Child, name: &str) -> Result<String> {
    let path = format!("/proc/{}/{name}", child.id());
    fs::read_to_string(&path).with_context(|| format!("{path}: the process has ended"))
}

/// In `/proc/PID/stat`, counted from behind the name: `utime` and `stime` in ticks of 10 ms.
const USER_TICKS: usize = 11;
const SYSTEM_TICKS: usize = 12;
const MS_A_TICK: u64 = 10;
