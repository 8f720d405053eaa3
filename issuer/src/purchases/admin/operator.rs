//! The same acts from the command line, by a login that may migrate: the issuer's own may not.

use sqlx::PgConnection;

use super::list::MAX_LISTED;
use super::model::{
    EventListing, PackageAct, PackageFields, PackageListing, PurchaseAct, is_package_id,
};
use super::store;
use crate::admin::Refused;
use crate::app::App;
use crate::db::DbError;

/// Does an act on a package.
///
/// # Errors
/// [`Refused`].
pub async fn act_on_package(
    connection: &mut PgConnection,
    id: &str,
    act: &PackageAct,
) -> Result<(), Refused> {
    let outcome = store::operate_on_package(connection, act.name(), id, &act.fields()).await?;
    Refused::unless_done(&outcome)
}

/// All packages, or the one of this id.
///
/// # Errors
/// [`DbError`].
pub async fn list_packages(
    connection: &mut PgConnection,
    id: Option<&str>,
) -> Result<Vec<PackageListing>, DbError> {
    store::list_packages(connection, id, MAX_LISTED.into()).await
}

/// What is wrong with the id of a new package, if anything.
pub fn problem_of_id(id: &str) -> Option<&'static str> {
    (!is_package_id(id))
        .then_some("the id must be 1 to 64 letters, digits, dots, underscores and hyphens")
}

/// Reports of Stripe, newest first.
///
/// # Errors
/// [`DbError`].
pub async fn list_events(
    connection: &mut PgConnection,
    state: Option<&str>,
) -> Result<Vec<EventListing>, DbError> {
    store::operator_list_events(connection, state, MAX_LISTED).await
}

/// Applies a report again that was refused or given up.
///
/// # Errors
/// [`Refused`].
pub async fn replay_event(connection: &mut PgConnection, id: &str) -> Result<(), Refused> {
    let act = PurchaseAct::ReplayEvent.name();
    let outcome = store::operate_on_purchase(connection, act, id).await?;
    Refused::unless_done(&outcome)
}

/// Says that nothing more is to be done about a report.
///
/// # Errors
/// [`Refused`].
pub async fn dismiss_event(connection: &mut PgConnection, id: &str) -> Result<(), Refused> {
    let act = PurchaseAct::DismissEvent.name();
    let outcome = store::operate_on_purchase(connection, act, id).await?;
    Refused::unless_done(&outcome)
}

/// Offers three packages at `CREDITS_PER_EUR`, unless there is one already. For development.
///
/// # Errors
/// [`Refused`].
pub async fn offer_examples(app: &App, connection: &mut PgConnection) -> Result<(), Refused> {
    if !list_packages(connection, None).await?.is_empty() {
        return Ok(());
    }
    for (id, name, euros) in EXAMPLES {
        let create = PackageAct::Create(PackageFields {
            name: name.into(),
            credits: app.config.credits.per_eur.saturating_mul(euros),
            price_cents: euros * CENTS,
            currency: "EUR".into(),
        });
        act_on_package(connection, id, &create).await?;
    }
    Ok(())
}

const EXAMPLES: [(&str, &str, i64); 3] = [
    ("small", "Small package", 5),
    ("medium", "Medium package", 20),
    ("large", "Large package", 50),
];
const CENTS: i64 = 100;
