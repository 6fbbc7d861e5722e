//! The rows that rustyline counts, made ones of the terminal by a line end behind each.

use std::cell::Cell;
use std::io;
use std::rc::Rc;

use rustyline::{GraphemeClusterMode, Prompt};
use unicode_segmentation::UnicodeSegmentation as _;

use crate::client::chat::screen::Typed;
use crate::client::ui::page;

/// Ends each row of the line where rustyline takes it to be full.
///
/// Before it draws anew it goes up as many rows as it has counted, and takes away what stands there. If the terminal broke
/// the rows by itself, it would have fewer of them once it is wider (it may join them, and what is drawn before the signal of
/// its new size comes is drawn for the old one): a message above would be taken away, too.
pub(super) struct Rows {
    widths: GraphemeClusterMode,
    /// Those that rustyline reckons with.
    columns: Cell<usize>,
    /// Where the next character stands.
    place: Cell<Place>,
}

#[derive(Clone, Copy, Default)]
struct Place {
    row: usize,
    column: usize,
}

impl Rows {
    pub(super) fn new() -> Self {
        Self { widths: GraphemeClusterMode::from_env(), columns: Cell::new(columns()), place: Cell::default() }
    }

    /// The line is about to be drawn from its beginning. While it has one row, rustyline takes over another width without
    /// a word.
    pub(super) fn begin(&self) {
        let Place { row, column } = self.place.take();
        if row == 0 && column < self.columns.get() {
            self.columns.set(columns());
        }
    }

    /// A line of these parts as it stands there when it has been typed.
    pub(super) fn typed(&self, prompt: &str, line: &str) -> Typed {
        self.begin();
        let text = self.broken(prompt) + &self.broken(line);
        let Place { row, column } = self.place.get();
        // Behind a full row rustyline ends one more.
        Typed { rows: row + 1 + usize::from(column >= self.columns.get()), text }
    }

    /// The next part of the line, with a line end behind each row that something follows, and spaces in a tab's place: at
    /// the edge a tab goes nowhere.
    pub(super) fn broken(&self, text: &str) -> String {
        let Place { mut row, mut column } = self.place.get();
        let columns = self.columns.get();
        let mut broken = String::with_capacity(text.len());
        for piece in text.graphemes(true) {
            if piece == "\n" {
                (row, column) = (row + 1, 0);
                broken.push('\n');
                continue;
            }
            let width = match piece {
                "\t" => TAB - column % TAB,
                _ => self.widths.width(piece).into(),
            };
            if column + width > columns {
                (row, column) = (row + 1, 0);
                broken.push('\n');
            }
            column += width;
            match piece {
                "\t" => broken.extend(std::iter::repeat_n(' ', width)),
                _ => broken.push_str(piece),
            }
        }
        self.place.set(Place { row, column });
        broken
    }
}

/// A prompt. rustyline measures it whenever it has looked how wide the terminal is, unless the line has one row.
pub(super) struct Measured<'a> {
    pub(super) prompt: &'a str,
    pub(super) rows: Rc<Rows>,
}

impl Prompt for Measured<'_> {
    fn raw(&self) -> &str {
        self.rows.columns.set(columns());
        self.prompt
    }

    fn styled(&self) -> &str {
        self.prompt
    }
}

/// As rustyline has it.
fn columns() -> usize {
    page::width(&io::stdout()).unwrap_or(UNKNOWN)
}

/// The columns of a terminal that does not tell.
const UNKNOWN: usize = 80;
/// Columns between two stops.
const TAB: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(columns: usize) -> Rows {
        Rows { columns: Cell::new(columns), ..Rows::new() }
    }

    #[test]
    fn each_full_row_ends_before_the_next_character() {
        for (text, expected) in [
            ("", ""),
            ("12345678", "12345678"),
            ("12345678901234567", "12345678\n90123456\n7"),
            ("12345678\n9", "12345678\n9"),
            ("1234567\u{65e5}", "1234567\n\u{65e5}"),
            ("1234567e\u{301}8", "1234567e\u{301}\n8"),
            ("1234567\t8", "1234567 \n8"),
            ("12345678\t9", "12345678\n        \n9"),
        ] {
            assert_eq!(rows(8).broken(text), expected, "{text:?}");
        }
    }

    #[test]
    fn one_part_of_the_line_goes_on_where_the_other_ended() {
        let rows = rows(8);
        assert_eq!([rows.broken("ALL> "), rows.broken("one"), rows.broken(" two")], ["ALL> ", "one", "\n two"]);
        assert_eq!([rows.broken("1234"), rows.broken("5")], ["1234", "\n5"]);
    }

    #[test]
    fn a_line_of_several_rows_keeps_the_width_that_it_was_counted_with() {
        let now = columns();
        for (line, expected) in [("1234567", now), ("12345678", 8), ("123456789", 8), ("1\n2", 8)] {
            let rows = rows(8);
            rows.broken(line);
            rows.begin();
            assert_eq!(rows.columns.get(), expected, "{line:?}");
            rows.broken(line);
            let prompt = Measured { prompt: "", rows: Rc::new(rows) };
            assert_eq!((prompt.raw(), prompt.rows.columns.get()), ("", now), "{line:?}");
        }
    }
}
