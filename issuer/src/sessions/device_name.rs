//! What a device is called when its app does not say: browser and system, from the user agent.

/// A name such as `Firefox on Linux`; `None` when the user agent tells neither.
pub fn device_name(user_agent: &str) -> Option<String> {
    let program = first_named(PROGRAMS, user_agent);
    let system = first_named(SYSTEMS, user_agent);
    match (program, system) {
        (Some(program), Some(system)) => Some(format!("{program} on {system}")),
        (Some(name), None) | (None, Some(name)) => Some(name.to_owned()),
        (None, None) => None,
    }
}

fn first_named(names: &[(&str, &'static str)], user_agent: &str) -> Option<&'static str> {
    let mut found = names.iter().filter(|(mark, _)| user_agent.contains(mark));
    found.next().map(|(_, name)| *name)
}

/// Marks of programs. Browsers name those they imitate after themselves, so the imitators come
/// first: Edge calls itself Chrome and Safari too, Chrome calls itself Safari.
const PROGRAMS: &[(&str, &str)] = &[
    ("Edg/", "Edge"),
    ("EdgA/", "Edge"),
    ("EdgiOS/", "Edge"),
    ("OPR/", "Opera"),
    ("OPiOS/", "Opera"),
    ("Vivaldi/", "Vivaldi"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("FxiOS/", "Firefox"),
    ("Firefox/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("HeadlessChrome/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Version/", "Safari"),
    ("curl/", "curl"),
    ("Wget/", "Wget"),
    ("PostmanRuntime/", "Postman"),
    ("insomnia/", "Insomnia"),
    ("python-requests/", "Python"),
    ("Python-urllib/", "Python"),
    ("okhttp/", "Android app"),
    ("CFNetwork/", "Apple app"),
    ("node", "Node.js"),
];

/// Marks of systems. Android calls itself Linux too, an iPhone is `like Mac OS X`.
const SYSTEMS: &[(&str, &str)] = &[
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("CrOS", "ChromeOS"),
    ("Windows", "Windows"),
    ("Macintosh", "macOS"),
    ("FreeBSD", "FreeBSD"),
    ("Linux", "Linux"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_browsers_are_told_apart_from_those_they_imitate() {
        let cases = [
            (
                "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
                "Firefox on Linux",
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
                "Chrome on Windows",
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0",
                "Edge on Windows",
            ),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Safari/605.1.15",
                "Safari on macOS",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1",
                "Safari on iPhone",
            ),
            (
                "Mozilla/5.0 (iPad; CPU OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/142.0.0.0 Mobile/15E148 Safari/604.1",
                "Chrome on iPad",
            ),
            (
                "Mozilla/5.0 (Linux; Android 15; SM-S921B) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/28.0 Chrome/130.0.0.0 Mobile Safari/537.36",
                "Samsung Internet on Android",
            ),
            (
                "Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36 OPR/120.0.0.0",
                "Opera on ChromeOS",
            ),
            ("curl/8.14.1", "curl"),
            ("MyApp/3 CFNetwork/3826.500.131 Darwin/24.5.0", "Apple app"),
        ];
        for (user_agent, expected) in cases {
            assert_eq!(
                device_name(user_agent).as_deref(),
                Some(expected),
                "{user_agent}"
            );
        }
    }

    #[test]
    fn what_tells_nothing_has_no_name() {
        for user_agent in ["", "Mozilla/5.0", "something else", "\u{1f600}"] {
            assert_eq!(device_name(user_agent), None, "{user_agent}");
        }
    }
}
