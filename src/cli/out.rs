//! Printing of results. A reader that has gone away (`| head`) ends the program quietly, not with a fault.

use super::Exit;
use serde::Serialize;
use std::io::Write;

/// Prints to stdout.
pub fn text(text: &str) {
    let mut stdout = std::io::stdout().lock();
    if stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).is_err() {
        std::process::exit(Exit::Done as i32);
    }
}

/// Prints a line to stdout.
pub fn line(line: &str) {
    text(&format!("{line}\n"));
}

/// Prints a result as JSON, indented.
pub fn json(value: &impl Serialize) {
    match serde_json::to_string_pretty(value) {
        Ok(json) => line(&json),
        Err(error) => eprintln!("ringtree: the result can't be written as JSON: {error}"),
    }
}

/// Rows in columns as wide as they need to be; the last one is not padded.
#[must_use]
pub fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = head.iter().map(|h| h.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let head: Vec<String> = head.iter().map(|h| (*h).to_owned()).collect();
    let mut out = String::new();
    for row in std::iter::once(&head).chain(rows) {
        let mut line = String::new();
        for (width, cell) in widths.iter().zip(row) {
            line.push_str(cell);
            line.push_str(&" ".repeat(width.saturating_sub(cell.chars().count()) + 2));
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn columns_line_up() {
        let rows =
            [vec!["a".into(), "long one".into(), "x".into()], vec!["bbb".into(), String::new(), "y".into()]];
        let text = super::table(&["ID", "NAME", "Z"], &rows);
        assert_eq!(text, "ID   NAME      Z\na    long one  x\nbbb            y\n");
    }
}
