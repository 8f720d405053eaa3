//! What a route's requests cost, resolved.

use serde::{Deserialize, Serialize};

/// The credits a request costs, whose they become and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Charge {
    /// Credits for each request.
    pub cost: u64,
    /// The app they are spent in, whose service this gateway is.
    pub app_id: String,
    /// When they are spent.
    pub when: ChargeWhen,
    /// Whether an answer with a 4xx status costs as much as one that succeeded.
    pub on_4xx: bool,
}

/// When the credits of a request are spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChargeWhen {
    /// They are held, and spent when the backend has answered with success.
    OnSuccess,
    /// Before the backend is asked, whatever comes of it.
    Before,
}
