//! How a verifier is, as JSON for `state()`.

use alloc::string::{String, ToString};

use shared_claims::{Revocations, UnixMillis};

use crate::feed::Feed;
use crate::instance::Instance;
use crate::keys::Keys;

/// `{"keys":{"state","ageSeconds","kids"},"revocations":null or {"epoch","seq","ageSeconds"},
/// "alarms"}`.
/// Everything in it is a word of ours, a number or base64url: nothing needs escaping.
pub(crate) fn to_json(instance: &Instance, now: UnixMillis) -> String {
    let mut json = String::from(r#"{"keys":"#);
    write_keys(&instance.keys, now, &mut json);
    json.push_str(r#","revocations":"#);
    write_revocations(instance.feed.as_ref(), now, &mut json);
    json.push_str(r#","alarms":"#);
    write_number(Some(instance.n_alarms().into()), &mut json);
    json.push('}');
    json
}

fn write_keys(keys: &Keys, now: UnixMillis, json: &mut String) {
    let (state, age_secs) = keys.state(now);
    json.push_str(r#"{"state":""#);
    json.push_str(state);
    json.push_str(r#"","ageSeconds":"#);
    write_number(age_secs, json);
    json.push_str(r#","kids":["#);
    for (i, kid) in keys
        .usable(now)
        .iter()
        .flat_map(|keys| keys.kids())
        .enumerate()
    {
        json.push_str(if i == 0 { "\"" } else { ",\"" });
        json.push_str(kid.as_str());
        json.push('"');
    }
    json.push_str("]}");
}

fn write_revocations(feed: Option<&Feed>, now: UnixMillis, json: &mut String) {
    let Some(feed) = feed else {
        return json.push_str("null");
    };
    let held = feed.held();
    json.push_str(r#"{"epoch":"#);
    write_number(held.map(Revocations::epoch), json);
    json.push_str(r#","seq":"#);
    write_number(held.map(Revocations::seq), json);
    json.push_str(r#","ageSeconds":"#);
    write_number(held.map(|held| held.age_secs(now.to_secs())), json);
    json.push('}');
}

fn write_number(number: Option<u64>, json: &mut String) {
    match number {
        Some(number) => json.push_str(&number.to_string()),
        None => json.push_str("null"),
    }
}
