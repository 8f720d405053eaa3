//! Makes, promotes, retires and removes keys when their time has come.

use shared_claims::sign::SigningKey;
use sqlx::PgConnection;
use time::{Duration, OffsetDateTime};

use super::model::{KeyState, Purpose, Seed, SigningKeysError, StoredKey};
use super::seal::{self, Label};
use super::store::{self, Transition};
use crate::app::App;
use crate::secret;

/// Brings the keys of both purposes to where they should be at this moment. Safe to call from
/// any issuer at any time.
///
/// # Errors
/// [`SigningKeysError`]; nothing was changed then.
pub async fn maintain(app: &App) -> Result<(), SigningKeysError> {
    app.db
        .retry("maintain_signing_keys", || async {
            let mut tx = app.db.begin().await?;
            let (keys, now) = load_locked(app, &mut tx).await?;
            for purpose in Purpose::ALL {
                maintain_purpose(app, &mut tx, &keys, purpose, now).await?;
            }
            Ok(tx.commit().await?)
        })
        .await
}

/// Takes the lock and reads every key; fails rather than overlook one in use that does not open.
pub(super) async fn load_locked(
    app: &App,
    tx: &mut PgConnection,
) -> Result<(Vec<StoredKey>, OffsetDateTime), SigningKeysError> {
    store::lock(tx).await?;
    let now = store::now(tx).await?;
    let mut keys = Vec::new();
    for row in store::present_keys(tx).await? {
        let (kid, in_use) = (row.kid.clone(), row.claims_use());
        match row.open(&app.master_keys) {
            Some(key) => keys.push(key),
            None if in_use => return Err(SigningKeysError::SealBroken { kid }),
            None => tracing::error!(kid, "a retiring key does not open and is not published"),
        }
    }
    Ok((keys, now))
}

async fn maintain_purpose(
    app: &App,
    tx: &mut PgConnection,
    keys: &[StoredKey],
    purpose: Purpose,
    now: OffsetDateTime,
) -> Result<(), SigningKeysError> {
    let of_state = |state| {
        keys.iter()
            .find(move |key| key.purpose == purpose && key.state == state)
    };
    let (active, pending) = (of_state(KeyState::Active), of_state(KeyState::Pending));
    match (active, pending) {
        (None, None) => {
            create(app, tx, purpose, KeyState::Active).await?;
            create(app, tx, purpose, KeyState::Pending).await?;
        }
        (None, Some(pending)) => promote(app, tx, pending).await?,
        (Some(_), None) => create(app, tx, purpose, KeyState::Pending).await?,
        (Some(active), Some(pending)) => {
            let ready =
                pending.promotable_in(app.config.tokens.key_publish_ahead, now) <= Duration::ZERO;
            if active.is_due_for_rotation(now) && ready {
                change(app, tx, active, KeyState::Retiring).await?;
                promote(app, tx, pending).await?;
            }
        }
    }
    for key in keys.iter().filter(|key| key.purpose == purpose) {
        if key.state == KeyState::Retiring && key.is_spent(now) {
            change(app, tx, key, KeyState::Removed).await?;
        } else if key.master_key_version != app.master_keys.current_version() {
            reseal(app, tx, key).await?;
        }
    }
    Ok(())
}

/// The standby begins to sign and a new standby takes its place.
pub(super) async fn promote(
    app: &App,
    tx: &mut PgConnection,
    pending: &StoredKey,
) -> Result<(), SigningKeysError> {
    change(app, tx, pending, KeyState::Active).await?;
    create(app, tx, pending.purpose, KeyState::Pending).await
}

async fn create(
    app: &App,
    tx: &mut PgConnection,
    purpose: Purpose,
    state: KeyState,
) -> Result<(), SigningKeysError> {
    let seed = Seed::new(app.entropy.bytes());
    let key = SigningKey::from_seed(&seed).expect("256 random bits are not all zero");
    let label = Label {
        kid: key.kid().as_str(),
        purpose,
        state,
        public_key: key.public_key(),
    };
    let sealed = seal_current(app, &seed, label);
    store::insert_key(tx, label, &sealed, app.master_keys.current_version()).await?;
    tracing::info!(
        kid = label.kid,
        purpose = purpose.name(),
        state = state.name(),
        "made a signing key"
    );
    Ok(())
}

/// Moves a key to another state and seals it again, because the seal covers the state.
pub(super) async fn change(
    app: &App,
    tx: &mut PgConnection,
    key: &StoredKey,
    to: KeyState,
) -> Result<(), SigningKeysError> {
    let label = Label {
        kid: &key.kid,
        purpose: key.purpose,
        state: to,
        public_key: key.key.public_key(),
    };
    let sealed = seal_current(app, &key.seed, label);
    let master_key_version = app.master_keys.current_version();
    let change = Transition {
        kid: &key.kid,
        from: key.state,
        to,
        sealed_seed: &sealed,
        master_key_version,
    };
    store::mark_state(tx, &change).await?;
    tracing::info!(
        kid = key.kid,
        from = key.state.name(),
        to = to.name(),
        "a signing key changed its state"
    );
    Ok(())
}

async fn reseal(app: &App, tx: &mut PgConnection, key: &StoredKey) -> Result<(), SigningKeysError> {
    let label = Label {
        kid: &key.kid,
        purpose: key.purpose,
        state: key.state,
        public_key: key.key.public_key(),
    };
    let sealed = seal_current(app, &key.seed, label);
    store::mark_sealed(
        tx,
        &key.kid,
        key.state,
        &sealed,
        app.master_keys.current_version(),
    )
    .await?;
    Ok(())
}

fn seal_current(app: &App, seed: &Seed, label: Label<'_>) -> Vec<u8> {
    let sealing = app
        .master_keys
        .current()
        .derive(secret::Purpose::SealSigningKeys);
    seal::seal(&sealing, seed, label, &app.entropy)
}
