//! What `cargo xtask prove` asks of a test beyond its usual size.

/// A size that was asked for, as `PROVE_<name>`; `None` in an ordinary run.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place where tests read what they are to prove"
)]
pub fn proving(name: &str) -> Option<u64> {
    let text = std::env::var(format!("PROVE_{name}")).ok()?;
    Some(text.parse().expect("a whole number"))
}

/// A statement that takes one rule out of the database: some test must notice.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place where tests read what they are to prove"
)]
pub fn mutation() -> Option<String> {
    std::env::var("PROVE_MUTATION").ok()
}
