//! Many sessions, honest and stolen, over simulated weeks.

use time::Duration;

use crate::support::TestApp;

/// A small linear congruential generator: the same run every time.
struct Dice(u64);

impl Dice {
    fn percent(&mut self) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % 100
    }
}

const N_SESSIONS: usize = 200;

#[tokio::test]
async fn a_thief_who_trails_by_one_refresh_is_found_within_two_cycles() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    let mut n_found = 0;
    for _ in 0..N_SESSIONS {
        let session = app
            .anon()
            .login("ada@example.com", serde_json::json!({}))
            .await;
        // The thief copies the token, the owner refreshes, and from then on the thief always
        // presents what the owner has just spent.
        let mut owner = session.refresh_token.clone();
        let mut thief = owner.clone();
        for _cycle in 0..2 {
            app.advance(Duration::minutes(14)).await;
            let answer = ada.refresh(&owner).await;
            if answer.status == 401 {
                n_found += 1;
                break;
            }
            owner = answer.string("refreshToken");
            app.advance(Duration::seconds(30)).await;
            let stolen = ada.refresh(&thief).await;
            if stolen.status == 401 {
                n_found += 1;
                break;
            }
            thief = stolen.string("refreshToken");
        }
    }
    assert_eq!(n_found, N_SESSIONS);
}

#[tokio::test]
async fn honest_clients_that_lose_every_tenth_answer_are_never_signed_out() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    let mut dice = Dice(42);
    let mut tokens = Vec::new();
    for _ in 0..N_SESSIONS {
        tokens.push(
            app.anon()
                .login("ada@example.com", serde_json::json!({}))
                .await
                .refresh_token,
        );
    }
    for _cycle in 0..10 {
        app.advance(Duration::minutes(14)).await;
        for token in &mut tokens {
            let answer = ada.refresh(token).await.expect(200);
            let lost = dice.percent() < 10;
            if !lost {
                *token = answer.string("refreshToken");
            }
        }
    }
    assert_eq!(
        app.db
            .value::<i64>("select count(*) from auth.sessions where revoked_at is not null")
            .await,
        0
    );
}
