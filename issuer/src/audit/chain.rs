//! The codes: of a link over its event and the link before, and of a checkpoint.

use time::OffsetDateTime;

use super::model::{Checkpoint, SealedEvent, hex, unhex};
use crate::secret::DerivedKey;

/// Before the first link.
pub const GENESIS: [u8; 32] = [0; 32];

/// The code of link `seq`.
pub fn mac(key: &DerivedKey, previous: &[u8], seq: i64, event: &SealedEvent) -> [u8; 32] {
    key.mac(&[LINK, &seq.to_be_bytes(), previous, &canonical(event)])
}

/// Signs how far the chain has come.
pub fn sign(
    key: &DerivedKey,
    master_key_version: i32,
    seq: i64,
    mac: &[u8],
    at: OffsetDateTime,
) -> (Checkpoint, [u8; 32]) {
    let signed_at = micros(at);
    let signature = key.mac(&[
        CHECKPOINT,
        &seq.to_be_bytes(),
        &signed_at.to_be_bytes(),
        mac,
    ]);
    let checkpoint = Checkpoint {
        seq,
        mac: hex(mac),
        master_key_version,
        signed_at,
        signature: hex(&signature),
    };
    (checkpoint, signature)
}

/// Whether a checkpoint was signed with this key.
pub fn is_genuine(key: &DerivedKey, checkpoint: &Checkpoint) -> bool {
    let (Some(mac), Some(signature)) = (unhex(&checkpoint.mac), unhex(&checkpoint.signature))
    else {
        return false;
    };
    let parts: [&[u8]; 4] = [
        CHECKPOINT,
        &checkpoint.seq.to_be_bytes(),
        &checkpoint.signed_at.to_be_bytes(),
        &mac,
    ];
    key.verify(&parts, &signature)
}

/// Microseconds since 1970, the precision the database keeps.
pub fn micros(at: OffsetDateTime) -> i64 {
    i64::try_from(at.unix_timestamp_nanos() / 1000).unwrap_or(i64::MAX)
}

/// Every field with its length before it, so that no two events have one form.
fn canonical(event: &SealedEvent) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(256);
    bytes.extend(event.id.to_be_bytes());
    bytes.extend(micros(event.occurred_at).to_be_bytes());
    let texts = [
        Some(&event.kind),
        Some(&event.outcome),
        Some(&event.actor_kind),
        event.actor_id.as_ref(),
        event.target_kind.as_ref(),
        event.target_id.as_ref(),
        event.user_id.as_ref(),
        event.session_id.as_ref(),
        event.request_id.as_ref(),
    ];
    for text in texts {
        field(&mut bytes, text.map(String::as_bytes));
    }
    field(&mut bytes, Some(&event.details_digest));
    bytes
}

fn field(bytes: &mut Vec<u8>, value: Option<&[u8]>) {
    match value {
        None => bytes.push(0),
        Some(value) => {
            bytes.push(1);
            bytes.extend(u64::try_from(value.len()).unwrap_or(u64::MAX).to_be_bytes());
            bytes.extend(value);
        }
    }
}

const LINK: &[u8] = b"tollgate audit link 1\n";
const CHECKPOINT: &[u8] = b"tollgate audit checkpoint 1\n";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::{MasterKey, Purpose};

    fn key(byte: u8) -> DerivedKey {
        MasterKey::from_bytes([byte; 32]).derive(Purpose::AuditChain)
    }

    fn event() -> SealedEvent {
        let text = |text: &str| Some(text.to_owned());
        SealedEvent {
            id: 1,
            occurred_at: OffsetDateTime::UNIX_EPOCH,
            kind: "login".into(),
            outcome: "success".into(),
            actor_kind: "user".into(),
            actor_id: text("a"),
            target_kind: text("user"),
            target_id: text("a"),
            user_id: text("a"),
            session_id: None,
            request_id: text("r"),
            details_digest: vec![1; 32],
        }
    }

    type Edit = fn(&mut SealedEvent);

    #[test]
    fn every_field_of_an_event_changes_its_code() {
        let code = |event: &SealedEvent| mac(&key(1), &GENESIS, 1, event);
        let edits: [Edit; 14] = [
            |e| e.id = 2,
            |e| e.occurred_at += time::Duration::microseconds(1),
            |e| e.kind = "logout".into(),
            |e| e.outcome = "refused".into(),
            |e| e.actor_kind = "admin".into(),
            |e| e.actor_id = None,
            |e| e.actor_id = Some("b".into()),
            |e| e.target_kind = None,
            |e| e.target_id = None,
            |e| e.user_id = None,
            |e| e.session_id = Some(String::new()),
            |e| e.request_id = None,
            |e| e.details_digest = vec![2; 32],
            // The same bytes, cut at another place.
            |e| (e.kind, e.outcome) = ("loginsuccess".into(), String::new()),
        ];
        for (i, edit) in edits.iter().enumerate() {
            let mut edited = event();
            edit(&mut edited);
            assert_ne!(code(&edited), code(&event()), "edit {i}");
        }
        assert_ne!(
            mac(&key(1), &[1; 32], 1, &event()),
            code(&event()),
            "another link before"
        );
        assert_ne!(
            mac(&key(1), &GENESIS, 2, &event()),
            code(&event()),
            "another place"
        );
        assert_ne!(
            mac(&key(2), &GENESIS, 1, &event()),
            code(&event()),
            "another key"
        );
    }

    #[test]
    fn a_checkpoint_is_genuine_only_as_it_was_signed() {
        let (good, _) = sign(&key(1), 1, 9, &[3; 32], OffsetDateTime::UNIX_EPOCH);
        assert!(is_genuine(&key(1), &good));
        assert!(!is_genuine(&key(2), &good));
        let edits: [fn(&mut Checkpoint); 4] = [
            |c| c.seq = 8,
            |c| c.mac = hex(&[4; 32]),
            |c| c.signed_at += 1,
            |c| c.signature = "00".into(),
        ];
        for edit in edits {
            let mut bad = good.clone();
            edit(&mut bad);
            assert!(!is_genuine(&key(1), &bad), "{bad:?}");
        }
    }
}
