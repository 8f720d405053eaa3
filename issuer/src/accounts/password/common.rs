//! Passwords that everybody tries first.

use std::sync::LazyLock;

/// Whether a password is among the most common ones, however it is capitalised, or is one
/// character over and over.
pub fn is_common(password: &str) -> bool {
    let lower = password.to_lowercase();
    let mut chars = lower.chars();
    let first = chars.next();
    chars.all(|c| Some(c) == first) || COMMON.binary_search(&lower.as_str()).is_ok()
}

/// Sorted; data/README.md says where they come from.
static COMMON: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    include_str!("../../../data/common-passwords.txt")
        .lines()
        .collect()
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted_and_holds_only_what_could_be_chosen() {
        assert!(COMMON.is_sorted());
        assert!(COMMON.len() > 10_000);
        let fits = |word: &&str| word.len() >= 8 && **word == word.to_lowercase();
        assert!(COMMON.iter().all(fits));
    }

    #[test]
    fn common_passwords_are_found_however_they_are_written() {
        for common in [
            "password",
            "PassWord",
            "12345678",
            "qwertyuiop",
            "aaaaaaaaaa",
            "ÄÄÄÄÄÄÄÄ",
        ] {
            assert!(is_common(common), "{common}");
        }
        for fine in ["correct horse battery", "password of mine", "aaaaaaab"] {
            assert!(!is_common(fine), "{fine}");
        }
    }
}
