//! Budgets and the arithmetic of spending them, without any input or output.

use std::net::IpAddr;

/// What is limited. Each has its own budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// `POST /auth/register`.
    Register,
    /// `POST /auth/login`, per address.
    Login,
    /// `POST /auth/login`, per account: what all strangers together may try.
    LoginAccount,
    /// `POST /auth/login`, per account and address: what one stranger may still try when the
    /// others have used the account's budget up.
    LoginAccountAddress,
    /// Mail asked for and codes tried, per address; passwords tried from a session, per user.
    MailAccount,
    /// `POST /credits/gifts/redeem`, per user.
    GiftCode,
    /// `POST /auth/refresh`.
    Refresh,
    /// `POST /auth/validate`.
    Validate,
    /// Holds and charges by a service, per address.
    Service,
    /// `GET /auth/export`: one answer with thousands of rows.
    Export,
    /// Every other request that changes something.
    Write,
}

/// So many requests in so many seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Requests.
    pub limit: u32,
    /// The time in which that many are given back.
    pub period_secs: u32,
}

impl Class {
    /// The budget as documented.
    pub fn budget(self) -> Budget {
        match self {
            // As for registering: a person types a code once or twice, and nobody guesses 128 bits.
            // All of one's data is wanted as rarely.
            Self::Register | Self::GiftCode | Self::Export => per_minute(10),
            Self::Login => per_minute(20),
            Self::LoginAccount => per_minute(30),
            Self::LoginAccountAddress => Budget {
                limit: 1,
                period_secs: 600,
            },
            Self::MailAccount => per_minute(6),
            Self::Refresh => per_minute(60),
            // Backends call it for each of their requests; it costs one signature check.
            Self::Validate => per_minute(6000),
            // A gateway asks twice for each request that costs something.
            Self::Service => per_minute(60_000),
            Self::Write => per_minute(120),
        }
    }

    /// Whether issuers count together. What is called for every request of a backend must not
    /// wait for another server.
    pub fn is_shared(self) -> bool {
        !matches!(self, Self::Validate | Self::Service)
    }

    /// A name that never changes: budgets in Redis outlive a release.
    pub fn name(self) -> &'static str {
        match self {
            Self::Register => "register",
            Self::Login => "login",
            Self::LoginAccount => "login_account",
            Self::LoginAccountAddress => "login_account_address",
            Self::MailAccount => "mail_account",
            Self::GiftCode => "gift_code",
            Self::Refresh => "refresh",
            Self::Validate => "validate",
            Self::Service => "service",
            Self::Export => "export",
            Self::Write => "write",
        }
    }
}

fn per_minute(limit: u32) -> Budget {
    Budget {
        limit,
        period_secs: 60,
    }
}

impl Budget {
    /// The budget times `factor`, times `scale_thousandths` / 1000; never less than one request.
    #[must_use]
    pub fn scaled(self, factor: u32, scale_thousandths: u32) -> Self {
        let scaled = u64::from(self.limit * factor) * u64::from(scale_thousandths) / 1000;
        Self {
            limit: u32::try_from(scaled).unwrap_or(u32::MAX).max(1),
            ..self
        }
    }

    /// Microseconds after which one request is given back.
    pub fn interval_micros(self) -> i64 {
        (i64::from(self.period_secs) * 1_000_000 / i64::from(self.limit)).max(1)
    }

    /// The decision, from how far ahead of now the budget would be whole again if the request
    /// went through. The generic cell rate algorithm (ITU-T I.371).
    pub fn decide(self, ahead_micros: i64) -> Decision {
        let interval = self.interval_micros();
        let wait = ahead_micros - interval * i64::from(self.limit);
        let allowed = wait <= 0;
        let remaining = if allowed { -wait / interval } else { 0 };
        Decision {
            allowed,
            limit: self.limit,
            remaining: u32::try_from(remaining).unwrap_or(0),
            reset_secs: ceil_secs(if allowed { ahead_micros } else { wait }),
        }
    }
}

/// A budget is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UsedUp {
    /// When to try again.
    pub retry_after_secs: u64,
}

/// Whose budget is drawn on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Subject {
    /// An IPv4 address.
    Address(u32),
    /// An IPv6 network of 64 bits.
    Network64(u64),
    /// An IPv6 network of 48 bits.
    Network48(u64),
    /// An account, or an account and an address, by digest.
    Account([u8; 16]),
    /// Everybody for whom the table had no room.
    Overflow,
}

impl Subject {
    /// What an address is counted as, and, for an IPv6 client, which owns at least a /64 and often
    /// a /48, the wider network with the factor its budget is multiplied by.
    pub fn of_address(address: IpAddr) -> (Self, Option<(Self, u32)>) {
        match address {
            IpAddr::V4(ip) => (Self::Address(ip.to_bits()), None),
            IpAddr::V6(ip) => {
                let [a, b, c, d, ..] = ip.segments().map(u64::from);
                let site = a << 32 | b << 16 | c;
                let wide = (Self::Network48(site), IPV6_SITE_FACTOR);
                (Self::Network64(site << 16 | d), Some(wide))
            }
        }
    }

    /// The subject as bytes, no two alike.
    pub fn to_bytes(self) -> [u8; 17] {
        let (kind, value) = match self {
            Self::Address(bits) => (4, u128::from(bits)),
            Self::Network64(bits) => (64, u128::from(bits)),
            Self::Network48(bits) => (48, u128::from(bits)),
            Self::Account(digest) => (1, u128::from_be_bytes(digest)),
            Self::Overflow => (0, 0),
        };
        let mut bytes = [kind; 17];
        bytes[1..].copy_from_slice(&value.to_be_bytes());
        bytes
    }
}

/// What the limiter decided, for the answer's headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// Whether the request may go on.
    pub allowed: bool,
    /// The limit.
    pub limit: u32,
    /// Requests left at this moment.
    pub remaining: u32,
    /// Seconds until the budget is whole again, or, when refused, until the next try.
    pub reset_secs: u64,
}

fn ceil_secs(micros: i64) -> u64 {
    u64::try_from(micros).unwrap_or(0).div_ceil(1_000_000)
}

/// A /48 may hold many households.
const IPV6_SITE_FACTOR: u32 = 4;
