//! Usage, without database and HTTP.

use base64ct::{Base64UrlUnpadded, Encoding};
use time::OffsetDateTime;

use crate::secret::base64url;

/// How usage is summed up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grouping {
    /// For each app on its own.
    pub by_app: bool,
    /// For each stretch of time on its own.
    pub bucket: Option<Bucket>,
}

/// A stretch of time, of UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bucket {
    /// An hour.
    Hour,
    /// A day.
    Day,
}

impl Bucket {
    /// As the API and the database call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }
}

impl Grouping {
    /// Reads `app`, `day`, `hour`, or `app` with one of the two; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let mut grouping = Self {
            by_app: false,
            bucket: None,
        };
        for name in text.split(',') {
            match name {
                "app" if !grouping.by_app => grouping.by_app = true,
                "day" if grouping.bucket.is_none() => grouping.bucket = Some(Bucket::Day),
                "hour" if grouping.bucket.is_none() => grouping.bucket = Some(Bucket::Hour),
                _ => return None,
            }
        }
        Some(grouping)
    }

    /// As it is asked for.
    pub fn name(self) -> String {
        let app = self.by_app.then_some("app");
        let bucket = self.bucket.map(Bucket::name);
        app.into_iter().chain(bucket).collect::<Vec<_>>().join(",")
    }
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// How it is summed up.
    pub grouping: Grouping,
    /// From this full hour.
    pub from: OffsetDateTime,
    /// To this full hour, which is not included.
    pub to: OffsetDateTime,
}

/// A line of usage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usage {
    /// Of this app; `None` for all together.
    pub app_id: Option<String>,
    /// In the hour or day that begins then; `None` for all of it.
    pub starts_at: Option<OffsetDateTime>,
    /// How many charges and captures.
    pub n_charges: i64,
    /// How much was spent.
    pub spent: i64,
    /// How much was given back.
    pub refunded: i64,
}

/// After which line a page begins.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cursor {
    /// Its time.
    pub starts_at: Option<OffsetDateTime>,
    /// Its app.
    pub app_id: Option<String>,
}

impl Cursor {
    /// The line after which the next page begins.
    pub fn after(last: &Usage) -> Self {
        Self {
            starts_at: last.starts_at,
            app_id: last.app_id.clone(),
        }
    }

    /// As it stands in a link.
    pub fn text(&self) -> String {
        let secs = self
            .starts_at
            .map_or_else(String::new, |at| at.unix_timestamp().to_string());
        let app = self.app_id.as_deref().unwrap_or_default();
        base64url(format!("{secs}|{app}").as_bytes())
    }

    /// Reads it back, for this grouping; `None` for anything that no link carries.
    pub fn parse(text: &str, grouping: Grouping) -> Option<Self> {
        let bytes = Base64UrlUnpadded::decode_vec(text).ok()?;
        let text = String::from_utf8(bytes).ok()?;
        let (secs, app) = text.split_once('|')?;
        let starts_at = match secs {
            "" => None,
            secs => Some(OffsetDateTime::from_unix_timestamp(secs.parse().ok()?).ok()?),
        };
        let app_id = Some(app).filter(|app| !app.is_empty()).map(str::to_owned);
        let fits =
            starts_at.is_some() == grouping.bucket.is_some() && app_id.is_some() == grouping.by_app;
        (fits && !app.contains('\0')).then_some(Self { starts_at, app_id })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groupings_are_read_as_they_are_named() {
        for good in ["app", "day", "hour", "app,day", "app,hour"] {
            let grouping = Grouping::parse(good).expect("a grouping");
            assert_eq!(grouping.name(), good);
        }
        assert_eq!(Grouping::parse("day,app"), Grouping::parse("app,day"));
        for bad in [
            "", ",", "app,", "app,app", "day,hour", "week", "App", "app day",
        ] {
            assert_eq!(Grouping::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_cursor_is_read_back_for_its_grouping_only() {
        let both = Grouping::parse("app,day").expect("a grouping");
        let cursor = Cursor {
            starts_at: Some(OffsetDateTime::UNIX_EPOCH),
            app_id: Some("a|b".into()),
        };
        assert_eq!(Cursor::parse(&cursor.text(), both), Some(cursor.clone()));
        for other in ["app", "day"] {
            let other = Grouping::parse(other).expect("a grouping");
            assert_eq!(Cursor::parse(&cursor.text(), other), None);
        }
        for bad in [
            "",
            "!",
            "AAAA",
            &base64url(b"x|a"),
            &base64url(b"9999999999999999|a"),
        ] {
            assert_eq!(Cursor::parse(bad, both), None, "{bad}");
        }
    }
}
