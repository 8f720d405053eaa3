//! The text format of Prometheus, version 0.0.4, made from `OpenMetrics` text.
//!
//! Both write samples in the same way. They differ in what a counter is called where it is
//! described: `OpenMetrics` leaves `_total` out there, and a reader of the older format then finds a
//! description without samples and samples without a description.

use std::collections::HashSet;
use std::fmt::Write;

/// Writes descriptions as the older format wants them. Whoever scrapes understands it.
pub fn from_openmetrics(text: &str) -> String {
    let counters: HashSet<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" counter"))
        .collect();
    let mut rewritten = String::with_capacity(text.len() + counters.len() * SPARE_BYTES);
    for line in text.lines().filter(|line| !line.starts_with("# UNIT ")) {
        // Writing to a String cannot fail.
        let _ = match described(line).filter(|(_, name, _)| counters.contains(name)) {
            Some((head, name, rest)) => writeln!(rewritten, "{head}{name}_total {rest}"),
            None => writeln!(rewritten, "{line}"),
        };
    }
    rewritten
}

/// `# HELP name rest` and `# TYPE name rest`, in their parts.
fn described(line: &str) -> Option<(&str, &str, &str)> {
    let head = ["# HELP ", "# TYPE "]
        .into_iter()
        .find(|head| line.starts_with(head))?;
    let (name, rest) = line[head.len()..].split_once(' ')?;
    Some((head, name, rest))
}

/// `_total` in two lines.
const SPARE_BYTES: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_described_by_the_name_of_their_samples_and_nothing_else_changes() {
        let text = "# HELP a Requests.\n# TYPE a counter\na_total{x=\"# TYPE a counter\"} 1\n\
                    # HELP b_seconds Time.\n# TYPE b_seconds histogram\n# UNIT b_seconds seconds\n\
                    b_seconds_sum 0.5\n# EOF\n";
        let expected = "# HELP a_total Requests.\n# TYPE a_total counter\n\
                        a_total{x=\"# TYPE a counter\"} 1\n# HELP b_seconds Time.\n\
                        # TYPE b_seconds histogram\nb_seconds_sum 0.5\n# EOF\n";
        assert_eq!(from_openmetrics(text), expected);
    }
}
