//! Which URLs may be set. Names are judged again when they are resolved, at each call.

use url::{Host, Url};

use super::address::Reach;

/// What is wrong with a URL that is to be called; `None` when nothing is.
pub fn webhook_url_problem(text: &str, reach: Reach) -> Option<&'static str> {
    let Some(url) = parse(text) else {
        return Some("must be a URL of at most 2048 bytes such as https://app.example.com/hooks");
    };
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return Some("must not hold credentials or a fragment");
    }
    place_problem(&url, reach)
}

/// What is wrong with an origin that people are sent back to; `None` when nothing is.
pub fn origin_problem(text: &str, reach: Reach) -> Option<&'static str> {
    match parse(text) {
        Some(url) if url.origin().ascii_serialization() == text => place_problem(&url, reach),
        _ => Some("must be at most 20 origins such as https://app.example.com, without a path"),
    }
}

fn parse(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    (text.len() <= MAX_URL_BYTES && url.host().is_some()).then_some(url)
}

fn place_problem(url: &Url, reach: Reach) -> Option<&'static str> {
    let loopback = names_loopback(url);
    let plain = url.scheme() == "http" && loopback && reach.includes_loopback();
    if url.scheme() != "https" && !plain {
        return Some(match reach {
            Reach::Public => "must begin with https://",
            Reach::PublicAndLoopback => "must begin with https://, or http:// on this machine",
        });
    }
    let allowed = match url.host() {
        Some(Host::Ipv4(address)) => reach.allows(address.into()),
        Some(Host::Ipv6(address)) => reach.allows(address.into()),
        Some(Host::Domain(_)) => !loopback || reach.includes_loopback(),
        None => false,
    };
    (!allowed).then_some("must not lead to a private, loopback or other special address")
}

fn names_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.to_canonical().is_loopback(),
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.');
            name == "localhost" || name.ends_with(".localhost")
        }
        None => false,
    }
}

/// What every browser and server takes.
const MAX_URL_BYTES: usize = 2_048;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_to_call_is_https_and_public() {
        for good in [
            "https://a.example.com/hooks?x=1",
            "https://a.example.com:8443",
            "https://1.1.1.1/",
        ] {
            assert_eq!(webhook_url_problem(good, Reach::Public), None, "{good}");
        }
        for bad in [
            "",
            "a.example.com",
            "http://a.example.com",
            "ftp://a.example.com",
            "file:///etc/passwd",
            "https://u:p@a.example.com",
            "https://u@a.example.com",
            "https://a.example.com/#x",
            "https://localhost/",
            "https://localhost./",
            "https://hooks.localhost/",
            "https://127.0.0.1/",
            "https://2130706433/",
            "https://0x7f.1/",
            "https://10.0.0.1/",
            "https://169.254.169.254/latest",
            "https://[::1]/",
            "https://[fc00::1]/",
            "https://[::ffff:10.0.0.1]/",
            "http://localhost:3000/",
        ] {
            assert!(webhook_url_problem(bad, Reach::Public).is_some(), "{bad}");
        }
        let long = format!("https://a.example.com/{}", "a".repeat(MAX_URL_BYTES));
        assert!(webhook_url_problem(&long, Reach::Public).is_some());
    }

    #[test]
    fn in_development_this_machine_may_be_called_without_tls_and_no_other() {
        for good in [
            "http://localhost:3000/hooks",
            "http://127.0.0.1:1/",
            "http://[::1]:1/",
            "https://127.0.0.1/",
        ] {
            let problem = webhook_url_problem(good, Reach::PublicAndLoopback);
            assert_eq!(problem, None, "{good}");
        }
        for bad in [
            "http://a.example.com",
            "http://10.0.0.1",
            "https://10.0.0.1",
        ] {
            let problem = webhook_url_problem(bad, Reach::PublicAndLoopback);
            assert!(problem.is_some(), "{bad}");
        }
    }

    #[test]
    fn origins_have_no_path_and_are_https() {
        for good in ["https://a.example.com", "https://a.example.com:8443"] {
            assert_eq!(origin_problem(good, Reach::Public), None, "{good}");
        }
        for bad in [
            "",
            "a.example.com",
            "http://a.example.com",
            "https://a.example.com/",
            "https://a.example.com/x",
            "https://u@a.example.com",
            "https://A.example.com",
            "https://a.example.com:443",
            "javascript:alert(1)",
            "null",
            "*",
            "http://localhost:3000",
            "https://10.0.0.1",
        ] {
            assert!(origin_problem(bad, Reach::Public).is_some(), "{bad}");
        }
        for good in ["http://localhost:3000", "http://127.0.0.1"] {
            let problem = origin_problem(good, Reach::PublicAndLoopback);
            assert_eq!(problem, None, "{good}");
        }
    }
}
