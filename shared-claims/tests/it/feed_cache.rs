//! The feed cache, as scripts: each line is an instant in seconds, what happens, and what the
//! cache must answer. Documents say how old they are: `aged` counts from the line's instant.

use shared_claims::{
    Consult, FeedCache, FeedReport, Poll, Recency, RevocationDocument, RevocationError,
    Revocations, Ticket, UnixMillis, UnixTime,
};

use crate::forge::{ISSUER, NOW};
use crate::random::Random;
use crate::revocations::{document, feed_keys, key};

#[test]
fn cold_cache_polls_once_and_others_wait_for_half_a_second() {
    run("
        0      request             => poll_first 500 full
        0      request             => wait
        0.400  request waited 400  => wait
        0.500  request waited 500  => stale without
        0.600  full 10             => ok
        0.600  request waited 100  => check 10
    ");
}

#[test]
fn feed_is_polled_once_a_second_in_the_background() {
    run("
        0      request             => poll_first 500 full
        0.100  full 10             => ok
        0.999  request             => check 10
        1      request             => check_and_poll since 10
        1      request             => check 10
        1.050  delta 12 on 10      => ok
        1.050  request             => check 12
        1.999  request             => check 12
        2      request             => check_and_poll since 12
    ");
}

#[test]
fn idle_cache_polls_before_it_answers_when_what_it_holds_is_too_old() {
    run("
        0      request             => poll_first 500 full
        0      full 10             => ok
        30     request             => check_and_poll since 10
        30     failed              => ok
        40     request             => poll_first 250 since 10
        40     request             => wait
        40.250 request waited 250  => stale with 10
        40.300 delta 10 on 10      => ok
        40.300 request             => check 10
    ");
}

#[test]
fn issuer_that_is_away_makes_nobody_wait_while_pausing() {
    run("
        0      request             => poll_first 500 full
        0      full 10             => ok
        60     request             => poll_first 250 full
        60     failed              => ok
        60     request             => stale with 10
        60.999 request             => stale with 10
        61     request             => poll_first 250 full
        61     failed              => ok
        62.999 request             => stale with 10
        63     request             => poll_first 250 full
        63     failed              => ok
        67     request             => poll_first 250 full
        67     failed              => ok
        70.999 request             => stale with 10
        71     request             => poll_first 250 full
        71     full 11             => ok
        71     request             => check 11
    ");
}

#[test]
fn full_document_is_fetched_once_a_minute() {
    run("
        0      request             => poll_first 500 full
        0      full 10             => ok
        20     request             => check_and_poll since 10
        20     delta 10 on 10      => ok
        40     request             => check_and_poll since 10
        40     delta 11 on 10      => ok
        59.999 request             => check_and_poll since 11
        59.999 delta 11 on 11      => ok
        61     request             => check_and_poll full
        61     full 11             => ok
        62     request             => check_and_poll since 11
    ");
}

#[test]
fn delta_that_does_not_continue_leads_to_the_full_document_at_once() {
    run("
        0      request             => poll_first 500 full
        0      full 10             => ok
        1      request             => check_and_poll since 10
        1.100  delta 13 on 12      => wrong_base
        1.100  request             => check_and_poll full
        1.200  full 13             => ok
        1.200  request             => check 13
        2.100  request             => check_and_poll since 13
    ");
}

#[test]
fn wait_never_goes_beyond_what_the_request_may_wait() {
    let mut cache = FeedCache::new(ISSUER);
    let _poll = cache.consult(moment("0"), BOUNDED, 0);
    for (waited_ms, expected) in [(0, 25), (475, 25), (476, 24), (499, 1)] {
        let answer = cache.consult(moment("0.500"), BOUNDED, waited_ms);
        assert!(matches!(answer, Consult::Wait { again_after_ms } if again_after_ms == expected));
    }
}

#[test]
fn delta_that_outgrows_the_bound_leads_to_the_full_document_at_once() {
    let mut world = World::default();
    world.line("0 request => poll_first 500 full");
    let sids = |from: u64, to: u64| (from..to).map(u64::to_be_bytes).collect();
    let report = |world: &mut World, now, document: &RevocationDocument| {
        let jws = key().sign_revocations(document);
        let report = FeedReport::Answered {
            jws: &jws,
            keys: &feed_keys(),
            etag: None,
            jitter: 0,
        };
        world
            .cache
            .report(moment(now), *world.tickets.last().unwrap(), report)
    };
    let full = RevocationDocument {
        sids: sids(0, 10_000),
        ..document()
    };
    assert_eq!(report(&mut world, "0", &full), Ok(()));
    world.line("1 request => check_and_poll since 10");
    let delta = RevocationDocument {
        seq: 11,
        base: Some(10),
        sids: sids(20_000, 20_001),
        ..document()
    };
    assert_eq!(
        report(&mut world, "1.1", &delta),
        Err(RevocationError::TooLarge)
    );
    world.line("1.1 request => check_and_poll full");
    let anew = RevocationDocument {
        seq: 11,
        reject_before: Some(UnixTime::from_secs(NOW)),
        ..document()
    };
    assert_eq!(report(&mut world, "1.2", &anew), Ok(()));
    world.line("1.2 request => check 11");
}

#[test]
fn late_delta_that_does_not_continue_is_a_failure_like_any_other() {
    run("
        0      request             => poll_first 500 full
        0      full 10             => ok
        1      request             => check_and_poll since 10
        2      request             => check_and_poll since 10
        2.100  delta 13 on 12 by 1 => wrong_base
        2.100  delta 9 on 8 by 1   => older
        3      request             => check 10
        3.100  request             => check_and_poll full
    ");
}

#[test]
fn delta_in_answer_to_a_full_poll_is_no_reason_to_hurry() {
    run("
        0      request             => poll_first 500 full
        0      delta 10 on 9       => wrong_base
        0      request             => stale without
        0.999  request             => stale without
        1      request             => poll_first 500 full
    ");
}

#[test]
fn document_of_an_issuer_that_is_behind_is_refused_without_a_pause() {
    run("
        0      request             => poll_first 500 full
        0      full 10             => ok
        1      request             => check_and_poll since 10
        1      full 9              => older
        1      request             => check 10
        2      request             => check_and_poll since 10
        2      full 10 aged 3      => older
        3      request             => check_and_poll since 10
    ");
}

#[test]
fn document_that_is_refused_counts_as_failure() {
    run("
        0      request             => poll_first 500 full
        0      broken              => refused
        0      request             => stale without
        0.999  request             => stale without
        1      request             => poll_first 500 full
        1      full 10 aged 90     => expired
        2.999  request             => stale without
        3      request             => poll_first 500 full
        3      full 10             => ok
        3      request             => check 10
    ");
}

#[test]
fn refused_delta_is_followed_by_the_full_document_after_a_pause() {
    run("
        0      request             => poll_first 500 full
        0      full 10             => ok
        1      request             => check_and_poll since 10
        1      broken              => refused
        1.999  request             => check 10
        2      request             => check_and_poll full
    ");
}

#[test]
fn not_modified_proves_what_is_held_current() {
    run("
        0      request             => poll_first 500 full
        0      full 10 tag a       => ok
        1      request             => check_and_poll since 10
        1      delta 10 on 10 tag b => ok
        2      request             => check_and_poll since 10 tag b
        2      not_modified        => ok
        2.500  strict              => check 10
        3      request             => check_and_poll since 10 tag b
        3      delta 11 on 10 tag c => ok
        4      request             => check_and_poll since 11
    ");
}

#[test]
fn not_modified_makes_nothing_younger() {
    run("
        0      request             => poll_first 500 full
        0      full 10             => ok
        20     request             => check_and_poll since 10
        20     not_modified        => ok
        31     request             => poll_first 250 since 10
        31     not_modified        => ok
        31     request             => stale with 10
    ");
}

#[test]
fn strict_request_asks_unless_the_last_second_has_proved_it_current() {
    run("
        0      strict              => poll_first 500 full
        0.300  full 10             => ok
        0.999  strict              => check 10
        1      strict              => poll_first 250 since 10
        1      strict              => wait
        1      request             => check 10
        1.100  delta 10 on 10      => ok
        1.100  strict              => check 10
        2      strict              => poll_first 250 since 10
        2.250  strict waited 250   => stale with 10
        2.300  failed              => ok
        2.300  strict              => stale with 10
        2.300  request             => check 10
    ");
}

#[test]
fn strict_request_refuses_a_document_that_has_expired_though_proved_current() {
    run("
        0      strict              => poll_first 500 full
        0      full 10             => ok
        30     request             => check_and_poll since 10
        30     not_modified        => ok
        60     strict              => poll_first 250 full
        60     not_modified        => ok
        60.999 strict              => check 10
        61     strict              => poll_first 250 since 10
        61     not_modified        => ok
        61     strict              => stale with 10
    ");
}

#[test]
fn poll_that_hangs_is_followed_by_the_next_after_a_second() {
    run("
        0      request             => poll_first 500 full
        0      full 10             => ok
        1      request             => check_and_poll since 10
        1.999  request             => check 10
        2      request             => check_and_poll since 10
        2.100  delta 12 on 10      => ok
        2.200  delta 11 on 10 by 1 => older
        2.200  request             => check 12
    ");
}

#[test]
fn issuer_that_hangs_is_left_alone_though_its_polls_were_given_up_on() {
    run("
        0      request             => poll_first 500 full
        0      full 10             => ok
        1      request             => check_and_poll since 10
        2      request             => check_and_poll since 10
        3      request             => check_and_poll since 10
        4      failed by 1         => ok
        4.999  request             => check 10
        5      failed by 2         => ok
        6      failed by 3         => ok
        9.999  request             => check 10
        10     request             => check_and_poll since 10
    ");
}

#[test]
fn failure_of_an_earlier_poll_is_forgotten_after_a_success() {
    run("
        0      request             => poll_first 500 full
        0      full 10             => ok
        1      request             => check_and_poll since 10
        2      request             => check_and_poll since 10
        2.100  delta 10 on 10      => ok
        2.200  failed by 1         => ok
        2.200  strict              => check 10
        3      request             => check_and_poll since 10
    ");
}

#[test]
fn late_success_counts_from_when_its_poll_began() {
    run("
        0      request             => poll_first 500 full
        0      full 10             => ok
        1      request             => check_and_poll since 10
        2      request             => check_and_poll since 10
        2.100  not_modified by 1   => ok
        2.100  strict              => wait
        2.200  delta 10 on 10      => ok
        2.200  strict              => check 10
    ");
}

#[test]
fn slow_issuer_is_not_asked_for_the_full_document_each_time() {
    run("
        0      request             => poll_first 500 full
        1      request             => poll_first 500 full
        1.200  full 10 by 0        => ok
        2      request             => check_and_poll since 10
        2.200  full 10 by 1        => ok
        3      request             => check_and_poll since 10
        3.200  delta 11 on 10 by 2 => ok
        4      request             => check_and_poll since 11
    ");
}

#[test]
fn late_document_of_a_poll_given_up_on_is_used_when_newer() {
    run("
        0      request             => poll_first 500 full
        1      request             => poll_first 500 full
        1.100  full 10 by 0        => ok
        1.100  request             => check 10
        1.100  strict              => wait
    ");
}

#[test]
fn clock_set_back_makes_what_is_held_too_old() {
    run("
        1000   request             => poll_first 500 full
        1000   full 10             => ok
        971    request             => check 10
        970    request             => check 10
        969    request             => poll_first 250 full
        969    full 10             => older
    ");
}

#[test]
fn unusual_entity_tags_are_not_repeated() {
    for (etag, repeated) in [
        ("\"a\"", true),
        (&*"x".repeat(132), true),
        (&*"x".repeat(133), false),
        ("a b", false),
        ("a\r\nb", false),
        ("\u{e9}", false),
    ] {
        let mut world = World::default();
        world.line("0 request => poll_first 500 full");
        let jws = key().sign_revocations(&document());
        let report = FeedReport::Answered {
            jws: &jws,
            keys: &feed_keys(),
            etag: Some(etag),
            jitter: 0,
        };
        assert_eq!(
            world.cache.report(moment("0"), world.tickets[0], report),
            Ok(())
        );
        let Consult::CheckAndPoll(_, poll) = world.cache.consult(moment("60"), LENIENT, 0) else {
            panic!("a poll is due");
        };
        assert_eq!(poll.etag.is_some(), repeated, "{etag:?}");
    }
}

#[test]
fn tag_is_repeated_only_with_the_question_it_answered() {
    run("
        0      request             => poll_first 500 full
        0      full 10 tag a       => ok
        1      request             => check_and_poll since 10
        1      failed              => ok
        61     request             => poll_first 250 full tag a
        61     full 10 tag b by 1  => ok
        62     request             => check_and_poll full
    ");
}

/// However requests, answers and losses fall, polls never start more often than once a
/// second plus one for each delta that did not continue, and what is held never goes back.
#[test]
fn no_sequence_of_events_polls_too_often_or_goes_back() {
    for seed in 0..100 {
        let mut random = Random::new(seed);
        let mut world = World::default();
        let (mut now, mut seq, mut polled_at, mut excused) = (0, 10, None, false);
        for _ in 0..300 {
            now += random.bits() % [20, 300, 2_000, 40_000][random.below(4)];
            let recency = if random.below(4) == 0 {
                Recency::Strict
            } else {
                BOUNDED
            };
            let waited = u32::try_from(random.below(600)).expect("small");
            let before = world.cache.held().map(|held| (held.epoch(), held.seq()));
            if world
                .consult(moment_ms(now), recency, waited)
                .contains("poll")
            {
                assert!(
                    excused || polled_at.is_none_or(|at| now - at >= 1_000),
                    "seed {seed}"
                );
                (polled_at, excused) = (Some(now), false);
            }
            if !world.tickets.is_empty() && random.below(2) == 0 {
                seq += random.bits() % 2;
                let base = seq.saturating_sub(random.bits() % 2);
                let event = match random.below(4) {
                    0 => "failed".to_owned(),
                    1 => "not_modified".to_owned(),
                    2 => format!("full {seq} aged {}", random.below(3)),
                    _ => format!("delta {seq} on {base}"),
                };
                let words: Vec<_> = event.split(' ').collect();
                excused |= world.report(moment_ms(now), &words) == "wrong_base";
            }
            let after = world.cache.held().map(|held| (held.epoch(), held.seq()));
            assert!(after >= before, "seed {seed}");
        }
    }
}

struct World {
    cache: FeedCache,
    tickets: Vec<Ticket>,
}

impl Default for World {
    fn default() -> Self {
        Self {
            cache: FeedCache::new(ISSUER),
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
        let (now, words) = (moment(words[0]), &words[1..]);
        let waited_ms = words.get(2).and_then(|text| text.parse().ok()).unwrap_or(0);
        let answer = match words[0] {
            "request" => self.consult(now, BOUNDED, waited_ms),
            "strict" => self.consult(now, Recency::Strict, waited_ms),
            _ => self.report(now, words).to_owned(),
        };
        assert_eq!(answer, expected.trim(), "{}", line.trim());
    }

    fn consult(&mut self, now: UnixMillis, recency: Recency, waited_ms: u32) -> String {
        let current = self.cache.current(now, recency).map(Revocations::seq);
        let answer = self.cache.consult(now, recency, waited_ms);
        let to_check = match answer {
            Consult::Check(held) => Some(held.seq()),
            _ => None,
        };
        assert_eq!(
            current, to_check,
            "what is current is what is just checked against"
        );
        let (answer, ticket) = match answer {
            Consult::Check(held) => (format!("check {}", held.seq()), None),
            Consult::CheckAndPoll(_, poll) => (
                format!("check_and_poll {}", question(&poll)),
                Some(poll.ticket),
            ),
            Consult::PollFirst { wait_ms, poll } => (
                format!("poll_first {wait_ms} {}", question(&poll)),
                Some(poll.ticket),
            ),
            Consult::Wait { again_after_ms } => {
                assert!((1..=25).contains(&again_after_ms), "{again_after_ms}");
                ("wait".to_owned(), None)
            }
            Consult::Stale(None) => ("stale without".to_owned(), None),
            Consult::Stale(Some(held)) => (format!("stale with {}", held.seq()), None),
        };
        self.tickets.extend(ticket);
        answer
    }

    fn report(&mut self, now: UnixMillis, words: &[&str]) -> &'static str {
        let number = |name| after(words, name).map(|text| text.parse::<u64>().expect("a number"));
        let ticket = match number("by") {
            Some(n) => self.tickets[usize::try_from(n).expect("small")],
            None => *self.tickets.last().expect("somebody polls"),
        };
        let jws = key().sign_revocations(&RevocationDocument {
            seq: number("full").or(number("delta")).unwrap_or(0),
            base: number("on"),
            as_of: UnixTime::from_secs(now.to_secs().as_secs() - number("aged").unwrap_or(0)),
            ..document()
        });
        let report = match words[0] {
            "failed" => FeedReport::Failed { jitter: 0 },
            "not_modified" => FeedReport::NotModified,
            "broken" => FeedReport::Answered {
                jws: "x",
                keys: &feed_keys(),
                etag: None,
                jitter: 0,
            },
            _ => FeedReport::Answered {
                jws: &jws,
                keys: &feed_keys(),
                etag: after(words, "tag"),
                jitter: 0,
            },
        };
        match self.cache.report(now, ticket, report) {
            Ok(()) => "ok",
            Err(RevocationError::Older) => "older",
            Err(RevocationError::WrongBase) => "wrong_base",
            Err(RevocationError::Expired) => "expired",
            Err(_) => "refused",
        }
    }
}

fn question(poll: &Poll) -> String {
    let since = poll
        .since
        .map_or("full".to_owned(), |seq| format!("since {seq}"));
    let etag = poll
        .etag
        .as_ref()
        .map_or(String::new(), |etag| format!(" tag {etag}"));
    since + &etag
}

/// The word behind `name`.
fn after<'a>(words: &[&'a str], name: &str) -> Option<&'a str> {
    let at = words.iter().position(|word| *word == name)?;
    words.get(at + 1).copied()
}

/// So many seconds, with up to three decimals, after the scripts begin.
fn moment(text: &str) -> UnixMillis {
    let (secs, rest) = text.split_once('.').unwrap_or((text, ""));
    let number = |text: &str| text.parse::<u64>().expect("a number");
    moment_ms(
        number(secs) * 1000
            + if rest.is_empty() {
                0
            } else {
                number(&format!("{rest:0<3}"))
            },
    )
}

fn moment_ms(ms: u64) -> UnixMillis {
    UnixMillis::from_millis(NOW * 1000 + ms)
}

const BOUNDED: Recency = Recency::Bounded { max_age_secs: 30 };
const LENIENT: Recency = Recency::Bounded {
    max_age_secs: 3_600,
};
