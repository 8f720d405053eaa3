//! Tables that line up, and the other form of an answer: JSON.

use serde::Serialize;

/// Columns as wide as their widest cell, two spaces between them.
pub fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        let widest = cells.map(|cell| cell.chars().count()).max().unwrap_or(0);
        widest.max(head.get(column).map_or(0, |title| title.len()))
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let padded: Vec<String> = cells
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        padded.join("  ").trim_end().to_owned()
    };
    let mut lines = vec![line(&mut head.iter().copied())];
    lines.extend(
        rows.iter()
            .map(|row| line(&mut row.iter().map(String::as_str))),
    );
    lines.join("\n")
}

/// For a program to read.
pub fn to_json<T: Serialize>(answer: &T) -> String {
    serde_json::to_string_pretty(answer).expect("an answer can be written as JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = [
            vec!["ada@example.com".to_owned(), "admin".to_owned()],
            vec!["b".to_owned(), "user".to_owned()],
        ];
        assert_eq!(
            table(&["EMAIL", "ROLE"], &rows),
            "EMAIL            ROLE\nada@example.com  admin\nb                user"
        );
    }
}
