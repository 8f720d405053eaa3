//! The time, for hosts that have nobody to hand it in.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::time::UnixMillis;

/// What tells the time.
pub type Clock = Arc<dyn Fn() -> UnixMillis + Send + Sync>;

/// The clock of this machine. One that is set before 1970 says that it is 1970, and no token is
/// valid yet.
pub fn system_clock() -> Clock {
    Arc::new(|| {
        #[expect(
            clippy::disallowed_methods,
            reason = "this is where the time is handed in"
        )]
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        UnixMillis::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    })
}
