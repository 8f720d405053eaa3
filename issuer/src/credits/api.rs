//! `/api/v1/credits`: balance, use, history, packages, purchases.

use std::collections::BTreeMap;
use std::sync::Arc;

use poem::http::{HeaderName, HeaderValue};
use poem_openapi::param::Query;
use poem_openapi::payload::Json;
use poem_openapi::types::ToJSON;
use poem_openapi::{ApiResponse, Enum, Object, OpenApi};
use serde_json::Value;
use time::OffsetDateTime;

use super::list_transactions::{self, Filter, Start};
use super::metadata::Metadata;
use super::model::{AppId, Balance, Credits, EntryKind, Package, Purchase, Transaction};
use super::payer::{Payer, service_ended};
use super::use_credits::{self, Charge, UseCreditsError};
use super::{list_packages, list_purchases, load_balance};
use crate::app::App;
use crate::http::problem::{FieldError, Problem, ProblemCode, Refusal, SignedIn, Statuses};
use crate::http::tags::Tag;
use crate::http::{Body, Caller, IdempotencyKey, UserOrService, UserToken};

/// Credits.
#[derive(Debug)]
pub struct CreditsApi {
    /// The issuer.
    pub app: Arc<App>,
}

/// What the user holds.
#[derive(Debug, Object)]
#[oai(rename = "Balance", rename_all = "camelCase")]
struct BalanceView {
    /// What can be spent now, free credits included.
    balance: i64,
    /// What of it was free: daily, signup and gift credits.
    free_credits_remaining: i64,
    /// Reserved by open holds.
    held: i64,
    /// All credits ever added.
    total_earned: i64,
    /// All credits ever spent, less what was given back.
    total_spent: i64,
}

impl From<Balance> for BalanceView {
    fn from(balance: Balance) -> Self {
        Self {
            balance: balance.available.get(),
            free_credits_remaining: balance.free_remaining.get(),
            held: balance.held.get(),
            total_earned: balance.total_earned.get(),
            total_spent: balance.total_spent.get(),
        }
    }
}

#[derive(Debug, Object)]
#[oai(rename = "UseRequest", rename_all = "camelCase", deny_unknown_fields)]
struct UseRequest {
    /// How many credits.
    #[oai(validator(minimum(value = "1"), maximum(value = "1000000000000")))]
    amount: i64,
    /// The app they are spent in; visible ASCII characters.
    #[oai(validator(min_length = 1, max_length = 64))]
    app_id: String,
    /// What for.
    #[oai(validator(min_length = 1, max_length = 500))]
    description: String,
    /// The same as the header `Idempotency-Key`.
    idempotency_key: Option<String>,
    /// What the app wants to find again; at most 4096 bytes and 8 levels.
    metadata: Option<BTreeMap<String, Value>>,
}

/// A change of the account.
#[derive(Debug, Object)]
#[oai(rename = "Transaction", rename_all = "camelCase")]
pub struct TransactionView {
    id: String,
    /// Why credits moved.
    #[oai(rename = "type")]
    kind: KindView,
    /// Negative when spent or lapsed.
    amount: i64,
    /// All credits of the account after it, held ones included.
    balance_after: i64,
    app_id: Option<String>,
    description: Option<String>,
    metadata: Option<BTreeMap<String, Value>>,
    created_at: OffsetDateTime,
}

impl From<Transaction> for TransactionView {
    fn from(transaction: Transaction) -> Self {
        let metadata = match transaction.metadata {
            Some(Value::Object(members)) => Some(members.into_iter().collect()),
            _ => None,
        };
        Self {
            id: transaction.id,
            kind: transaction.kind.into(),
            amount: transaction.amount.get(),
            balance_after: transaction.balance_after.get(),
            app_id: transaction.app_id,
            description: transaction.description,
            metadata,
            created_at: transaction.created_at,
        }
    }
}

#[derive(Debug, Clone, Copy, Enum)]
#[oai(rename = "TransactionType", rename_all = "camelCase")]
enum KindView {
    Purchase,
    Usage,
    Refund,
    Gift,
    Bonus,
    Daily,
    Expiry,
    Adjustment,
}

