//! The gateway under steady load while a key is rotated every minute and a session revoked every
//! second. Whatever is answered must be what the issuer had said by then, and memory must not grow.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::RwLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::bench::edge::stage::{Stage, Workerd};
use crate::bench::edge::traffic::{self, Drive, Seen, Shot, drive, expect};
use crate::edge;
use crate::setup::{self, Toolbox};
use crate::ui;
use crate::workspace::Workspace;

/// Runs as many minutes as `PROVE_MINUTES` says.
pub fn prove(workspace: &Workspace, _: &Toolbox) -> Result<Vec<String>> {
    let minutes = super::number("PROVE_MINUTES")?.unwrap_or(MINUTES);
    ensure!(minutes >= 1, "PROVE_MINUTES: at least one");
    let toolbox = setup::ensure(workspace, edge::TOOLS)?;
    let mut stage = Stage::prepare(workspace, &toolbox, KEY_TTL)?;
    let workerd = stage.start("ours")?;
    let mut soak = Soak::begin(&mut stage, &workerd)?;
    let mut minutes_of_memory = Vec::new();
    for minute in 1..=minutes {
        soak.rotate(&mut stage)?;
        let kb = soak.minute(&mut stage, &workerd)?;
        ui::line(&format!("minute {minute}"), &soak.text(kb));
        minutes_of_memory.push(kb);
    }
    soak.conclude(&minutes_of_memory)
}

/// What has been sent and what is known of it.
struct Soak {
    /// Requests a second.
    rate: u64,
    generation: u64,
    /// When the key of this generation began to sign.
    rotated_at: Instant,
    /// Of the present key, of the one before, and of the one that is published no more.
    shots: Vec<Shot>,
    /// Each session, and when the issuer had it; nothing while it is being told.
    revoked: RwLock<HashMap<String, Option<Instant>>>,
    n_done: u64,
    n_refused: AtomicUsize,
}

impl Soak {
    /// Finds out how much the gateway can do, and begins with four fifths of it.
    fn begin(stage: &mut Stage, workerd: &Workerd) -> Result<Self> {
        let shots = stage.sign(N_TOKENS)?;
        let next = AtomicUsize::new(0);
        let load = |lasting| Drive {
            port: workerd.port,
            shots: &shots,
            next: &next,
            rate: None,
            lasting,
        };
        drive(&load(WARMING), &traffic::verified)?;
        let most = drive(&load(PROBING), &traffic::verified)? / PROBING.as_secs();
        let rate = most * 4 / 5;
        ui::line("load", &format!("{rate} requests a second of {most}"));
        Ok(Self {
            rate,
            generation: 1,
            rotated_at: Instant::now(),
            shots,
            revoked: RwLock::default(),
            n_done: 0,
            n_refused: AtomicUsize::new(0),
        })
    }

    /// The next key signs. Some of the tokens there are go on being sent.
    fn rotate(&mut self, stage: &mut Stage) -> Result<()> {
        stage.rotate()?;
        self.generation += 1;
        self.rotated_at = Instant::now();
        let oldest = self.generation - OLDEST_SENT.min(self.generation);
        let mut shots = stage.sign(N_TOKENS)?;
        let kept = std::mem::take(&mut self.shots).into_iter();
        let kept = kept.filter(|shot| shot.generation >= oldest);
        // Everywhere among the new ones.
        shots.extend(kept.step_by(KEPT_EVERY));
        shots.sort_by_key(|shot| scattered(&shot.user));
        self.shots = shots;
        Ok(())
    }

    /// A minute of load; the resident memory in the middle of its readings.
    fn minute(&mut self, stage: &mut Stage, workerd: &Workerd) -> Result<u64> {
        let (over, next) = (AtomicBool::new(false), AtomicUsize::new(0));
        let load = Drive {
            port: workerd.port,
            shots: &self.shots,
            next: &next,
            rate: Some(self.rate),
            lasting: MINUTE,
        };
        let (n_done, mut readings) = thread::scope(|scope| -> Result<_> {
            let revoking = scope.spawn(|| self.revoke_each_second(stage, workerd, &over));
            let driven = drive(&load, &|shot, seen| self.check(shot, seen));
            over.store(true, Ordering::Relaxed);
            let readings = revoking.join();
            let readings = readings.map_err(|_| anyhow::anyhow!("a worker panicked"))?;
            Ok((driven?, readings?))
        })?;
        self.n_done += n_done;
        readings.sort_unstable();
        readings
            .get(readings.len() / 2)
            .copied()
            .context("no reading")
    }

    fn revoke_each_second(
        &self,
        stage: &mut Stage,
        workerd: &Workerd,
        over: &AtomicBool,
    ) -> Result<Vec<u64>> {
        let mut readings = Vec::new();
        let mine = |shot: &&Shot| shot.generation == self.generation && !shot.forged;
        for shot in self.shots.iter().filter(mine) {
            thread::sleep(SECOND);
            if over.load(Ordering::Relaxed) {
                break;
            }
            self.note(shot, None);
            stage.revoke(&shot.session)?;
            self.note(shot, Some(Instant::now()));
            readings.push(workerd.resident_kb()?);
        }
        Ok(readings)
    }

