//! Bodies in the form encoding that Stripe takes: `line_items[0][quantity]=1`.

/// The pairs of a body, decoded, in their order.
pub fn pairs(body: &str) -> Vec<(String, String)> {
    let pairs = body.split('&').filter(|pair| !pair.is_empty());
    let split = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    split
        .map(|(name, value)| (decode(name), decode(value)))
        .collect()
}

/// The value of one name; empty when absent.
pub fn value<'a>(pairs: &'a [(String, String)], name: &str) -> &'a str {
    let found = pairs.iter().find(|(n, _)| n == name);
    found.map_or("", |(_, value)| value)
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escaped = after.get(..2).and_then(|pair| {
            let pair = std::str::from_utf8(pair).ok()?;
            u8::from_str_radix(pair, 16).ok()
        });
        match (first, escaped) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            (b'+', _) => {
                bytes.push(b' ');
                rest = after;
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_are_decoded() {
        let read = pairs("a%5Bb%5D=c+d%26e&x&y=%zz&u=%C3%A4");
        assert_eq!(value(&read, "a[b]"), "c d&e");
        assert_eq!(value(&read, "x"), "");
        assert_eq!(value(&read, "y"), "%zz");
        assert_eq!(value(&read, "u"), "ä");
        assert_eq!(value(&read, "z"), "");
    }
}
