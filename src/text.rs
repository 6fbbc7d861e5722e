//! Makes foreign text safe for a terminal and a log.
//!
//! Names, messages and a server's words come from strangers. A control or escape character could move
//! the cursor or fake another line; a bidirectional character could turn a text around
//! (CVE-2019-6109, CVE-2021-42574). Everything foreign passes through here before it is shown.

use std::borrow::Cow;
use std::fmt::Write;
use std::path::Path;

use unicode_normalization::char::is_combining_mark;

/// One line of foreign text with every unsafe character made visible, line ends included.
///
/// Idempotent: what it gives is ASCII notation (`^[`, `<U+202E>`) and safe characters only.
pub fn visible(text: &str) -> Cow<'_, str> {
    if text.chars().all(|c| matches!(c, ' '..='~')) {
        return Cow::Borrowed(text);
    }
    let mut shown = Shown { text: String::with_capacity(text.len() + 16), ..Shown::default() };
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        shown.push(c, rest.clone().next());
    }
    if shown.text == text { Cow::Borrowed(text) } else { Cow::Owned(shown.text) }
}

/// The same for a path.
pub fn visible_path(path: impl AsRef<Path>) -> String {
    visible(&path.as_ref().to_string_lossy()).into_owned()
}

/// One foreign character made visible, as it stands alone.
pub fn visible_char(c: char) -> String {
    let mut shown = Shown::default();
    shown.push(c, None);
    shown.text
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

/// A line of foreign text as far as it is made visible. What a character may do depends on those that stand before it as
/// they are: behind a notation nothing does.
#[derive(Default)]
struct Shown {
    text: String,
    /// The last character as it is, and the one before that.
    last: Option<char>,
    before: Option<char>,
    /// Marks on the last sign; none may stand where there is none, on what the program itself has written.
    marks: usize,
}

impl Shown {
    fn push(&mut self, c: char, next: Option<char>) {
        let is_mark = is_mark(c);
        let is_safe = match c {
            '\u{200c}' | '\u{200d}' => self.joins(c, next),
            '\u{fe0e}' | '\u{fe0f}' => self.chooses(next),
            '\u{180b}'..='\u{180d}' | '\u{180f}' => {
                self.last.is_some_and(|last| matches!(last, '\u{1820}'..='\u{18aa}'))
            }
            c => !is_unsafe(c) && (!is_mark || (self.last.is_some() && self.marks < MARKS_MAX)),
        };
        if is_safe {
            self.text.push(c);
            (self.before, self.last) = (self.last, Some(c));
            self.marks = match (is_mark, is_joiner(c)) {
                (true, _) => self.marks + 1,
                (false, true) => self.marks,
                (false, false) => 0,
            };
        } else {
            push_notation(&mut self.text, c);
            (self.before, self.last) = (None, None);
        }
    }

    /// Whether a joiner stands where a script needs one, or between two signs that make one emoji
    /// (UTS #51, "Emoji ZWJ Sequences").
    fn joins(&self, joiner: char, next: Option<char>) -> bool {
        let Some(last) = self.last else { return false };
        let goes_on = || {
            let is_shown = |next: char| !is_unsafe(next) && (!is_mark(next) || self.marks < MARKS_MAX);
            next.is_some_and(|next| is_joining(next) && is_shown(next))
        };
        if is_joining(last) {
            // A letter before a joiner shows its joined form, also at the end of a word; a non-joiner parts two.
            return joiner == '\u{200d}' || goes_on();
        }
        let sign = if last == '\u{fe0f}' { self.before } else { Some(last) };
        joiner == '\u{200d}' && sign.is_some_and(is_pictograph) && next.is_some_and(is_pictograph)
    }

    /// Whether a variation selector chooses between a sign and its emoji (UTS #51, "emoji-variation-sequences").
    fn chooses(&self, next: Option<char>) -> bool {
        match self.last {
            Some('0'..='9' | '#' | '*') => next == Some('\u{20e3}'),
            Some(last) => is_pictograph(last),
            None => false,
        }
    }
}

fn push_notation(shown: &mut String, c: char) {
    match c {
        '\u{0}'..='\u{1f}' => {
            shown.push('^');
            shown.push(char::from(c as u8 ^ 0x40));
        }
        '\u{7f}' => shown.push_str("^?"),
        c => write!(shown, "<U+{:04X}>", u32::from(c)).expect("writing to a String can't fail"),
    }
}

/// Unsafe wherever they stand: control characters (C0, DEL, C1), bidirectional controls, line and paragraph separators,
/// characters without width or ink that hide or join text (Unicode's `Default_Ignorable_Code_Point`, and blanks that pass
/// for nothing), selectors of variants (U+FE0E, U+FE0F and the Mongolian ones have [a place of their own](Shown::push)),
/// tag characters, the object replacement character, private use, and non-characters.
fn is_unsafe(c: char) -> bool {
    matches!(c,
        '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}'
        | '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{e000}'..='\u{f8ff}' | '\u{fdd0}'..='\u{fdef}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffc}'
        | '\u{13430}'..='\u{1343f}' | '\u{16fe4}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d159}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}' | '\u{f0000}'..)
        // The last two of every plane.
        || u32::from(c) & 0xfffe == 0xfffe
}

/// Whether it is drawn onto the sign before it: a mark (General_Category M), or a vowel or last consonant of a Korean
/// syllable written in its parts.
fn is_mark(c: char) -> bool {
    is_combining_mark(c) || matches!(c, '\u{1161}'..='\u{11ff}' | '\u{d7b0}'..='\u{d7fb}')
}

fn is_joiner(c: char) -> bool {
    matches!(c, '\u{200c}' | '\u{200d}')
}

/// Whether it is of a script in which joiners change how a word is written: Arabic and its kin, the Indic scripts and those
/// that come from them, Mongolian, Adlam (The Unicode Standard, section 23.2, "Cursive Connection and Ligatures").
fn is_joining(c: char) -> bool {
    matches!(c,
        '\u{600}'..='\u{86f}' | '\u{870}'..='\u{dff}' | '\u{f00}'..='\u{109f}' | '\u{1780}'..='\u{18af}'
        | '\u{1900}'..='\u{1cff}' | '\u{a840}'..='\u{a87f}' | '\u{a8e0}'..='\u{a8ff}' | '\u{a980}'..='\u{a9ff}'
        | '\u{aa60}'..='\u{aa7f}' | '\u{abc0}'..='\u{abff}' | '\u{fb50}'..='\u{fdcf}' | '\u{fdf0}'..='\u{fdff}'
        | '\u{fe70}'..='\u{fefc}' | '\u{10a00}'..='\u{10aff}' | '\u{10d00}'..='\u{10d3f}' | '\u{11000}'..='\u{11fff}'
        | '\u{1e900}'..='\u{1e95f}')
}

/// Whether it is, or can be chosen to be, an emoji (UTS #51, `Extended_Pictographic`, by its blocks).
fn is_pictograph(c: char) -> bool {
    matches!(c,
        '\u{a9}' | '\u{ae}' | '\u{203c}' | '\u{2049}' | '\u{2122}' | '\u{2139}' | '\u{2190}'..='\u{21ff}'
        | '\u{2300}'..='\u{23ff}' | '\u{24c2}' | '\u{25a0}'..='\u{27bf}' | '\u{2900}'..='\u{297f}'
        | '\u{2b00}'..='\u{2bff}' | '\u{3030}' | '\u{303d}' | '\u{3297}' | '\u{3299}' | '\u{1f000}'..='\u{1faff}')
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

/// Marks on one sign: no script needs more, and with more they reach into the lines above.
const MARKS_MAX: usize = 4;

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
            '\u{ad}',
            '\u{61c}',
            '\u{17b4}',
            '\u{180e}',
            '\u{2065}',
            '\u{2800}',
            '\u{e000}',
            '\u{f8ff}',
            '\u{fe00}',
            '\u{fffc}',
            '\u{13437}',
            '\u{1bca0}',
            '\u{1d159}',
            '\u{1d173}',
            '\u{f0000}',
            '\u{10fffd}',
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
    fn joiners_stay_where_a_script_or_an_emoji_needs_them_and_nowhere_else() {
        for text in [
            "\u{645}\u{6cc}\u{200c}\u{62e}\u{648}\u{627}\u{647}\u{645}",
            "\u{647}\u{200d} 1",
            "\u{915}\u{94d}\u{200d}\u{937}\u{915}\u{94d}\u{200c}\u{937}",
            "\u{9b0}\u{200d}\u{9cd}\u{9af}",
            "\u{d28}\u{d4d}\u{200d}",
            "\u{1f469}\u{1f3fd}\u{200d}\u{1f680}",
            "\u{2764}\u{fe0f}\u{200d}\u{1f525}",
            "\u{1f441}\u{fe0f}\u{200d}\u{1f5e8}\u{fe0f}",
            "\u{1f426}\u{200d}\u{2b1b}",
        ] {
            assert!(matches!(visible(text), Cow::Borrowed(same) if same == text), "{text:?}");
        }
        for (text, shown) in [
            ("pay\u{200d}pal", "pay<U+200D>pal"),
            ("pay\u{200c}pal", "pay<U+200C>pal"),
            ("\u{200d}", "<U+200D>"),
            ("\u{645}\u{200c} b", "\u{645}<U+200C> b"),
            ("\u{645}\u{200d}\u{200d}", "\u{645}\u{200d}<U+200D>"),
            ("\u{1f469}\u{200d}a", "\u{1f469}<U+200D>a"),
            ("\u{1f469}\u{200c}\u{1f680}", "\u{1f469}<U+200C>\u{1f680}"),
        ] {
            assert_eq!(visible(text), shown, "{text:?}");
        }
    }

    #[test]
    fn selectors_stay_where_they_choose_an_emoji_and_nowhere_else() {
        for text in ["\u{2764}\u{fe0f}", "\u{263a}\u{fe0e}", "1\u{fe0f}\u{20e3}", "\u{a9}\u{fe0f}", "\u{1820}\u{180b}"]
        {
            assert!(matches!(visible(text), Cow::Borrowed(same) if same == text), "{text:?}");
        }
        for (text, shown) in [
            ("a\u{fe0f}b", "a<U+FE0F>b"),
            ("12\u{fe0f}3", "12<U+FE0F>3"),
            ("\u{2764}\u{fe0f}\u{fe0f}", "\u{2764}\u{fe0f}<U+FE0F>"),
            ("\u{2764}\u{fe01}", "\u{2764}<U+FE01>"),
            ("a\u{180b}", "a<U+180B>"),
            ("\u{845b}\u{e0100}", "\u{845b}<U+E0100>"),
        ] {
            assert_eq!(visible(text), shown, "{text:?}");
        }
    }

    /// On the words of this program, which end before a text, no mark may stand.
    #[test]
    fn marks_stand_on_a_sign_of_the_text_and_not_in_heaps() {
        for text in [
            "e\u{301}",
            "\u{5d1}\u{5bc}\u{5b0}\u{591}",
            "\u{e17}\u{e35}\u{e48}",
            "a \u{301}",
            "\u{1100}\u{1161}\u{11a8}",
        ] {
            assert!(matches!(visible(text), Cow::Borrowed(same) if same == text), "{text:?}");
        }
        let heap = format!("H{}i", "\u{30d}".repeat(6));
        assert_eq!(visible(&heap), format!("H{}<U+030D><U+030D>i", "\u{30d}".repeat(4)));
        let syllable = format!("\u{1100}{}", "\u{1161}".repeat(5));
        assert_eq!(visible(&syllable), format!("\u{1100}{}<U+1161>", "\u{1161}".repeat(4)));
        for (text, shown) in
            [("\u{336}", "<U+0336>"), ("\u{1b}\u{336}", "^[<U+0336>"), ("a\u{200b}\u{20dd}", "a<U+200B><U+20DD>")]
        {
            assert_eq!(visible(text), shown, "{text:?}");
        }
        assert_eq!(visible_lines("a\n\u{336}").collect::<Vec<_>>(), ["a", "<U+0336>"]);
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

    /// Those that depend on each other, mostly.
    fn touchy() -> impl Strategy<Value = String> {
        let touchy = "a1#\u{301}\u{20e3}\u{200b}\u{200c}\u{200d}\u{fe0e}\u{fe0f}\u{fe00}\u{645}\u{64e}\u{61c}\u{915}\u{94d}\u{1f469}\u{1f3fd}\
            \u{2764}\u{1820}\u{180b}\u{180e}\u{1100}\u{1161}\u{17b4}\u{e0100}\u{1b}\u{9cd} ";
        prop::collection::vec(prop::sample::select(touchy.chars().collect::<Vec<_>>()), 0..24)
            .prop_map(|all| all.into_iter().collect())
    }

    proptest! {
        #[test]
        fn output_is_safe_and_stays_so(text in prop_oneof![any::<String>(), touchy()]) {
            let shown = visible(&text).into_owned();
            let is_chosen = |c: char| is_joiner(c) || matches!(c, '\u{fe0e}' | '\u{fe0f}' | '\u{180b}'..='\u{180f}');
            prop_assert!(!shown.chars().any(|c| is_unsafe(c) && !is_chosen(c)));
            prop_assert_eq!(visible(&shown).into_owned(), shown.clone());
        }
    }
}
