//! The verifier as a WebAssembly module whose interface is numbers.
//!
//! Everything that decides is in `shared-claims`; JavaScript (`js/`) has the clock, the network
//! and the timers. One instance of the module holds one verifier, so that a trap costs nobody
//! else anything and an abandoned verifier is collected with its memory.
//!
//! The module imports nothing, and no function takes or returns anything but numbers. Bytes
//! pass through two buffers: JavaScript asks [`input`] for room, writes there, and says in the
//! next call how many bytes it has written; what a call has to say in words is at [`output`].
//! Times are milliseconds since 1970. Before [`open`] every call does nothing and returns 0.
#![cfg_attr(all(feature = "freestanding", target_family = "wasm"), no_std)]

extern crate alloc;

mod feed;
#[cfg(all(feature = "freestanding", target_family = "wasm"))]
mod freestanding;
mod instance;
mod keys;
#[cfg(feature = "planted-faults")]
mod planted;
mod state;

use alloc::borrow::ToOwned;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use atomic_refcell::AtomicRefCell;
use shared_claims::{Leeway, Policy, Report, SignatureTables, Ticket, UnixMillis};
use wasm_bindgen::prelude::wasm_bindgen;

use feed::{Answered, Feed, Outcome};
use instance::{Answer, Instance, Patience};
use keys::Keys;

/// All that this instance of the module holds.
struct Module {
    input: Vec<u8>,
    output: String,
    instance: Option<Instance>,
    tables: Option<([u8; 32], SignatureTables)>,
}

/// There is one thread. After a panic this stays borrowed, so that every further call traps, too.
static MODULE: AtomicRefCell<Module> = AtomicRefCell::new(Module {
    input: Vec::new(),
    output: String::new(),
    instance: None,
    tables: None,
});

/// Makes room for so many bytes and says where. The place is good until the next call.
#[wasm_bindgen]
pub fn input(len: usize) -> *mut u8 {
    with_module(|module| {
        if module.input.len() < len {
            module.input.resize(len, 0);
        }
        module.input.as_mut_ptr()
    })
}

/// Where the words of the last call are.
#[wasm_bindgen]
pub fn output() -> *const u8 {
    with_module(|module| module.output.as_ptr())
}

/// How many bytes they are.
#[wasm_bindgen]
pub fn output_len() -> usize {
    with_module(|module| module.output.len())
}

/// Begins a verifier for the issuer in the input that as yet accepts no audience. `false` when
/// the leeway is too large.
#[wasm_bindgen]
pub fn open(issuer_len: usize, leeway_secs: u32) -> bool {
    with_module(|module| {
        let issuer = text(&module.input, issuer_len).to_owned();
        let leeway = Leeway::from_secs(u64::from(leeway_secs));
        module.instance = leeway.map(|leeway| {
            Instance::new(Policy {
                leeway,
                audience: Vec::new(),
                ..Policy::new(issuer, "")
            })
        });
        module.instance.is_some()
    })
}

/// Accepts tokens for the audience in the input, too.
#[wasm_bindgen]
pub fn add_audience(len: usize) {
    with_instance(|instance, input, _| instance.add_audience(text(input, len)));
}

/// Uses the key set in the input and no other. `false`, with the reason in words, when it is
/// refused.
#[wasm_bindgen]
pub fn use_key_set(len: usize) -> bool {
    with_instance(|instance, input, output| {
        let result = instance.use_key_set(bytes(input, len));
        result.map_err(|error| *output = error.to_string()).is_ok()
    })
}

/// Refuses what the issuer's feed calls revoked.
#[wasm_bindgen]
pub fn use_revocations() {
    with_instance(|instance, _, _| instance.use_revocations());
}

/// What to do about the token in the input, for a caller that has waited so long for keys and
/// for a poll. Packed as [`answer`] says.
#[wasm_bindgen]
pub fn verify(len: usize, now: f64, for_keys_ms: u32, for_poll_ms: u32) -> u32 {
    let patience = Patience::Waited {
        for_keys_ms,
        for_poll_ms,
    };
    with_instance(|instance, input, output| {
        let to_say = instance.verify(bytes(input, len), millis(now), patience);
        answer(to_say, output)
    })
}

/// [`verify`] for a caller that cannot wait.
#[wasm_bindgen]
pub fn verify_at_once(len: usize, now: f64) -> u32 {
    with_instance(|instance, input, output| {
        let to_say = instance.verify(bytes(input, len), millis(now), Patience::None);
        answer(to_say, output)
    })
}

/// 0 when tokens have to be judged in full, else a number that changes when what was accepted
/// might be judged differently now, but for its times.
#[wasm_bindgen]
pub fn standing(now: f64) -> u32 {
    with_instance(|instance, _, _| instance.standing(millis(now)))
}

