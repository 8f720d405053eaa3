//! Rust text with comments and literals blanked out, so that what is left is code.

/// Replaces the content of comments, strings and characters by spaces. Every line keeps its number
/// and every character its column.
pub fn mask(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let end = literal_end(&chars, at).unwrap_or(at);
        if end == at {
            out.push(chars[at]);
            at += 1;
            continue;
        }
        out.extend(
            chars[at..end]
                .iter()
                .map(|c| if *c == '\n' { '\n' } else { ' ' }),
        );
        at = end;
    }
    out
}

/// Where the comment or literal that begins at `at` ends; `None` when none begins there.
fn literal_end(chars: &[char], at: usize) -> Option<usize> {
    let starts = |text: &str| {
        text.chars()
            .eq(chars[at..].iter().copied().take(text.len()))
    };
    if starts("//") {
        return Some(find(chars, at, '\n').unwrap_or(chars.len()));
    }
    if starts("/*") {
        return Some(block_comment_end(chars, at));
    }
    if chars[at] == '"' {
        return Some(quoted_end(chars, at + 1, '"'));
    }
    if chars[at] == '\'' {
        return character_end(chars, at);
    }
    let after_word = at > 0 && is_word(chars[at - 1]);
    if after_word {
        None
    } else {
        prefixed_end(chars, at)
    }
}

/// `b"…"`, `c"…"`, `b'…'`, `r"…"`, `br#"…"#` and their like.
fn prefixed_end(chars: &[char], at: usize) -> Option<usize> {
    let rest = &chars[at..];
    let prefix = rest
        .iter()
        .take_while(|c| matches!(c, 'b' | 'c' | 'r'))
        .count();
    let hashes = rest[prefix..].iter().take_while(|c| **c == '#').count();
    let quote = rest.get(prefix + hashes)?;
    let raw = rest[..prefix].contains(&'r');
    match (quote, raw) {
        _ if prefix == 0 => None,
        ('"', true) => Some(raw_end(chars, at + prefix + hashes + 1, hashes)),
        ('"', false) if hashes == 0 => Some(quoted_end(chars, at + prefix + 1, '"')),
        ('\'', false) if hashes == 0 => character_end(chars, at + prefix),
        _ => None,
    }
}

fn raw_end(chars: &[char], from: usize, hashes: usize) -> usize {
    let closes = |at: &usize| {
        chars[*at] == '"'
            && chars[at + 1..]
                .iter()
                .take(hashes)
                .filter(|c| **c == '#')
                .count()
                == hashes
    };
    (from..chars.len())
        .find(closes)
        .map_or(chars.len(), |at| at + 1 + hashes)
}

fn quoted_end(chars: &[char], from: usize, quote: char) -> usize {
    let mut at = from;
    while at < chars.len() && chars[at] != quote {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(chars.len())
}

/// `'a'` and `'\n'` are characters, `'a` is a lifetime.
fn character_end(chars: &[char], at: usize) -> Option<usize> {
    match (chars.get(at + 1)?, chars.get(at + 2)) {
        ('\\', _) => Some(quoted_end(chars, at + 1, '\'')),
        (_, Some('\'')) => Some(at + 3),
        _ => None,
    }
}

/// Block comments nest.
fn block_comment_end(chars: &[char], from: usize) -> usize {
    let mut depth = 0;
    let mut at = from;
    while at < chars.len() {
        match (chars[at], chars.get(at + 1)) {
            ('/', Some('*')) => (depth, at) = (depth + 1, at + 2),
            ('*', Some('/')) => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    chars.len()
}

fn find(chars: &[char], from: usize, wanted: char) -> Option<usize> {
    chars[from..]
        .iter()
        .position(|c| *c == wanted)
        .map(|offset| from + offset)
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_blanked_and_code_stays() {
        for (text, masked) in [
            ("a // b\nc", "a     \nc"),
            ("a /* b /* c */ d */ e", "a                   e"),
            ("f(\"x { \\\" }\") + 1", "f(          ) + 1"),
            ("let c = '{'; &'a str", "let c =    ; &'a str"),
            ("b'\\'' '\\u{7b}' x", "               x"),
            ("r\"a\\\" b", "      b"),
            ("br#\"a \" {\"# c", "            c"),
            ("for_r\"s\"", "for_r   "),
            ("'static", "'static"),
            ("\"a\nb\"c", "  \n  c"),
        ] {
            assert_eq!(mask(text), masked, "{text}");
        }
    }

    #[test]
    fn unfinished_literals_do_not_run_past_the_end() {
        for text in [
            "\"",
            "\"\\",
            "'",
            "'\\",
            "/*",
            "/* *",
            "r#\"",
            "b\"",
            "//",
            "br##\"x\"#",
        ] {
            assert_eq!(mask(text).chars().count(), text.chars().count(), "{text}");
        }
    }
}