impl From<EntryKind> for KindView {
    fn from(kind: EntryKind) -> Self {
        match kind {
            EntryKind::Purchase => Self::Purchase,
            EntryKind::Usage => Self::Usage,
            EntryKind::Refund => Self::Refund,
            EntryKind::Gift => Self::Gift,
            EntryKind::Bonus => Self::Bonus,
            EntryKind::Daily => Self::Daily,
            EntryKind::Expiry => Self::Expiry,
            EntryKind::Adjustment => Self::Adjustment,
        }
    }
}

impl From<KindView> for EntryKind {
    fn from(kind: KindView) -> Self {
        match kind {
            KindView::Purchase => Self::Purchase,
            KindView::Usage => Self::Usage,
            KindView::Refund => Self::Refund,
            KindView::Gift => Self::Gift,
            KindView::Bonus => Self::Bonus,
            KindView::Daily => Self::Daily,
            KindView::Expiry => Self::Expiry,
            KindView::Adjustment => Self::Adjustment,
        }
    }
}

#[derive(Debug, Object)]
#[oai(rename = "UseAnswer")]
struct UseAnswer {
    transaction: TransactionView,
    /// What can be spent now.
    balance: i64,
}

/// Something that can be bought.
#[derive(Debug, Object)]
#[oai(rename = "Package", rename_all = "camelCase")]
struct PackageView {
    id: String,
    name: String,
    credits: i64,
    price_cents: i64,
    /// ISO 4217.
    currency: String,
    active: bool,
}

impl From<Package> for PackageView {
    fn from(package: Package) -> Self {
        Self {
            id: package.id,
            name: package.name,
            credits: package.credits,
            price_cents: package.price_cents,
            currency: package.currency,
            active: package.active,
        }
    }
}

/// Something that was bought.
#[derive(Debug, Object)]
#[oai(rename = "Purchase", rename_all = "camelCase")]
struct PurchaseView {
    id: String,
    package_id: String,
    credits: i64,
    price_cents: i64,
    /// ISO 4217.
    currency: String,
    /// `pending`, `expired`, `failed`, `paid` or `refunded`.
    status: String,
    /// What was refunded of the price.
    refunded_cents: i64,
    /// Credits that were taken back, or are owed.
    credits_taken_back: i64,
    /// Whether the payment is or was disputed: `open`, `won` or `lost`.
    dispute: Option<String>,
    created_at: OffsetDateTime,
    paid_at: Option<OffsetDateTime>,
}

impl From<Purchase> for PurchaseView {
    fn from(purchase: Purchase) -> Self {
        Self {
            id: purchase.id,
            package_id: purchase.package_id,
            credits: purchase.credits,
            price_cents: purchase.price_cents,
            currency: purchase.currency,
            status: purchase.status,
            refunded_cents: purchase.refunded_cents,
            credits_taken_back: purchase.credits_taken_back,
            dispute: purchase.dispute,
            created_at: purchase.created_at,
            paid_at: purchase.paid_at,
        }
    }
}

/// An answer that may have been given before.
#[derive(Debug, ApiResponse)]
pub enum Answered<T: ToJSON> {
    /// Done, or done before with the same idempotency key.
    #[oai(status = 200)]
    Done(
        Json<T>,
        /// `true` when this is the answer to an earlier request with the same key.
        #[oai(header = "Idempotent-Replayed")]
        Option<String>,
    ),
}

#[derive(Debug, ApiResponse)]
enum Listed {
    /// A page, newest first.
    #[oai(status = 200)]
    Page(
        Json<Vec<TransactionView>>,
        /// Where the next page is (RFC 8288), when there is one.
        #[oai(header = "Link")]
        Option<String>,
    ),
}

#[OpenApi(prefix_path = "/api/v1/credits", tag = "Tag::Credits")]
impl CreditsApi {
    /// Read the balance
    #[oai(path = "/balance", method = "get", operation_id = "readBalance")]
    async fn read_balance(
        &self,
        caller: Caller,
    ) -> Result<Json<BalanceView>, Refusal<SignedInOrAbsent>> {
        let balance = load_balance::load_balance(&self.app, &caller.user_id).await?;
        let balance = balance.ok_or_else(no_account)?;
        Ok(Json(balance.into()))
    }

