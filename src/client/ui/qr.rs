//! QR codes in the terminal. Pure.
//!
//! Two rows of squares make one line of characters. What is light is drawn with ink, what is dark is left out: so it is
//! read on a dark terminal as it is; with colours it is white on black wherever it stands.

use std::fmt::Write;

use anstyle::{AnsiColor, Style};
use qrcode::{Color, EcLevel, QrCode};

/// The lines of a QR code that holds this text; nothing if it is too long for one.
pub(crate) fn lines(text: &str, colour: bool) -> Vec<String> {
    let Ok(code) = QrCode::with_error_correction_level(text, EcLevel::M) else { return Vec::new() };
    let style = match colour {
        true => AnsiColor::BrightWhite.on(AnsiColor::Black),
        false => Style::new(),
    };
    let rows = Rows { width: code.width(), squares: code.into_colors() };
    let size = rows.width + 2 * QUIET;
    (0..size).step_by(2).map(|y| line(&rows, size, y, style)).collect()
}

struct Rows {
    width: usize,
    squares: Vec<Color>,
}

impl Rows {
    /// Around the code there is a light margin; below that, nothing.
    fn is_light(&self, x: usize, y: usize) -> bool {
        let inside = |at: usize| at.checked_sub(QUIET).filter(|at| *at < self.width);
        match (inside(x), inside(y)) {
            (Some(x), Some(y)) => self.squares.get(y * self.width + x) == Some(&Color::Light),
            _ => y < self.width + 2 * QUIET,
        }
    }
}

fn line(rows: &Rows, size: usize, y: usize, style: Style) -> String {
    let squares = (0..size).map(|x| match (rows.is_light(x, y), rows.is_light(x, y + 1)) {
        (true, true) => '\u{2588}',
        (true, false) => '\u{2580}',
        (false, true) => '\u{2584}',
        (false, false) => ' ',
    });
    let mut line = String::new();
    write!(line, "{style}{}{style:#}", squares.collect::<String>()).expect("writing to a String can't fail");
    line
}

/// Light squares on each side: the standard asks for four.
const QUIET: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    /// What a camera reads off these lines, each square four pixels wide.
    fn read(lines: &[String]) -> String {
        let squares: Vec<Vec<bool>> = lines
            .iter()
            .flat_map(|line| {
                let upper = line.chars().map(|c| matches!(c, '\u{2588}' | '\u{2580}')).collect();
                let lower = line.chars().map(|c| matches!(c, '\u{2588}' | '\u{2584}')).collect();
                [upper, lower]
            })
            .collect();
        let (width, height) = (squares[0].len() * 4, squares.len() * 4);
        let pixel = |x: usize, y: usize| if squares[y / 4][x / 4] { 255 } else { 0 };
        let mut image = rqrr::PreparedImage::prepare_from_greyscale(width, height, pixel);
        let codes = image.detect_grids();
        assert_eq!(codes.len(), 1);
        codes[0].decode().unwrap().1
    }

    #[test]
    fn a_code_is_read_back_and_fits_a_small_terminal() {
        let text = format!("TOPCHAT1:{}", "1234567890".repeat(6));
        let lines = lines(&text, false);
        assert_eq!(read(&lines), text);
        assert!(lines.len() <= 24 && lines.iter().all(|line| line.chars().count() <= 80), "{}", lines.len());
    }

    #[test]
    fn colours_change_no_square() {
        let plain = lines("TOPCHAT1:", false);
        let coloured = lines("TOPCHAT1:", true);
        for (plain, coloured) in plain.iter().zip(&coloured) {
            assert!(coloured.contains('\u{1b}') && coloured.contains(plain), "{coloured:?}");
        }
    }

    #[test]
    fn what_no_code_can_hold_gives_none() {
        assert_eq!(lines(&"x".repeat(9000), false), [""; 0]);
    }
}
