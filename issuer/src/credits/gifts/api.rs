//! `/api/v1/credits/gifts`: give, redeem, take back, list.

use std::sync::Arc;

use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Enum, Object, OpenApi};
use time::{Duration, OffsetDateTime};

use super::cancel_gift::{self, CancelGiftError};
use super::create_gift::{self, CreateGiftError};
use super::list_gifts;
use super::model::{Direction, Gift, GiftStatus, Wish};
use super::redeem_gift::{self, RedeemGiftError};
use crate::accounts::Email;
use crate::app::App;
use crate::credits::api::{Answered, insufficient, no_account, replayed};
use crate::credits::model::Credits;
use crate::http::problem::{FieldError, Problem, ProblemCode, Refusal, SignedIn, Statuses};
use crate::http::tags::Tag;
use crate::http::{Body, Caller, IdempotencyKey, RequestInfo};

/// Gifts.
#[derive(Debug)]
pub struct GiftsApi {
    /// The issuer.
    pub app: Arc<App>,
}

#[derive(Debug, Object)]
#[oai(rename = "GiftRequest", rename_all = "camelCase", deny_unknown_fields)]
struct GiftRequest {
    /// How many credits.
    #[oai(validator(minimum(value = "1"), maximum(value = "1000000000000")))]
    amount: i64,
    /// For whoever has proven this address; for anybody with the code when left out.
    #[oai(validator(min_length = 3, max_length = 254))]
    recipient_email: Option<String>,
    /// For whoever gets it.
    #[oai(validator(min_length = 1, max_length = 500))]
    message: Option<String>,
    /// Until when it can be taken, at most a year ahead; 90 days when left out.
    expires_at: Option<OffsetDateTime>,
    /// The same as the header `Idempotency-Key`.
    idempotency_key: Option<String>,
}

#[derive(Debug, Object)]
#[oai(rename = "RedeemRequest", deny_unknown_fields)]
struct RedeemRequest {
    /// As it was given; case, hyphens and spaces do not matter.
    #[oai(validator(min_length = 1, max_length = 100))]
    code: String,
}

/// Credits on their way to somebody else.
#[derive(Debug, Object)]
#[oai(rename = "Gift", rename_all = "camelCase")]
struct GiftView {
    id: String,
    direction: DirectionView,
    amount: i64,
    /// For the giver: to whom.
    recipient_email: Option<String>,
    /// For the receiver: from whom.
    giver_name: Option<String>,
    message: Option<String>,
    status: GiftStatusView,
    created_at: OffsetDateTime,
    /// Until when it can be taken; before any credits in it lapse.
    expires_at: OffsetDateTime,
    ended_at: Option<OffsetDateTime>,
}

impl From<Gift> for GiftView {
    fn from(gift: Gift) -> Self {
        Self {
            id: gift.id,
            direction: gift.direction.into(),
            amount: gift.amount.get(),
            recipient_email: gift.recipient_email,
            giver_name: gift.giver_name,
            message: gift.message,
            status: gift.status.into(),
            created_at: gift.created_at,
            expires_at: gift.expires_at,
            ended_at: gift.ended_at,
        }
    }
}

#[derive(Debug, Clone, Copy, Enum)]
#[oai(rename = "GiftDirection", rename_all = "camelCase")]
enum DirectionView {
    Made,
    Received,
}

impl From<Direction> for DirectionView {
    fn from(direction: Direction) -> Self {
        match direction {
            Direction::Made => Self::Made,
            Direction::Received => Self::Received,
        }
    }
}

impl From<DirectionView> for Direction {
    fn from(direction: DirectionView) -> Self {
        match direction {
            DirectionView::Made => Self::Made,
            DirectionView::Received => Self::Received,
        }
    }
}

#[derive(Debug, Enum)]
#[oai(rename = "GiftStatus", rename_all = "camelCase")]
enum GiftStatusView {
    Waiting,
    Redeemed,
    Cancelled,
    Expired,
}

impl From<GiftStatus> for GiftStatusView {
    fn from(status: GiftStatus) -> Self {
        match status {
            GiftStatus::Waiting => Self::Waiting,
            GiftStatus::Redeemed => Self::Redeemed,
            GiftStatus::Cancelled => Self::Cancelled,
            GiftStatus::Expired => Self::Expired,
        }
    }
}

#[derive(Debug, Object)]
#[oai(rename = "GiftCreated")]
struct GiftCreated {
    /// Takes the gift. Shown once; null only when a request is repeated after the master key was
    /// changed twice.
    code: Option<String>,
    gift: GiftView,
    /// What can be spent now.
    balance: i64,
}

#[derive(Debug, Object)]
#[oai(rename = "GiftAnswer")]
struct GiftAnswer {
    gift: GiftView,
    /// What can be spent now.
    balance: i64,
}