    /// Use credits
    ///
    /// Spends credits, free ones first. With an idempotency key the request can be repeated
    /// safely: the same key and body give the same answer, a refusal for want of credits
    /// included. A service spends in its own app, for the user whose token it shows.
    #[oai(path = "/use", method = "post", operation_id = "useCredits")]
    async fn use_credits(
        &self,
        caller: UserOrService,
        /// Of a service only: the access token of the user it acts for.
        #[oai(name = "X-User-Token")]
        user_token: UserToken,
        /// 1 to 255 visible ASCII characters, chosen by the client.
        #[oai(name = "Idempotency-Key")]
        key: IdempotencyKey,
        body: Body<UseRequest>,
    ) -> Result<Answered<UseAnswer>, Refusal<Spending>> {
        let key = key.or_field(body.0.idempotency_key.clone())?;
        let charge = body.0.check()?;
        let (app, app_id) = (&self.app, &charge.app_id);
        let payer = Payer::of(app, &caller, &user_token, app_id, key.as_deref())?;
        let charged = use_credits::use_credits(app, payer, charge, key).await?;
        let answer = UseAnswer {
            transaction: charged.transaction.into(),
            balance: charged.balance.get(),
        };
        Ok(Answered::Done(Json(answer), replayed(charged.replayed)))
    }

    /// List transactions
    ///
    /// Newest first. Pages by `offset` shift when transactions arrive meanwhile; those by
    /// `cursor`, which the `Link` header names, do not.
    #[oai(
        path = "/transactions",
        method = "get",
        operation_id = "listTransactions"
    )]
    #[expect(
        clippy::too_many_arguments,
        reason = "each parameter of the request is one"
    )]
    async fn list_transactions(
        &self,
        caller: Caller,
        /// How many; 50 when left out.
        #[oai(validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<Option<u16>>,
        /// How many of the newest to pass over.
        #[oai(validator(minimum(value = "0"), maximum(value = "10000")))]
        offset: Query<Option<u32>>,
        /// Where the page begins, from the `Link` header of the page before; `offset` is ignored then.
        #[oai(validator(minimum(value = "1")))]
        cursor: Query<Option<i64>>,
        /// Only of this type.
        #[oai(name = "type")]
        kind: Query<Option<KindView>>,
        /// Only of this app; visible ASCII characters.
        #[oai(name = "appId", validator(min_length = 1, max_length = 64))]
        app_id: Query<Option<String>>,
        /// Only from this instant on.
        from: Query<Option<OffsetDateTime>>,
        /// Only before this instant.
        to: Query<Option<OffsetDateTime>>,
    ) -> Result<Listed, Refusal<SignedIn>> {
        let limit = limit.0.unwrap_or(DEFAULT_PAGE);
        let start = Start::of(offset.0, cursor.0);
        let filter = Filter {
            kind: kind.0.map(EntryKind::from),
            app_id: known_app(app_id.0.as_deref())?,
            from: from.0,
            to: to.0,
        };
        let user_id = &caller.user_id;
        let page = list_transactions::list_transactions(&self.app, user_id, limit, start, &filter);
        let page = page.await?;
        let link = page.next.map(|seq| next_page(limit, seq, &filter));
        let transactions = page
            .transactions
            .into_iter()
            .map(TransactionView::from)
            .collect();
        Ok(Listed::Page(Json(transactions), link))
    }

    /// List packages
    ///
    /// What can be bought, cheapest first.
    #[oai(path = "/packages", method = "get", operation_id = "listPackages")]
    async fn list_packages(
        &self,
        _caller: Caller,
    ) -> Result<Json<Vec<PackageView>>, Refusal<SignedIn>> {
        let packages = list_packages::list_packages(&self.app).await?;
        Ok(Json(packages.into_iter().map(PackageView::from).collect()))
    }

    /// List purchases
    ///
    /// The latest 200, newest first.
    #[oai(path = "/purchases", method = "get", operation_id = "listPurchases")]
    async fn list_purchases(
        &self,
        caller: Caller,
    ) -> Result<Json<Vec<PurchaseView>>, Refusal<SignedIn>> {
        let purchases = list_purchases::list_purchases(&self.app, &caller.user_id).await?;
        Ok(Json(
            purchases.into_iter().map(PurchaseView::from).collect(),
        ))
    }
}