/// From when on the token accepted last is good.
#[wasm_bindgen]
pub fn good_from() -> f64 {
    with_instance(|instance, _, _| number(instance.good.start.into()))
}

/// Until when.
#[wasm_bindgen]
pub fn good_until() -> f64 {
    with_instance(|instance, _, _| number(instance.good.end.into()))
}

/// What to do until all is there that [`verify`] needs. Packed as [`answer`] says.
#[wasm_bindgen]
pub fn prepare(now: f64, for_keys_ms: u32, for_poll_ms: u32) -> u32 {
    let patience = Patience::Waited {
        for_keys_ms,
        for_poll_ms,
    };
    with_instance(|instance, _, output| answer(instance.prepare(millis(now), patience), output))
}

/// Wants a poll if one is due, without anybody asking.
#[wasm_bindgen]
pub fn poll_if_due(now: f64) {
    with_feed(|feed, _, _| feed.poll_if_due(millis(now)));
}

/// The ticket of an errand for keys, of the feed or of tokens; 0 when there is none. Whoever
/// takes it owes [`keys_fetched`].
#[wasm_bindgen]
pub fn take_keys_errand(of_feed: bool) -> u32 {
    with_keys(of_feed, |keys, _, _| {
        keys.take_wanted().map_or(0, Ticket::number)
    })
}

/// The ticket of a poll to make; 0 when there is none. The words are what to send as `since`, a
/// space, and what to send as `If-None-Match`; either may be empty. Whoever takes it owes
/// [`poll_answered`] or [`poll_not_modified`].
#[wasm_bindgen]
pub fn take_poll_errand() -> u32 {
    with_feed(|feed, _, output| {
        feed.take_wanted().map_or(0, |poll| {
            let since = poll.since.map(|since| since.to_string());
            *output = since.unwrap_or_default() + " " + &poll.etag.unwrap_or_default();
            poll.ticket.number()
        })
    })
}

/// Takes in the key set in the input; of no bytes when none could be had. `false` when there
/// is nothing in it to use.
#[wasm_bindgen]
pub fn keys_fetched(
    of_feed: bool,
    ticket: u32,
    len: usize,
    fetched_at: f64,
    now: f64,
    jitter: u8,
) -> bool {
    with_keys(of_feed, |keys, input, _| {
        let report = match bytes(input, len) {
            [] => Report::Failed { jitter },
            document => Report::Fetched {
                document,
                fetched_at: millis(fetched_at),
                jitter,
            },
        };
        keys.report(millis(now), Ticket::from_number(ticket), report)
    })
}

/// Takes in the document in the input, followed there by its entity tag; of no bytes when none
/// could be had. `false` when it has to be handed in again after the errand for the feed's keys.
#[wasm_bindgen]
pub fn poll_answered(ticket: u32, jws_len: usize, etag_len: usize, now: f64, jitter: u8) -> bool {
    with_feed(|feed, input, _| {
        let (jws, etag) = input.split_at_checked(jws_len).unwrap_or_default();
        let etag = str::from_utf8(bytes(etag, etag_len)).ok();
        let answer = Answered {
            jws: str::from_utf8(jws).unwrap_or_default(),
            etag: etag.filter(|etag| !etag.is_empty()),
            jitter,
        };
        let outcome = feed.answered(millis(now), Ticket::from_number(ticket), answer);
        outcome == Outcome::Done
    })
}

/// Takes in that the document held is the latest.
#[wasm_bindgen]
pub fn poll_not_modified(ticket: u32, now: f64) {
    with_feed(|feed, _, _| feed.not_modified(millis(now), Ticket::from_number(ticket)));
}

/// Takes in keys of tokens that came from the issuer at another time or place. `false`, with
/// the reason in words, when they are refused.
#[wasm_bindgen]
pub fn import_keys(len: usize, fetched_at: f64, now: f64) -> bool {
    with_keys(false, |keys, input, output| {
        keys.import(millis(now), bytes(input, len), millis(fetched_at))
            .map_err(|error| *output = error.to_string())
            .is_ok()
    })
}

/// When the keys of tokens came from the issuer, and they themselves in words; 0 when there are
/// none.
#[wasm_bindgen]
pub fn export_keys() -> f64 {
    with_keys(false, |keys, _, output| {
        let (document, fetched_at) = keys.export()?;
        *output = document;
        Some(number(fetched_at))
    })
    .unwrap_or_default()
}

/// Puts into words how the verifier is.
#[wasm_bindgen]
pub fn state(now: f64) {
    with_instance(|instance, _, output| *output = state::to_json(instance, millis(now)));
}

