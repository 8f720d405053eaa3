//! Variables that later versions read.

use super::Source;

/// Those that are set although they have no effect yet; the operator is told.
pub(super) fn read(source: &mut Source<'_>) -> Vec<&'static str> {
    let is_set = [
        (
            "STRIPE_SECRET_KEY",
            source.text("STRIPE_SECRET_KEY").is_some(),
        ),
        (
            "STRIPE_WEBHOOK_SECRET",
            source.text("STRIPE_WEBHOOK_SECRET").is_some(),
        ),
        ("STRIPE_API_BASE", source.text("STRIPE_API_BASE").is_some()),
    ];
    is_set
        .into_iter()
        .filter(|(_, is_set)| *is_set)
        .map(|(name, _)| name)
        .collect()
}