#[derive(Debug, ApiResponse)]
enum Given {
    /// The credits wait, now or with an earlier request with the same key.
    #[oai(status = 201)]
    Created(
        Json<GiftCreated>,
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
        Json<Vec<GiftView>>,
        /// Where the next page is (RFC 8288), when there is one.
        #[oai(header = "Link")]
        Option<String>,
    ),
}

#[OpenApi(prefix_path = "/api/v1/credits/gifts", tag = "Tag::Credits")]
impl GiftsApi {
    /// Make a gift
    ///
    /// Only credits that were bought more than seven days ago can be given. Needs a sign-in within
    /// the last ten minutes. With `recipientEmail` it is redeemed by itself, as soon as somebody
    /// has proven that address; the answer does not say whether somebody has.
    #[oai(path = "/", method = "post", operation_id = "createGift")]
    async fn create_gift(
        &self,
        request: RequestInfo,
        caller: Caller,
        /// 1 to 255 visible ASCII characters, chosen by the client.
        #[oai(name = "Idempotency-Key")]
        key: IdempotencyKey,
        body: Body<GiftRequest>,
    ) -> Result<Given, Refusal<Giving>> {
        let key = key.or_field(body.0.idempotency_key.clone())?;
        let wish = body.0.check(self.app.clock.now())?;
        let given =
            create_gift::create_gift(&self.app, &caller, &wish, key.as_deref(), &request).await?;
        let answer = GiftCreated {
            code: given.code.map(|code| code.expose().to_owned()),
            gift: given.gift.into(),
            balance: given.balance.get(),
        };
        Ok(Given::Created(Json(answer), replayed(given.replayed)))
    }

    /// List gifts
    ///
    /// Made and received, newest first.
    #[oai(path = "/", method = "get", operation_id = "listGifts")]
    async fn list_gifts(
        &self,
        caller: Caller,
        /// Only these.
        direction: Query<Option<DirectionView>>,
        /// How many; 50 when left out.
        #[oai(validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<Option<u16>>,
        /// Where the page begins, from the `Link` header of the page before.
        #[oai(validator(pattern = "^[A-Za-z0-9_-]{22}$"))]
        cursor: Query<Option<String>>,
    ) -> Result<Listed, Refusal<SignedIn>> {
        let limit = limit.0.unwrap_or(DEFAULT_PAGE);
        let (after, only) = (cursor.0.as_deref(), direction.0.map(Direction::from));
        let user_id = &caller.user_id;
        let page = list_gifts::list_gifts(&self.app, user_id, only, after, limit).await?;
        let link = page.next.map(|id| next_page(limit, only, &id));
        let gifts = page.gifts.into_iter().map(GiftView::from).collect();
        Ok(Listed::Page(Json(gifts), link))
    }

    /// Redeem a gift
    ///
    /// A code that is unknown, for somebody else, used or over is answered with 404. The same user
    /// may ask again and gets the same gift.
    #[oai(path = "/redeem", method = "post", operation_id = "redeemGift")]
    async fn redeem_gift(
        &self,
        request: RequestInfo,
        caller: Caller,
        body: Body<RedeemRequest>,
    ) -> Result<Answered<GiftAnswer>, Refusal<Taking>> {
        let code = &body.0.code;
        let redeemed = redeem_gift::redeem_gift(&self.app, &caller, code, &request).await?;
        let answer = GiftAnswer {
            gift: redeemed.gift.into(),
            balance: redeemed.balance.get(),
        };
        Ok(Answered::Done(Json(answer), replayed(redeemed.replayed)))
    }

    /// Take a gift back
    ///
    /// While nobody has redeemed it.
    #[oai(path = "/:id/cancel", method = "post", operation_id = "cancelGift")]
    async fn cancel_gift(
        &self,
        caller: Caller,
        /// The gift.
        id: Path<String>,
    ) -> Result<Json<GiftAnswer>, Refusal<Taking>> {
        let id = gift_id(&id.0)?;
        let (gift, balance) = cancel_gift::cancel_gift(&self.app, &caller.user_id, id).await?;
        Ok(Json(GiftAnswer {
            gift: gift.into(),
            balance: balance.get(),
        }))
    }
}

