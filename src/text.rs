//! Makes foreign text safe for a terminal and a log.
//!
//! Names, messages and a server's words come from strangers. A control or escape character could move
//! the cursor or fake another line; a bidirectional character could turn a text around
//! (CVE-2019-6109, CVE-2021-42574). Everything foreign passes through here before it is shown.

use std::borrow::Cow;
use std::fmt::Write;

/// One line of foreign text with every unsafe character made visible, line ends included.
///
/// Idempotent: what it gives is ASCII notation (`^[`, `<U+202E>`) and safe characters only.
pub fn visible(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        push_visible(&mut shown, c);
    }
    Cow::Owned(shown)
}

/// One foreign character made visible.
pub fn visible_char(c: char) -> String {
    let mut shown = String::new();
    push_visible(&mut shown, c);
    shown
}

/// The lines of a foreign text, each safe by itself.
///
/// Splits at LF and CR LF only; every other line-breaking character is made visible,
/// so that the caller marks each line that a terminal would show as one.
pub fn visible_lines(text: &str) -> impl Iterator<Item = Cow<'_, str>> {
    text.split('\n').map(|line| visible(line.strip_suffix('\r').unwrap_or(line)))
}

/// The entry of `known` that `typed` was probably meant to be, if one is near enough: few characters left out, put in,
/// changed or swapped with their neighbour.
pub fn nearest<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = (typed.chars().count() / 3).clamp(1, 3);
    known
        .into_iter()
        .map(|word| (strsim::osa_distance(typed, word), word))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

fn push_visible(shown: &mut String, c: char) {
    match c {
        '\u{0}'..='\u{1f}' => {
            shown.push('^');
            shown.push(char::from(c as u8 ^ 0x40));
        }
        '\u{7f}' => shown.push_str("^?"),
        c if is_unsafe(c) => write!(shown, "<U+{:04X}>", u32::from(c)).expect("writing to a String can't fail"),
        c => shown.push(c),
    }
}

/// Control characters (C0, DEL, C1), bidirectional controls, line and paragraph separators,
/// characters without width or ink that hide or join text, tag characters, and non-characters.
///
/// Two characters without width pass: U+200C and U+200D, without which Persian is misspelt and a family of emoji falls
/// apart; and so do the variation selectors U+FE00 to U+FE0F, which choose between a sign and its emoji. Texts that
/// differ in these alone look alike. A name can hold none of them.
fn is_unsafe(c: char) -> bool {
    matches!(c,
        '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}'
        | '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180e}'
        | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fdd0}'..='\u{fdef}'
        | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
        // The last two of every plane.
        || u32::from(c) & 0xfffe == 0xfffe
}

/// The text as one word of a shell command, safe for a terminal.
pub fn quoted(text: &str) -> String {
    let text = visible(text);
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '_' | '-' | '+' | ',' | '@' | ':');
    if !text.is_empty() && text.chars().all(plain) {
        text.into_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ordinary_text_is_borrowed_unchanged() {
        for text in ["hello", "żółć", "日本語", "👩\u{200d}👩\u{200d}👧", "नमस्ते", "שלום"]
        {
            assert!(matches!(visible(text), Cow::Borrowed(same) if same == text));
        }
    }

    #[test]
    fn control_and_bidi_characters_become_visible() {
        assert_eq!(visible("\u{1b}[31mred"), "^[[31mred");
        assert_eq!(visible("a\tb\r\n"), "a^Ib^M^J");
        assert_eq!(visible("\u{7f}\u{9b}2J"), "^?<U+009B>2J");
        assert_eq!(visible("abc\u{202e}fed"), "abc<U+202E>fed");
        assert_eq!(visible("bo\u{200b}b\u{2066}"), "bo<U+200B>b<U+2066>");
    }

    #[test]
    fn characters_without_ink_become_visible() {
        for c in [
            '\u{34f}',
            '\u{115f}',
            '\u{1160}',
            '\u{3164}',
            '\u{ffa0}',
            '\u{fdd0}',
            '\u{fdef}',
            '\u{fffe}',
            '\u{ffff}',
            '\u{1fffe}',
            '\u{10ffff}',
            '\u{e0001}',
            '\u{e0100}',
            '\u{e01ef}',
        ] {
            assert_eq!(visible_char(c), format!("<U+{:04X}>", u32::from(c)));
        }
    }

    #[test]
    fn what_persian_and_emoji_need_stays() {
        for text in [
            "\u{645}\u{6cc}\u{200c}\u{62e}\u{648}\u{627}\u{647}\u{645}",
            "\u{2764}\u{fe0f}",
            "\u{1f469}\u{200d}\u{1f680}",
        ] {
            assert!(matches!(visible(text), Cow::Borrowed(same) if same == text));
        }
    }

    #[test]
    fn lines_end_at_line_feeds_only() {
        let lines: Vec<_> = visible_lines("one\r\ntwo\rthree\u{2028}four\n").collect();
        assert_eq!(lines, ["one", "two^Mthree<U+2028>four", ""]);
    }

    #[test]
    fn a_slip_of_the_finger_finds_its_word() {
        assert_eq!(nearest("carl", ["alice", "carol", "bob"]), Some("carol"));
        assert_eq!(nearest("passwrd", ["help", "passwd"]), Some("passwd"));
        assert_eq!(nearest("zzz", ["alice", "bob"]), None);
        assert_eq!(nearest("bbo", ["alice", "bob"]), Some("bob"));
    }

    proptest! {
        #[test]
        fn output_is_safe_and_stays_so(text in any::<String>()) {
            let shown = visible(&text).into_owned();
            prop_assert!(!shown.chars().any(is_unsafe));
            prop_assert_eq!(visible(&shown).into_owned(), shown.clone());
        }
    }
}
