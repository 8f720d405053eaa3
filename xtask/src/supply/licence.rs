//! Licence expressions (SPDX), and whether a list of allowed ones satisfies them.

/// Whether `expression` can be met with what `allows` says yes to. What cannot be read is not.
pub fn is_met(expression: &str, allows: &dyn Fn(&str) -> bool) -> bool {
    // Older crates write a slash where SPDX has OR.
    let spaced = expression
        .replace('/', " OR ")
        .replace('(', " ( ")
        .replace(')', " ) ");
    let mut words: Vec<&str> = spaced.split_whitespace().rev().collect();
    any(&mut words, allows) == Some(true) && words.is_empty()
}

fn any(words: &mut Vec<&str>, allows: &dyn Fn(&str) -> bool) -> Option<bool> {
    let mut met = all(words, allows)?;
    while words.last() == Some(&"OR") {
        words.pop();
        met |= all(words, allows)?;
    }
    Some(met)
}

fn all(words: &mut Vec<&str>, allows: &dyn Fn(&str) -> bool) -> Option<bool> {
    let mut met = one(words, allows)?;
    while words.last() == Some(&"AND") {
        words.pop();
        met &= one(words, allows)?;
    }
    Some(met)
}

fn one(words: &mut Vec<&str>, allows: &dyn Fn(&str) -> bool) -> Option<bool> {
    match words.pop()? {
        "(" => {
            let met = any(words, allows)?;
            (words.pop()? == ")").then_some(met)
        }
        ")" | "OR" | "AND" | "WITH" => None,
        name if words.last() == Some(&"WITH") => {
            words.pop();
            let exception = words.pop()?;
            Some(allows(&format!("{name} WITH {exception}")))
        }
        name => Some(allows(name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn met(expression: &str) -> bool {
        let allowed = ["MIT", "Apache-2.0", "ISC", "Apache-2.0 WITH LLVM-exception"];
        is_met(expression, &|name| allowed.contains(&name))
    }

    #[test]
    fn expressions_are_met_as_spdx_has_it() {
        for yes in [
            "MIT",
            "MIT OR GPL-3.0",
            "GPL-3.0 OR MIT",
            "MIT/GPL-3.0",
            "MIT AND ISC",
            "(MIT OR GPL-3.0) AND ISC",
            "GPL-3.0 OR MIT AND ISC",
            "Apache-2.0 WITH LLVM-exception",
        ] {
            assert!(met(yes), "{yes}");
        }
    }

    #[test]
    fn what_is_not_allowed_or_cannot_be_read_is_not_met() {
        for no in [
            "GPL-3.0",
            "MIT AND GPL-3.0",
            "(MIT OR ISC) AND GPL-3.0",
            "GPL-3.0 OR GPL-2.0 AND MIT",
            "MIT WITH Classpath-exception-2.0",
            "",
            "MIT OR",
            "(MIT",
            "MIT)",
            "MIT ISC",
            "OR MIT",
        ] {
            assert!(!met(no), "{no}");
        }
    }
}