impl GiftRequest {
    fn check(self, now: OffsetDateTime) -> Result<Wish, Problem> {
        let mut errors = Vec::new();
        let amount = Credits::amount(self.amount);
        if amount.is_none() {
            let message = "must be a whole number from 1 to 1000000000000";
            errors.push(FieldError::new("amount", message));
        }
        let recipient = self.recipient_email.as_deref().map(Email::parse);
        if recipient == Some(None) {
            errors.push(FieldError::new(
                "recipientEmail",
                "must be an e-mail address",
            ));
        }
        let fits = |at: OffsetDateTime| at > now && at <= now + MAX_TTL;
        if self.expires_at.is_some_and(|at| !fits(at)) {
            let message = "must be in the future and at most 365 days ahead";
            errors.push(FieldError::new("expiresAt", message));
        }
        match amount {
            Some(amount) if errors.is_empty() => Ok(Wish {
                amount,
                recipient: recipient.flatten(),
                message: self.message,
                expires_at: self.expires_at,
            }),
            _ => Err(Problem::validation(errors)),
        }
    }
}

/// What does not have the form of our ids names no gift.
fn gift_id(text: &str) -> Result<&str, Problem> {
    let ours = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    (text.len() == GIFT_ID_BYTES && text.bytes().all(ours))
        .then_some(text)
        .ok_or_else(|| Problem::new(ProblemCode::NotFound))
}

/// RFC 8288, with a target relative to this request's.
fn next_page(limit: u16, only: Option<Direction>, id: &str) -> String {
    let only = only.map_or_else(String::new, |only| format!("&direction={}", only.name()));
    format!("</api/v1/credits/gifts?limit={limit}{only}&cursor={id}>; rel=\"next\"")
}

/// Refusals of giving.
#[derive(Debug)]
struct Giving;
impl Statuses for Giving {
    const EXTRA: &'static [u16] = &[401, 402, 403, 404, 409];
}

/// Refusals of redeeming and taking back.
#[derive(Debug)]
struct Taking;
impl Statuses for Taking {
    const EXTRA: &'static [u16] = &[401, 404, 409];
}

/// 402 of a gift: `balance` is what can be given.
fn insufficient_to_give(giftable: Credits, replayed: bool) -> Problem {
    insufficient(giftable, replayed).described(
        "Only credits that you bought more than seven days ago can be given: `balance` says how many.",
    )
}

impl From<CreateGiftError> for Problem {
    fn from(error: CreateGiftError) -> Self {
        match error {
            CreateGiftError::Insufficient { giftable, replayed } => {
                insufficient_to_give(giftable, replayed)
            }
            CreateGiftError::KeyReused => Self::new(ProblemCode::IdempotencyKeyReused),
            CreateGiftError::Frozen => Self::new(ProblemCode::AccountFrozen),
            CreateGiftError::OwnAddress => {
                let message = "must be somebody else's address";
                Self::validation(vec![FieldError::new("recipientEmail", message)])
            }
            CreateGiftError::TooManyGifts => Self::with_detail(
                ProblemCode::Conflict,
                "As many gifts wait as there may be: 100. Take one back first.",
            ),
            CreateGiftError::TooManyAtOnce { retry_after_secs } => {
                Self::rate_limited(retry_after_secs)
            }
            CreateGiftError::SignInAgain => Self::new(ProblemCode::ReauthenticationRequired),
            CreateGiftError::SessionEnded => Self::new(ProblemCode::SessionRevoked),
            CreateGiftError::NoAccount => no_account(),
            CreateGiftError::Db(error) => error.into(),
        }
    }
}

impl From<RedeemGiftError> for Problem {
    fn from(error: RedeemGiftError) -> Self {
        let conflict = |detail| Self::with_detail(ProblemCode::Conflict, detail);
        match error {
            RedeemGiftError::NotFound => Self::with_detail(
                ProblemCode::NotFound,
                "There is no gift for you with this code.",
            ),
            RedeemGiftError::OwnGift => {
                conflict("You made this gift yourself: take it back to have the credits again.")
            }
            RedeemGiftError::Blocked => {
                conflict("This gift cannot be redeemed at the moment. It stays where it is.")
            }
            RedeemGiftError::AccountFull => conflict(
                "Your account cannot hold this gift: it may have 9007199254740991 credits in 1000 lots. The gift stays where it is.",
            ),
            RedeemGiftError::TooManyTries { retry_after_secs } => {
                Self::rate_limited(retry_after_secs)
            }
            RedeemGiftError::NoAccount => no_account(),
            RedeemGiftError::Db(error) => error.into(),
        }
    }
}

impl From<CancelGiftError> for Problem {
    fn from(error: CancelGiftError) -> Self {
        match error {
            CancelGiftError::NotFound => Self::new(ProblemCode::NotFound),
            CancelGiftError::Ended => Self::with_detail(
                ProblemCode::Conflict,
                "The gift has been redeemed or has gone back already.",
            ),
            CancelGiftError::Db(error) => error.into(),
        }
    }
}

const DEFAULT_PAGE: u16 = 50;
/// Credits in escrow are nobody's to spend.
const MAX_TTL: Duration = Duration::days(365);
/// 128 bits in base64url.
const GIFT_ID_BYTES: usize = 22;
