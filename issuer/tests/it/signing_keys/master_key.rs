use issuer::db::{Db, OnConnect};
use issuer::secret::MasterKey;
use issuer::signing_keys::{MasterKeyError, check_master_key};

use crate::support::TestApp;

fn key(byte: u8) -> MasterKey {
    MasterKey::from_bytes([byte; 32])
}

#[tokio::test]
async fn another_master_key_is_refused_and_changes_nothing() {
    let app = TestApp::start().await;
    let db = Db::open(&app.db.issuer_url, 2, OnConnect::Limit).expect("our own URL");
    let refused = check_master_key(&db, key(9), None).await;
    assert!(
        matches!(refused, Err(MasterKeyError::Foreign)),
        "{refused:?}"
    );
    let refused = check_master_key(&db, key(9), Some(key(10))).await;
    assert!(
        matches!(refused, Err(MasterKeyError::Foreign)),
        "{refused:?}"
    );
    assert_eq!(
        app.db
            .value::<i64>("select count(*) from auth.master_key_checks")
            .await,
        1
    );
}

#[tokio::test]
async fn a_new_master_key_is_taken_over_beside_its_predecessor() {
    let app = TestApp::start().await;
    let db = Db::open(&app.db.issuer_url, 2, OnConnect::Limit).expect("our own URL");
    let keys = check_master_key(&db, key(8), Some(key(7)))
        .await
        .expect("accepted");
    assert_eq!(keys.current_version(), 2);
    let again = check_master_key(&db, key(8), None)
        .await
        .expect("accepted by itself from now on");
    assert_eq!(again.current_version(), 2);
}