    fn note(&self, shot: &Shot, done: Option<Instant>) {
        let mut revoked = self.revoked.write().expect("no holder of this lock panics");
        revoked.insert(shot.session.clone(), done);
    }

    /// What an answer must be; where the news is still on its way, either is right.
    fn check(&self, shot: &Shot, seen: &Seen<'_>) -> Result<()> {
        let verdict = self.verdict(shot, seen);
        if seen.status == 401 {
            self.n_refused.fetch_add(1, Ordering::Relaxed);
        }
        let passes = expect(seen, 200, Some(&shot.user));
        let refused = expect(seen, 401, None);
        let checked = match verdict {
            Verdict::Passes => passes,
            Verdict::Refused => refused,
            Verdict::Either => passes.or(refused),
        };
        checked.with_context(|| {
            let age = self.rotated_at.elapsed().as_millis();
            let revoked = self.revoked_for(shot, seen);
            format!(
                "a token of key {}, {age} ms after key {} began to sign, forged {}, revoked {revoked}",
                shot.generation, self.generation, shot.forged
            )
        })
    }

    /// For a person who looks for what went wrong.
    fn revoked_for(&self, shot: &Shot, seen: &Seen<'_>) -> String {
        let revoked = self.revoked.read().expect("no holder of this lock panics");
        match revoked.get(&shot.session) {
            None => "never".to_owned(),
            Some(None) => "just now".to_owned(),
            Some(Some(done)) => {
                let before = seen.sent.saturating_duration_since(*done);
                format!("{} ms before it was sent", before.as_millis())
            }
        }
    }

    fn verdict(&self, shot: &Shot, seen: &Seen<'_>) -> Verdict {
        let revoked = self.revoked.read().expect("no holder of this lock panics");
        let revoked = revoked.get(&shot.session);
        let age = seen.sent.saturating_duration_since(self.rotated_at);
        if shot.forged {
            Verdict::Refused
        } else if self.generation - shot.generation >= GONE {
            Verdict::refused_if(age > KEYS_RENEWED_WITHIN)
        } else if let Some(done) = revoked {
            Verdict::refused_if(done.is_some_and(|done| seen.sent > done + REVOKED_WITHIN))
        } else {
            Verdict::Passes
        }
    }

    fn text(&self, kb: u64) -> String {
        format!(
            "{} requests, {} refused, {} sessions revoked, {} MB",
            self.n_done,
            self.n_refused.load(Ordering::Relaxed),
            self.n_revoked(),
            kb / 1024
        )
    }

    fn n_revoked(&self) -> usize {
        let revoked = self.revoked.read().expect("no holder of this lock panics");
        revoked.len()
    }

    fn conclude(&self, memory: &[u64]) -> Result<Vec<String>> {
        let settled = memory[SETTLED_AFTER.min(memory.len()) - 1];
        let last = memory[memory.len() - 1];
        let growth = format!("{settled} KB, then {last} KB");
        ensure!(
            last * 1000 <= settled * MOST_GROWTH,
            "memory grew by more than a tenth: {growth}"
        );
        Ok(vec![
            format!(
                "0 wrong verdicts of {} in {} minutes, {} a second of {} that were asked for",
                self.n_done,
                memory.len(),
                self.n_done / (memory.len() as u64 * MINUTE.as_secs()),
                self.rate
            ),
            format!(
                "{} refused, {} keys, {} sessions revoked",
                self.n_refused.load(Ordering::Relaxed),
                self.generation,
                self.n_revoked()
            ),
            format!("resident memory: {growth} (at most a tenth more)"),
        ])
    }
}

enum Verdict {
    Passes,
    Refused,
    Either,
}

impl Verdict {
    fn refused_if(known: bool) -> Self {
        match known {
            true => Self::Refused,
            false => Self::Either,
        }
    }
}

/// A place among the others that has nothing to do with when the token was made.
fn scattered(user: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    user.hash(&mut hasher);
    hasher.finish()
}

const MINUTES: usize = 10;
const MINUTE: Duration = Duration::from_secs(60);
const SECOND: Duration = Duration::from_secs(1);
const WARMING: Duration = Duration::from_secs(3);
const PROBING: Duration = Duration::from_secs(10);
/// As many as the gateway remembers: with those of other keys among them, it forgets some.
const N_TOKENS: usize = 4096;
/// One in so many goes on being sent when the next key signs.
const KEPT_EVERY: usize = 8;
/// Keys two before the present one are published no more; older tokens would say nothing new.
const GONE: u64 = 2;
const OLDEST_SENT: u64 = GONE;
/// Short, so that each key set is renewed several times between two rotations.
const KEY_TTL: &str = "soft_s = 15, hard_s = 45";
/// The soft limit, and time to fetch.
const KEYS_RENEWED_WITHIN: Duration = Duration::from_secs(20);
/// What is promised.
const REVOKED_WITHIN: Duration = Duration::from_secs(2);
/// Minutes: by then tables, caches and compiled code are there. A shorter run says nothing of memory.
const SETTLED_AFTER: usize = 3;
/// In thousandths.
const MOST_GROWTH: u64 = 1100;
