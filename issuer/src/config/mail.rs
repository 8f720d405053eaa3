//! Mail.

use super::Source;

/// Verification by mail decides what strangers learn at registration. Until mail is part of
/// this version, asking for it stops the start: carrying on without it would be worse.
pub(super) fn refuse_until_available(source: &mut Source<'_>) {
    const MESSAGE: &str = "is not supported by this version, which sends no mail: leave it unset";
    if source.text("SMTP_URL").is_some() {
        source.problem("SMTP_URL", MESSAGE);
    }
    match source.text("EMAIL_VERIFICATION").as_deref() {
        None | Some("off") => {}
        Some("on") => source.problem("EMAIL_VERIFICATION", MESSAGE),
        Some(_) => source.problem("EMAIL_VERIFICATION", "must be `off` or `on`"),
    }
}
