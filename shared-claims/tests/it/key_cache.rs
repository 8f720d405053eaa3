//! The key cache, as scripts: each line is an instant in seconds, what happens, and what the
//! cache must answer.

use core::fmt::Write as _;

use shared_claims::{
    CacheState, KeyCache, KeyCacheTtl, KeySet, Kid, Lookup, Outcome, Report, Ticket, UnixMillis,
    thumbprint,
};

use crate::forge::{self, jwk, key_set, other_jwk, other_key};
use crate::random::Random;

#[test]
fn cold_cache_loads_once_and_others_wait() {
    run("
        0      known              => load
        0      known              => wait
        0.010  unknown            => wait
        0.025  known waited 25    => wait
        0.100  fetched            => done
        0.100  known waited 100   => use
        0.100  unknown            => unknown_key
    ");
}

#[test]
fn cold_cache_takes_a_fresh_copy_and_asks_nobody() {
    run("
        0      known              => load
        0.005  copy aged 100      => done
        0.005  known              => use
        0.005  age                => 100
        1      unknown            => forced
    ");
}

#[test]
fn cold_cache_uses_a_stale_copy_while_it_fetches() {
    run("
        0      known              => load
        0.005  copy aged 1000     => fetch_from_issuer
        0.005  known              => use
        0.200  fetched            => done
        0.200  age                => 0
        0.200  known              => use
    ");
    run("
        0      known              => load
        0      copy aged 300      => fetch_from_issuer
        0      copy aged 299.999  => done
    ");
}

#[test]
fn copy_that_does_not_do_leads_to_the_issuer() {
    run("
        0      known              => load
        0      copy aged 3600     => fetch_from_issuer
        0      copy broken        => fetch_from_issuer
        0      copy unusable      => fetch_from_issuer
        0      copy from tomorrow => fetch_from_issuer
        0      known              => wait
        0.100  fetched            => done
        0.100  known              => use
    ");
}

#[test]
fn copy_older_than_what_is_held_changes_nothing() {
    run("
        0      known              => load
        0      fetched            => done
        300    known              => use_and_refresh
        300    copy aged 301      => fetch_from_issuer
        300    age                => 300
        300    copy aged 10       => done
        300    age                => 10
    ");
}

#[test]
fn fresh_keys_are_used_until_the_soft_limit() {
    run("
        0       known             => load
        0       fetched           => done
        299.999 known             => use
        299.999 state             => fresh
        300     state             => soft_stale
        300     known             => use_and_refresh
        300     known             => use
        300.200 fetched           => done
        300.200 known             => use
        300.200 state             => fresh
    ");
}

#[test]
fn failed_refresh_keeps_the_keys_and_backs_off() {
    run("
        0       known             => load
        0       fetched           => done
        300     known             => use_and_refresh
        303     failed            => done
        303     state             => degraded
        303.999 known             => use
        304     known             => use_and_refresh
        304     failed            => done
        305.999 known             => use
        306     known             => use_and_refresh
        306     failed            => done
        309.999 known             => use
        310     known             => use_and_refresh
        310     fetched           => done
        310     state             => fresh
    ");
}

#[test]
fn keys_are_used_until_the_hard_limit_and_not_a_moment_longer() {
    run("
        0        known            => load
        0        fetched          => done
        3599.999 known            => use_and_refresh
        3599.999 failed           => done
        3599.999 known            => use
        3600     state            => hard_stale
        3600     known            => unavailable 1
        3600     usable           => none
        3600.999 known            => load
        3600.999 known            => wait
        3601     failed           => done
        3601     known            => unavailable 2
        3603     known            => load
        3603     fetched          => done
        3603     known            => use
    ");
}

#[test]
fn keys_that_lapse_while_they_are_refreshed_make_requests_wait() {
    run("
        0        known            => load
        0        fetched          => done
        3599.999 known            => use_and_refresh
        3600     known            => wait
        3600.100 fetched          => done
        3600.100 known            => use
    ");
}

#[test]
fn unknown_kid_causes_one_fetch_in_thirty_seconds() {
    run("
        0      known              => load
        0      fetched            => done
        29.999 unknown            => unknown_key
        30     unknown            => forced
        30     unknown            => wait
        30     known              => use
        30.050 fetched            => done
        30.050 unknown waited 50  => unknown_key
        59.999 unknown            => unknown_key
        60     unknown            => forced
    ");
}

#[test]
fn new_key_is_found_by_the_forced_fetch() {
    run("
        0      known              => load
        0      fetched            => done
        40     other              => forced
        40.020 fetched both       => done
        40.020 other waited 20    => use
        40.020 known              => use
    ");
}

#[test]
fn unknown_kid_that_could_not_be_looked_up_is_unavailable_not_unknown() {
    run("
        0      known              => load
        0      fetched            => done
        30     unknown            => forced
        33     failed             => done
        33     unknown            => unavailable 27
        33     known              => use
        59.500 unknown            => unavailable 1
        60     unknown            => forced
        60     fetched            => done
        60     unknown            => unknown_key
    ");
}

#[test]
fn unknown_kid_waits_for_a_fetch_under_way_and_no_longer_than_it_may() {
    run("
        0      known              => load
        0      fetched            => done
        30     unknown            => forced
        32.999 unknown waited 2999 => wait
        33     unknown waited 3000 => unavailable 1
    ");
}

#[test]
fn neighbour_that_fetched_saves_the_fetch_but_spends_the_budget() {
    run("
        0      known              => load
        0      copy aged 200      => done
        1      unknown            => forced
        1      skipped            => done
        1      unknown            => unknown_key
        30.999 unknown            => unknown_key
        31     unknown            => forced
        31     copy aged 5        => done
        31     unknown            => unknown_key
    ");
}

#[test]
fn useless_document_is_a_failed_fetch_and_the_old_keys_stay() {
    run("
        0      known              => load
        0      fetched            => done
        300    known              => use_and_refresh
        300    fetched unusable   => rejected
        300    state              => degraded
        300    known              => use
        301    known              => use_and_refresh
        301    fetched broken     => rejected
        302.999 known             => use
        303    known              => use_and_refresh
    ");
}

#[test]
fn useless_document_on_a_cold_cache_backs_off() {
    run("
        0      known              => load
        0      fetched broken     => rejected
        0      known              => unavailable 1
        0.999  unknown            => unavailable 1
        1      unknown            => load
        1      failed             => done
        1      known              => unavailable 2
    ");
}

#[test]
fn rotation_removes_the_old_key() {
    run("
        0      known              => load
        0      fetched            => done
        300    known              => use_and_refresh
        300    fetched other      => done
        300    other              => use
        300    known              => unknown_key
    ");
}

#[test]
fn late_leader_is_relieved_by_one_who_waited() {
    run("
        0      known              => load
        3.249  known waited 3249  => wait
        3.250  known waited 2990  => wait
        3.250  known waited 3250  => load
        3.250  known waited 3250  => wait
        3.350  fetched            => done
        3.350  known waited 3350  => use
    ");
}

#[test]
fn leader_whose_fetch_ran_out_of_time_reports_before_it_is_relieved() {
    run("
        0      known              => load
        3.020  known waited 3020  => wait
        3.030  failed             => done
        3.045  known waited 3045  => unavailable 1
    ");
}

#[test]
fn nobody_waits_longer_than_twice_the_fetch() {
    run("
        0      known              => load
        3.250  known waited 3250  => load
        5.999  known waited 5999  => wait
        5.999  known waited 6000  => unavailable 1
        6.500  known waited 6000  => unavailable 1
        9      known waited 6000  => unavailable 1
        9      known waited 5999  => load
    ");
}

#[test]
fn leader_that_vanished_is_replaced_after_five_seconds() {
    run("
        0      known              => load
        4.999  known              => wait
        5      known              => load
        5      fetched            => done
        305    known              => use_and_refresh
        309.999 known             => use
        310    known              => use_and_refresh
    ");
}

#[test]
fn report_of_a_relieved_leader_cannot_harm() {
    run("
        0      known              => load
        5      known              => load
        5      failed by 0        => done
        5      known              => wait
        5.100  fetched            => done
        5.200  failed by 0        => done
        5.200  state              => fresh
        5.200  fetched at 4 by 0  => done
        5.200  age                => 0
        5.200  known              => use
    ");
}

#[test]
fn late_answer_of_a_relieved_leader_is_used_while_nothing_newer_is_there() {
    run("
        0      known              => load
        5      known              => load
        5.200  fetched at 4 by 0  => done
        5.200  known              => use
        5.200  age                => 1
        5.300  fetched            => done
        5.300  age                => 0
    ");
}

#[test]
fn clock_set_back_makes_everything_load_anew() {
    run("
        9000   known              => load
        9000   fetched            => done
        8970   known              => use
        8969.999 state            => hard_stale
        1000   state              => hard_stale
        1000   known              => load
        1000   fetched            => done
        1000   known              => use
        1000   age                => 0
    ");
}

#[test]
fn known_kid_never_fetches_while_fresh_however_often_its_signature_was_bad() {
    let mut world = World::default();
    world.line("0 known => load");
    world.line("0 fetched => done");
    for i in 0..1_000 {
        world.line(&format!("0.{i:03} known => use"));
    }
}

#[test]
fn backoff_grows_to_a_minute_and_jitter_only_shortens_it() {
    for jitter in [0, 1, 128, 255] {
        let mut cache = KeyCache::new(KeyCacheTtl::default());
        let mut now = 0;
        for longest in [1, 2, 4, 8, 16, 32, 60, 60, 60] {
            let Lookup::Load(ticket) = cache.lookup(millis(now), &known(), 0) else {
                panic!("a load is due at {now}");
            };
            cache.report(millis(now), ticket, Report::Failed { jitter });
            let pause = pause_ms(&mut cache, now);
            let shortest = (longest * 500).max(1000);
            assert!(
                (shortest..=longest * 1000).contains(&pause),
                "{pause} after {jitter}"
            );
            assert!(jitter != 0 || pause == longest * 1000);
            now += pause;
        }
    }
}

/// However lookups, reports and losses fall, invented ids cause at most one fetch in 30 s, a
/// fetch is never started beside another, and keys past the hard limit are never used.
#[test]
fn no_sequence_of_events_breaks_the_budget() {
    for seed in 0..200 {
        let mut random = Random::new(seed);
        let mut cache = KeyCache::new(KeyCacheTtl::default());
        let mut now = 1_000_000;
        let mut forced_at = None;
        let mut open: Vec<(Ticket, u64)> = Vec::new();
        let mut good_at = None;
        for _ in 0..500 {
            now += random.bits() % [20, 500, 5_000, 400_000][random.below(4)];
            let kid = if random.below(2) == 0 {
                known()
            } else {
                unknown()
            };
            match cache.lookup(millis(now), &kid, 0) {
                Lookup::ForcedRefetch(ticket) => {
                    assert!(forced_at.is_none_or(|at| now - at >= 30_000), "seed {seed}");
                    forced_at = Some(now);
                    open.push((ticket, now));
                }
                Lookup::Load(ticket) | Lookup::UseAndRefresh(_, ticket) => {
                    assert!(
                        open.iter().all(|(_, since)| now - since >= 3_000),
                        "seed {seed}"
                    );
                    open.push((ticket, now));
                }
                Lookup::Use(_) => {
                    assert!(
                        good_at.is_some_and(|at| now - at < 3_600_000),
                        "seed {seed}"
                    );
                }
                Lookup::UnknownKey => assert_ne!(kid, known(), "seed {seed}"),
                Lookup::Wait { .. } => assert!(!open.is_empty(), "seed {seed}"),
                Lookup::Unavailable { retry_after_secs } => {
                    assert!((1..=60).contains(&retry_after_secs), "seed {seed}");
                }
            }
            if !open.is_empty() && random.below(3) > 0 {
                let (ticket, fetched_at) = open.remove(random.below(open.len()));
                if random.below(2) == 0 {
                    let document = key_set(&[jwk()]);
                    let (document, jitter) = (document.as_bytes(), random.byte());
                    let fetched_at = millis(fetched_at);
                    cache.report(
                        millis(now),
                        ticket,
                        Report::Fetched {
                            document,
                            fetched_at,
                            jitter,
                        },
                    );
                    good_at = good_at.max(Some(fetched_at.as_millis()));
                } else {
                    cache.report(
                        millis(now),
                        ticket,
                        Report::Failed {
                            jitter: random.byte(),
                        },
                    );
                }
            }
            open.retain(|(_, since)| now - since < 5_000);
        }
    }
}

/// A hundred requests at once on a cold cache, the issuer answering after 100 ms.
#[test]
fn hundred_cold_requests_make_one_fetch() {
    let mut cache = KeyCache::new(KeyCacheTtl::default());
    let mut fetches = 0;
    let mut leader = None;
    let mut served = 0;
    for step in 0..10 {
        let now = 25 * step;
        if let (Some(ticket), 100) = (leader, now) {
            let document = key_set(&[jwk()]);
            let (document, fetched_at) = (document.as_bytes(), millis(0));
            cache.report(
                millis(now),
                ticket,
                Report::Fetched {
                    document,
                    fetched_at,
                    jitter: 0,
                },
            );
        }
        let waiting = 100 - served;
        for _ in 0..waiting {
            match cache.lookup(millis(now), &known(), u32::try_from(now).expect("small")) {
                Lookup::Load(ticket) => {
                    fetches += 1;
                    leader = Some(ticket);
                }
                Lookup::Use(_) => served += 1,
                Lookup::Wait { again_after_ms } => assert_eq!(again_after_ms, 25),
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!((fetches, served), (1, 100));
}

#[test]
fn loading_ahead_is_one_load_like_any_other() {
    run("
        0      ahead              => load
        0      ahead              => nothing
        0.025  known              => wait
        0.100  fetched            => done
        0.100  ahead              => nothing
        0.100  known              => use
        300    ahead              => nothing
        3600.100 ahead            => load
        3600.100 failed           => done
        3601.099 ahead            => nothing
        3601.100 ahead            => load
        3606.099 ahead            => nothing
        3606.100 ahead            => load
    ");
}

#[test]
fn exported_keys_can_be_given_back_as_a_copy() {
    let mut first = World::default();
    first.line("100 known => load");
    first.line("100 fetched => done");
    let (document, fetched_at) = first.cache.export().expect("keys are held");
    let mut second = KeyCache::new(KeyCacheTtl::default());
    let later = moment("150");
    let Lookup::Load(ticket) = second.lookup(later, &known(), 0) else {
        panic!("the cache is cold");
    };
    let report = Report::Copy {
        document: document.as_bytes(),
        fetched_at,
    };
    assert_eq!(second.report(later, ticket, report), Outcome::Done);
    assert_eq!(second.age_secs(later), Some(50));
    let fingerprint = |cache: &KeyCache| cache.usable(later).map(KeySet::fingerprint);
    assert_eq!(fingerprint(&second), fingerprint(&first.cache));
    let mut third = KeyCache::new(KeyCacheTtl::default());
    let document = document.as_bytes();
    assert!(!third.import(later, b"{}", fetched_at));
    assert!(
        !third.import(moment("3700"), document, fetched_at),
        "past the hard limit"
    );
    assert!(third.import(later, document, fetched_at));
    assert!(!third.import(later, document, fetched_at), "not newer");
    assert_eq!(fingerprint(&third), fingerprint(&first.cache));
}

#[test]
fn limits_are_what_was_asked_for_and_have_bounds() {
    for (soft, hard) in [(0, 10), (11, 10), (1, 86_401), (u64::MAX, u64::MAX)] {
        assert_eq!(KeyCacheTtl::from_secs(soft, hard), None);
    }
    for (soft, hard) in [(1, 1), (300, 3_600), (86_400, 86_400)] {
        assert!(KeyCacheTtl::from_secs(soft, hard).is_some());
    }
    let ttl = KeyCacheTtl::from_secs(2, 5).expect("in range");
    let mut world = World {
        cache: KeyCache::new(ttl),
        ..World::default()
    };
    for line in [
        "0 known => load",
        "0 fetched => done",
        "1.999 known => use",
        "2 known => use_and_refresh",
        "2 failed => done",
        "4.999 state => degraded",
        "5 usable => none",
    ] {
        world.line(line);
    }
}

/// Every state the cache can be in and everything that can happen to it: what it answers, and
/// the state it is in then. The list was written by the machine and is kept by people: each line
/// is one of the rules in the module's documentation.
#[test]
fn every_state_answers_every_event_as_the_list_says() {
    let mut list = String::new();
    for (name, script, now) in STATES {
        for event in EVENTS {
            let mut world = World::default();
            script.lines().for_each(|line| world.line(line.trim()));
            // What is reported in a state without a leader comes from one that was relieved.
            if world.tickets.is_empty() {
                world.tickets.push(Ticket::from_number(0));
            }
            let answer = world.event(moment(now), &event.split(' ').collect::<Vec<_>>());
            let after = state(world.cache.state(moment(now)));
            let leads = match world.cache.clone().lookup(moment(now), &known(), 0) {
                Lookup::Wait { .. } => "loading",
                Lookup::Load(_) | Lookup::UseAndRefresh(..) => "due",
                _ => "at rest",
            };
            writeln!(
                list,
                "{name:<22} {event:<18} => {answer:<18} {after:<10} {leads}"
            )
            .expect("text");
        }
    }
    let kept = include_str!("key_cache.txt");
    for (made, kept) in list.lines().zip(kept.lines()) {
        assert_eq!(made, kept);
    }
    assert_eq!(list.lines().count(), kept.lines().count());
}

/// Each with the way there, and an instant.
const STATES: [(&str, &str, &str); 17] = [
    ("empty", "", "0"),
    ("loading", "0 known => load", "1"),
    ("leader is late", "0 known => load", "3.250"),
    ("leader is dead", "0 known => load", "5"),
    ("cold, pausing", COLD_FAILED, "0.500"),
    ("cold, pause over", COLD_FAILED, "1"),
    ("fresh, asked", LOADED, "10"),
    ("fresh", LOADED, "30"),
    (
        "fresh, refetching",
        "0 known => load\n0 fetched => done\n30 unknown => forced",
        "31",
    ),
    ("soft-stale", LOADED, "300"),
    (
        "soft-stale, loading",
        "0 known => load\n0 fetched => done\n300 known => use_and_refresh",
        "301",
    ),
    ("degraded, pausing", DEGRADED, "300.500"),
    ("degraded, pause over", DEGRADED, "301"),
    ("degraded, long after", DEGRADED, "330"),
    ("hard-stale", LOADED, "3600"),
    (
        "hard-stale, loading",
        "0 known => load\n0 fetched => done\n3600 known => load",
        "3601",
    ),
    (
        "hard-stale, pausing",
        "0 known => load\n0 fetched => done\n3600 known => load\n3600 failed => done",
        "3600.500",
    ),
];
const LOADED: &str = "0 known => load\n0 fetched => done";
const COLD_FAILED: &str = "0 known => load\n0 failed => done";
const DEGRADED: &str =
    "0 known => load\n0 fetched => done\n300 known => use_and_refresh\n300 failed => done";

/// Requests, some of which have waited, and everything that can be reported.
const EVENTS: [&str; 16] = [
    "known",
    "known waited 3250",
    "known waited 6000",
    "unknown",
    "unknown waited 3000",
    "copy aged 10",
    "copy aged 1000",
    "copy aged 3600",
    "copy broken",
    "copy unusable",
    "fetched",
    "fetched other",
    "fetched unusable",
    "fetched broken",
    "failed",
    "skipped",
];

struct World {
    cache: KeyCache,
    tickets: Vec<Ticket>,
}

impl Default for World {
    fn default() -> Self {
        Self {
            cache: KeyCache::new(KeyCacheTtl::default()),
            tickets: Vec::new(),
        }
    }
}

fn run(script: &str) {
    let mut world = World::default();
    script
        .lines()
        .filter(|line| !line.trim().is_empty())
        .for_each(|line| world.line(line));
}

impl World {
    fn line(&mut self, line: &str) {
        let (event, expected) = line.split_once("=>").expect("a line has an answer");
        let words: Vec<_> = event.split_whitespace().collect();
        let answer = self.event(moment(words[0]), &words[1..]);
        assert_eq!(answer, expected.trim(), "{}", line.trim());
    }

    fn event(&mut self, now: UnixMillis, words: &[&str]) -> String {
        match words {
            ["known" | "other" | "unknown", ..] => self.lookup(now, words),
            ["ahead"] => {
                let ticket = self.cache.load_ahead(now);
                self.tickets.extend(ticket);
                ticket.map_or("nothing", |_| "load").to_owned()
            }
            ["state"] => state(self.cache.state(now)).to_owned(),
            ["age"] => self.cache.age_secs(now).expect("keys are held").to_string(),
            ["usable"] => self.cache.usable(now).map_or("none", |_| "some").to_owned(),
            _ => self.report(now, words),
        }
    }

    fn lookup(&mut self, now: UnixMillis, words: &[&str]) -> String {
        let kid = match words[0] {
            "known" => known(),
            "other" => thumbprint(&other_key().verifying_key().to_bytes()),
            _ => unknown(),
        };
        let waited_ms = words
            .get(2)
            .map_or(0, |text| text.parse().expect("milliseconds"));
        let (answer, ticket) = match self.cache.lookup(now, &kid, waited_ms) {
            Lookup::Use(keys) => {
                assert!(keys.get(&kid).is_some());
                ("use".to_owned(), None)
            }
            Lookup::UseAndRefresh(_, ticket) => ("use_and_refresh".to_owned(), Some(ticket)),
            Lookup::Load(ticket) => ("load".to_owned(), Some(ticket)),
            Lookup::ForcedRefetch(ticket) => ("forced".to_owned(), Some(ticket)),
            Lookup::Wait { .. } => ("wait".to_owned(), None),
            Lookup::UnknownKey => ("unknown_key".to_owned(), None),
            Lookup::Unavailable { retry_after_secs } => {
                (format!("unavailable {retry_after_secs}"), None)
            }
        };
        self.tickets.extend(ticket);
        answer
    }

    fn report(&mut self, now: UnixMillis, words: &[&str]) -> String {
        let ticket = match words {
            [.., "by", n] => self.tickets[n.parse::<usize>().expect("a number")],
            _ => *self.tickets.last().expect("somebody leads"),
        };
        let document = match words {
            [_, "broken", ..] => "{".to_owned(),
            [_, "unusable", ..] => key_set(&[]),
            [_, "other", ..] => key_set(&[other_jwk()]),
            [_, "both", ..] => key_set(&[jwk(), other_jwk()]),
            _ => key_set(&[jwk()]),
        };
        let document = document.as_bytes();
        let fetched_at = match words {
            [_, "aged", secs, ..] => millis(now.as_millis() - duration_ms(secs)),
            [_, "from", "tomorrow"] => millis(now.as_millis() + 86_400_000),
            [_, "at", secs, ..] => moment(secs),
            _ => now,
        };
        let report = match words[0] {
            "copy" => Report::Copy {
                document,
                fetched_at,
            },
            "fetched" => Report::Fetched {
                document,
                fetched_at,
                jitter: 0,
            },
            "failed" => Report::Failed { jitter: 0 },
            "skipped" => Report::Skipped,
            other => panic!("{other} is no event"),
        };
        outcome(self.cache.report(now, ticket, report)).to_owned()
    }
}

fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Done => "done",
        Outcome::FetchFromIssuer => "fetch_from_issuer",
        Outcome::Rejected(_) => "rejected",
    }
}

fn state(state: CacheState) -> &'static str {
    match state {
        CacheState::Empty => "empty",
        CacheState::Fresh => "fresh",
        CacheState::SoftStale => "soft_stale",
        CacheState::Degraded => "degraded",
        CacheState::HardStale => "hard_stale",
    }
}

/// Milliseconds until a load is due again.
fn pause_ms(cache: &mut KeyCache, now: u64) -> u64 {
    let due = |ms: &u64| {
        !matches!(
            cache.clone().lookup(millis(now + ms), &known(), 0),
            Lookup::Unavailable { .. }
        )
    };
    (1..=60_000).find(due).expect("within a minute")
}

/// So many seconds after the scripts begin.
fn moment(text: &str) -> UnixMillis {
    millis(BEGIN_MS + duration_ms(text))
}

/// Seconds with up to three decimals as milliseconds.
fn duration_ms(text: &str) -> u64 {
    let (secs, rest) = text.split_once('.').unwrap_or((text, ""));
    let number = |text: &str| text.parse::<u64>().expect("a number");
    number(secs) * 1000
        + if rest.is_empty() {
            0
        } else {
            number(&format!("{rest:0<3}"))
        }
}

/// 2026-11-18T11:06:40Z.
const BEGIN_MS: u64 = 1_795_000_000_000;

fn millis(ms: u64) -> UnixMillis {
    UnixMillis::from_millis(ms)
}

fn known() -> Kid {
    Kid::parse(forge::KID).expect("43 characters")
}

fn unknown() -> Kid {
    Kid::parse(&"A".repeat(43)).expect("43 characters")
}