impl UseRequest {
    fn check(self) -> Result<Charge, Problem> {
        let mut errors = Vec::new();
        let (amount, app_id) = check_spending(self.amount, &self.app_id, &mut errors);
        let members = self.metadata.map(|members| members.into_iter().collect());
        let metadata = members
            .map(Metadata::parse)
            .transpose()
            .unwrap_or_else(|error| {
                errors.push(FieldError::new("metadata", error.expectation()));
                None
            });
        match (amount, app_id) {
            (Some(amount), Some(app_id)) if errors.is_empty() => Ok(Charge {
                amount,
                app_id,
                description: self.description,
                metadata,
            }),
            _ => Err(Problem::validation(errors)),
        }
    }
}

/// What a charge and a hold have in common; what is wrong is added to `errors`.
pub fn check_spending(
    amount: i64,
    app_id: &str,
    errors: &mut Vec<FieldError>,
) -> (Option<Credits>, Option<AppId>) {
    let (amount, app_id) = (Credits::amount(amount), AppId::parse(app_id));
    if amount.is_none() {
        errors.push(FieldError::new(
            "amount",
            "must be a whole number from 1 to 1000000000000",
        ));
    }
    if app_id.is_none() {
        errors.push(FieldError::new(
            "appId",
            "must be 1 to 64 visible ASCII characters",
        ));
    }
    (amount, app_id)
}

/// The value of `Idempotent-Replayed`.
pub fn replayed(replayed: bool) -> Option<String> {
    replayed.then(|| REPLAYED.to_owned())
}

/// 402, marked when it repeats an earlier answer.
pub fn insufficient(balance: Credits, replayed: bool) -> Problem {
    let problem = Problem::insufficient_credits(balance.get());
    if replayed {
        let value = HeaderValue::from_static(REPLAYED);
        return problem.with_header(HeaderName::from_static("idempotent-replayed"), value);
    }
    problem
}

/// Users registered here have an account; one that came otherwise may not.
pub fn no_account() -> Problem {
    Problem::with_detail(ProblemCode::NotFound, "The user has no credit account.")
}

/// RFC 8288, with a target relative to this request's.
fn next_page(limit: u16, seq: i64, filter: &Filter) -> String {
    let query = filter.query(limit, seq);
    format!("</api/v1/credits/transactions?{query}>; rel=\"next\"")
}

fn known_app(text: Option<&str>) -> Result<Option<AppId>, Problem> {
    let refuse = || {
        let message = "must be 1 to 64 visible ASCII characters";
        Problem::validation(vec![FieldError::new("appId", message)])
    };
    text.map(|text| AppId::parse(text).ok_or_else(refuse))
        .transpose()
}

/// Refusals of an operation on a thing of the caller's own.
#[derive(Debug)]
pub struct SignedInOrAbsent;
impl Statuses for SignedInOrAbsent {
    const EXTRA: &'static [u16] = &[401, 404];
}

/// Refusals of an operation that spends.
#[derive(Debug)]
pub struct Spending;
impl Statuses for Spending {
    const EXTRA: &'static [u16] = &[401, 402, 403, 404, 409];
}

impl From<UseCreditsError> for Problem {
    fn from(error: UseCreditsError) -> Self {
        match error {
            UseCreditsError::Insufficient { balance, replayed } => insufficient(balance, replayed),
            UseCreditsError::LimitReached(reached) => reached.into(),
            UseCreditsError::KeyReused => Self::new(ProblemCode::IdempotencyKeyReused),
            UseCreditsError::Frozen => Self::new(ProblemCode::AccountFrozen),
            UseCreditsError::TooManyDeclines { retry_after_secs } => {
                Self::rate_limited(retry_after_secs)
            }
            UseCreditsError::NoAccount => no_account(),
            UseCreditsError::ServiceEnded => service_ended(),
            UseCreditsError::Db(error) => error.into(),
        }
    }
}

const REPLAYED: &str = "true";
const DEFAULT_PAGE: u16 = 50;
