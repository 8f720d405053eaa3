//! How operations are grouped in the documentation.

use poem_openapi::Tags;

/// A group of operations.
#[derive(Debug, Tags)]
pub enum Tag {
    /// Registering and signing in.
    Accounts,
    /// Signing in on several devices, refreshing, signing out.
    Sessions,
    /// Two-factor, passkeys, signing in again.
    SecondFactor,
    /// What users have set, for everywhere and for each app.
    Settings,
    /// Keys and revocations for whoever verifies tokens.
    Verification,
    /// Balance, use, holds, history.
    Credits,
    /// People, apps, services and the audit trail, for admins.
    Admin,
    /// Health and metrics for whoever runs it.
    Operation,
}
