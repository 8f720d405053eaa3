//! Rate limits and who may register.

use std::str::FromStr;

use super::Source;

/// How much each caller may do.
#[derive(Debug, Clone, Copy)]
pub struct LimitsConfig {
    /// `RATE_LIMIT_SCALE` in thousandths: 1000 leaves the limits as documented.
    pub scale_thousandths: u32,
    /// `REGISTRATION`.
    pub registration: Registration,
}

/// Whether strangers may create accounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registration {
    /// Anybody may register.
    Open,
    /// Nobody may register over HTTP.
    Closed,
}

impl LimitsConfig {
    pub(super) fn read(source: &mut Source<'_>) -> Self {
        let scale = source.parsed(
            "RATE_LIMIT_SCALE",
            Thousandths(1000),
            "must be a number above 0 and at most 1000, with up to three decimals",
        );
        let registration = source.parsed(
            "REGISTRATION",
            Registration::Open,
            "must be `open` or `closed`",
        );
        Self {
            scale_thousandths: scale.0,
            registration,
        }
    }
}

impl FromStr for Registration {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "open" => Ok(Self::Open),
            "closed" => Ok(Self::Closed),
            _ => Err(()),
        }
    }
}

struct Thousandths(u32);

impl FromStr for Thousandths {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        if fraction.len() > 3 || !text.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
            return Err(());
        }
        let whole: u32 = whole.parse().map_err(|_| ())?;
        let fraction: u32 = format!("{fraction:0<3}").parse().map_err(|_| ())?;
        match whole
            .checked_mul(1000)
            .and_then(|whole| whole.checked_add(fraction))
        {
            Some(value @ 1..=1_000_000) => Ok(Self(value)),
            _ => Err(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scale_is_read_as_a_decimal() {
        for (text, expected) in [
            ("1", 1000),
            ("0.5", 500),
            ("2.25", 2250),
            ("0.001", 1),
            ("1000", 1_000_000),
        ] {
            assert_eq!(
                text.parse::<Thousandths>().map(|t| t.0),
                Ok(expected),
                "{text}"
            );
        }
        for text in ["0", "0.0001", "-1", "1e3", "1001", "1.2.3", "many", ""] {
            assert!(text.parse::<Thousandths>().is_err(), "{text}");
        }
    }
}