/// Whether the input consists of a public key, a message and a signature that belong together.
#[wasm_bindgen]
pub fn verify_signature(key_len: usize, message_len: usize, signature_len: usize) -> bool {
    with_module(|module| {
        let (key, rest) = module.input.split_at_checked(key_len)?;
        let (message, rest) = rest.split_at_checked(message_len)?;
        let signature = rest.get(..signature_len)?;
        Some(shared_claims::verify_signature(key, message, signature))
    })
    .unwrap_or_default()
}

/// [`verify_signature`] as the tables say it, unconfirmed: 1 when the three belong together, 2 when
/// not, and 0 when there are no tables or they contradict themselves. The tables of the last key
/// are kept.
#[wasm_bindgen]
pub fn verify_signature_by_tables(key_len: usize, message_len: usize, signature_len: usize) -> u32 {
    with_module(|module| {
        let (key, rest) = module.input.split_at_checked(key_len)?;
        let (message, rest) = rest.split_at_checked(message_len)?;
        let signature = rest.get(..signature_len)?;
        let key = key.try_into().ok()?;
        if !matches!(&module.tables, Some((of, _)) if of == key) {
            module.tables = SignatureTables::new(key).map(|tables| (*key, tables));
        }
        let (_, tables) = module.tables.as_ref()?;
        tables
            .verify(message, signature)
            .map(|verdict| if verdict { 1 } else { 2 })
    })
    .unwrap_or_default()
}

/// An answer as a number: what to do in the low byte, seconds or milliseconds above it. The
/// claims, or why a token is refused, are in words.
fn answer(answer: Answer, output: &mut String) -> u32 {
    let (what, amount) = match answer {
        Answer::Accept(claims) => {
            *output = claims;
            (ACCEPT, 0)
        }
        Answer::Refuse(error) => {
            *output = error.to_string();
            output.push_str(": ");
            output.push_str(error.meaning());
            (REFUSE, 0)
        }
        Answer::Unavailable { retry_after_secs } => (
            UNAVAILABLE,
            u32::try_from(retry_after_secs).unwrap_or(MAX_AMOUNT),
        ),
        Answer::AwaitKeys => (AWAIT_KEYS, 0),
        Answer::WaitForKeys { again_after_ms } => (WAIT_FOR_KEYS, again_after_ms),
        Answer::AwaitPoll { wait_ms } => (AWAIT_POLL, wait_ms),
        Answer::WaitForPoll { again_after_ms } => (WAIT_FOR_POLL, again_after_ms),
    };
    amount.min(MAX_AMOUNT) << AMOUNT_SHIFT | what
}

fn with_module<T>(act: impl FnOnce(&mut Module) -> T) -> T {
    act(&mut MODULE.borrow_mut())
}

fn with_instance<T: Default>(act: impl FnOnce(&mut Instance, &[u8], &mut String) -> T) -> T {
    with_module(|module| match &mut module.instance {
        Some(instance) => act(instance, &module.input, &mut module.output),
        None => T::default(),
    })
}

fn with_feed<T: Default>(act: impl FnOnce(&mut Feed, &[u8], &mut String) -> T) -> T {
    with_instance(|instance, input, output| match &mut instance.feed {
        Some(feed) => act(feed, input, output),
        None => T::default(),
    })
}

fn with_keys<T: Default>(of_feed: bool, act: impl FnOnce(&mut Keys, &[u8], &mut String) -> T) -> T {
    if of_feed {
        with_feed(|feed, input, output| act(feed.keys(), input, output))
    } else {
        with_instance(|instance, input, output| act(&mut instance.keys, input, output))
    }
}

/// So many bytes of the input, or all of it when it is shorter.
fn bytes(input: &[u8], len: usize) -> &[u8] {
    input.get(..len).unwrap_or(input)
}

/// The same as text; nothing when it is none, which JavaScript's encoder never produces.
fn text(input: &[u8], len: usize) -> &str {
    str::from_utf8(bytes(input, len)).unwrap_or_default()
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "JavaScript has checked the clock, and whatever is not a time becomes the nearest one"
)]
fn millis(time: f64) -> UnixMillis {
    UnixMillis::from_millis(time as u64)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "it came from JavaScript as a number and goes back as that number"
)]
fn number(time: UnixMillis) -> f64 {
    time.as_millis() as f64
}

// What `js/core.mjs` calls by the same names.
const ACCEPT: u32 = 1;
const REFUSE: u32 = 2;
const UNAVAILABLE: u32 = 3;
const AWAIT_KEYS: u32 = 4;
const WAIT_FOR_KEYS: u32 = 5;
const AWAIT_POLL: u32 = 6;
const WAIT_FOR_POLL: u32 = 7;
const AMOUNT_SHIFT: u32 = 8;

/// What fits above the low byte; no pause is nearly as long.
const MAX_AMOUNT: u32 = u32::MAX >> AMOUNT_SHIFT;
