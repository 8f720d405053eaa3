//! The keys of `edge.toml` about credits: as written, and what follows from them.

use core::ops::RangeInclusive;

use super::reader::{At, Table};
use super::values::{self, Wrong};
use super::{Auth, Charge, ChargeWhen};

/// `cost`, `app_id`, `charge`, `charge_4xx`; inherited key by key.
#[derive(Clone, Default)]
pub(super) struct ChargeKeys {
    cost: Option<At<u64>>,
    app_id: Option<At<String>>,
    when: Option<At<ChargeWhen>>,
    on_4xx: Option<At<bool>>,
}

/// What else a route says that bears on its cost.
pub(super) struct Around<'r> {
    line: usize,
    auth: Auth,
    audience: Option<&'r At<String>>,
    /// The audience of the issuer.
    issuer_audience: &'r str,
}

impl<'r> Around<'r> {
    pub(super) const fn of(
        line: usize,
        auth: Auth,
        audience: Option<&'r At<String>>,
        issuer_audience: &'r str,
    ) -> Self {
        Self {
            line,
            auth,
            audience,
            issuer_audience,
        }
    }
}

impl ChargeKeys {
    pub(super) fn read(table: &Table<'_>) -> Self {
        Self {
            cost: table.number("cost", &COST),
            app_id: super::keys::checked(table, table.text("app_id"), app_id),
            when: table.choice("charge", CHARGE_WORDS),
            on_4xx: table.flag("charge_4xx"),
        }
    }

    pub(super) fn or(self, defaults: &Self) -> Self {
        Self {
            cost: self.cost.or(defaults.cost),
            app_id: self.app_id.or_else(|| defaults.app_id.clone()),
            when: self.when.or(defaults.when),
            on_4xx: self.on_4xx.or(defaults.on_4xx),
        }
    }

    /// The charge of a route; what contradicts it is noted. A route that should cost credits
    /// must never be free because of a mistake.
    pub(super) fn resolve(self, file: &Table<'_>, around: &Around<'_>) -> Option<Charge> {
        let cost = self.cost.filter(|cost| cost.value > 0)?;
        let when = self.when.map_or(ChargeWhen::OnSuccess, |at| at.value);
        refuse_nobody_to_charge(file, cost.line, around);
        if let Some(on_4xx) = self.on_4xx.filter(|_| when == ChargeWhen::Before) {
            let what = "`charge_4xx` says nothing beside charge = \"before\"";
            let remedy = "remove it: every request is charged before its answer is known";
            file.note(on_4xx.line, what, remedy);
        }
        let Some(app_id) = self.app_id else {
            let remedy = "add app_id = \"…\", the app of this gateway's service token";
            file.note(cost.line, "`cost` without a usable `app_id`", remedy);
            return None;
        };
        Some(Charge {
            cost: cost.value,
            app_id: app_id.value,
            when,
            on_4xx: self.on_4xx.is_some_and(|at| at.value),
        })
    }
}

fn refuse_nobody_to_charge(file: &Table<'_>, line: usize, around: &Around<'_>) {
    if around.auth != Auth::Required {
        let what = format!(
            "`cost` on the route at line {}, which passes requests without a token for nothing",
            around.line
        );
        file.note(line, what, "set auth = \"required\", or remove the cost");
    }
    let own = around
        .audience
        .filter(|own| own.value != around.issuer_audience);
    if let Some(own) = own {
        let what = format!(
            "`cost` with the audience {:?}, whose tokens the issuer does not take for credits",
            own.value
        );
        file.note(own.line, what, "leave out audience, or the cost");
    }
}

/// The id of an app, as the issuer accepts one.
fn app_id(text: &str) -> Result<String, Wrong> {
    let rest = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let first = text.bytes().next();
    let begins = first.is_some_and(|byte| byte.is_ascii_alphanumeric());
    if begins && text.len() <= MAX_APP_ID && text.bytes().all(rest) {
        return Ok(text.to_owned());
    }
    values::wrong(
        format!("app_id {text:?} is no id of an app"),
        "write it as `tollgate app list` shows it: 1 to 64 letters, digits, ., _ or -",
    )
}

pub(super) const CHARGE_WORDS: &[(&str, ChargeWhen)] = &[
    ("before", ChargeWhen::Before),
    ("on_success", ChargeWhen::OnSuccess),
];
/// A request that costs more than 10 000 EUR is a typing mistake.
pub(super) const COST: RangeInclusive<u64> = 0..=1_000_000;
/// As long as the issuer's ids of apps.
const MAX_APP_ID: usize = 64;
