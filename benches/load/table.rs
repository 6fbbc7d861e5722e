//! Numbers as tables: on the terminal, as JSON, and between two marks of a Markdown file.

use std::fs;
use std::io;
use std::path::Path;

use super::Common;

/// A table of text; the first column is what the row is about.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    heads: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty one.
    pub(crate) fn new(heads: &[&str]) -> Self {
        Self { heads: heads.iter().map(|head| (*head).to_owned()).collect(), rows: Vec::new() }
    }

    /// One more row.
    pub(crate) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// As Markdown, aligned so that a terminal shows it well.
    pub(crate) fn to_markdown(&self) -> String {
        let lines = || std::iter::once(&self.heads).chain(&self.rows);
        let widths: Vec<usize> = (0..self.heads.len())
            .map(|column| {
                lines().filter_map(|line| line.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
            })
            .collect();
        let line = |cells: &Vec<String>| {
            let pad = |(column, width): (usize, &usize)| {
                let cell = cells.get(column).map_or("", String::as_str);
                if column == 0 { format!(" {cell:<width$} |") } else { format!(" {cell:>width$} |") }
            };
            format!("|{}\n", widths.iter().enumerate().map(pad).collect::<String>())
        };
        let rule = |(column, width): (usize, &usize)| {
            format!("{}{}|", "-".repeat(width + 1), if column == 0 { "-" } else { ":" })
        };
        let rule = format!("|{}\n", widths.iter().enumerate().map(rule).collect::<String>());
        line(&self.heads) + &rule + &self.rows.iter().map(line).collect::<String>()
    }
}

/// Puts `text` between the two marks of `name` in a Markdown file, in place of what stood there.
fn put(file: &Path, name: &str, text: &str) -> io::Result<()> {
    let old = fs::read_to_string(file)?;
    let new = replaced(&old, name, text)
        .ok_or_else(|| io::Error::other(format!("{} has no place for {name}", file.display())))?;
    fs::write(file, new)
}

fn replaced(old: &str, name: &str, text: &str) -> Option<String> {
    let (begin, end) = (format!("<!-- {name}: begin -->\n"), format!("<!-- {name}: end -->"));
    let (before, rest) = old.split_once(&begin)?;
    let (_, after) = rest.split_once(&end)?;
    Some(format!("{before}{begin}{}\n{end}{after}", text.trim_end()))
}

/// Writes a part's numbers and tables where the options ask for it.
pub(crate) fn write(common: &Common, name: &str, tables: &str, numbers: &serde_json::Value) -> io::Result<()> {
    if let Some(file) = &common.json {
        fs::write(file, serde_json::to_string_pretty(numbers)? + "\n")?;
    }
    common.doc.as_ref().map_or(Ok(()), |file| put(file, name, tables))
}

/// The middle one.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        count if count % 2 == 0 => (sorted[count / 2 - 1] + sorted[count / 2]) / 2.0,
        count => sorted[count / 2],
    }
}

/// A number with three digits that count, or more before the point.
pub(crate) fn short(value: f64) -> String {
    match value.abs() {
        _ if !value.is_finite() => "–".to_owned(),
        size if size >= 1e6 => format!("{:.2} M", value / 1e6),
        size if size >= 1e4 => format!("{:.0} k", value / 1e3),
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_aligned_markdown() {
        let mut table = Table::new(&["case", "rate"]);
        table.row(vec!["group".to_owned(), "1.20 M".to_owned()]);
        assert_eq!(table.to_markdown(), "| case  |   rate |\n|-------|-------:|\n| group | 1.20 M |\n");
    }

    #[test]
    fn only_what_stands_between_the_marks_is_replaced() {
        let old = "a\n<!-- x: begin -->\nold\n<!-- x: end -->\nb\n";
        let new = "a\n<!-- x: begin -->\nnew\n<!-- x: end -->\nb\n";
        assert_eq!(replaced(old, "x", "new\n\n").as_deref(), Some(new));
        assert_eq!(replaced(old, "y", "new"), None);
    }

    #[test]
    fn the_median_of_an_even_number_lies_between_the_middle_two() {
        assert_eq!((median(&[3.0, 1.0, 2.0]), median(&[4.0, 1.0])), (2.0, 2.5));
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn numbers_are_short() {
        let texts = [1.234, 12.34, 123.4, 12_340.0, 1_234_000.0].map(short);
        assert_eq!(texts, ["1.23", "12.3", "123", "12 k", "1.23 M"]);
        assert_eq!([f64::NAN, f64::INFINITY].map(short), ["–", "–"]);
    }
}
