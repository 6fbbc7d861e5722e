//! The chat's input on a terminal: a line that is edited while messages come in.
//!
//! The sending thread is in rustyline, which draws the line; everything else that is to be shown goes through the
//! [`Screen`], and comes onto the terminal in the sending thread, too: above the prompt, whenever rustyline draws that.
//! A thread of its own does no more than make rustyline draw it now (its external printer may block, and the listening
//! thread must not). Another one, `typing`, reads the terminal and tells keys, pastes and late answers apart
//! (`keyboard.rs`); rustyline gets the keys through a pseudo-terminal of its own. Where the line has to be left from outside (the prompt changes, all is over, a long paste came),
//! `/dev/null` takes that one's place at stdin while rustyline draws, between two keys, so that nothing typed is lost.

mod assistant;
mod keyboard;
mod keys;
mod paste;
mod rows;
mod tty;

use std::rc::Rc;
use std::sync::Arc;
use std::thread;

use rustyline::config::Configurer as _;
use rustyline::error::ReadlineError;
use rustyline::history::MemHistory;
use rustyline::{ColorMode, CompletionType, Config, ExternalPrinter as _};

use super::commands::parse;
use super::screen::Screen;
use crate::client::error::Error;
use crate::client::ui::output;
use crate::limits::{COMPLETIONS_SHOWN, INPUT_LINE_MAX, KEY_WITHIN, PASTE_KEPT_MAX, TEXT_MAX, TYPED_LINES_KEPT};
use crate::names::UserName;
use assistant::{Assistant, Cut, Names};
use rows::Measured;
use tty::Tty;

/// What became of a line.
pub(crate) enum Input {
    /// It was sent off with Enter.
    Line(String),
    /// Bytes that are no UTF-8.
    NotUtf8,
    /// The person leaves: Ctrl-D on an empty line.
    Leave,
    /// The person leaves: Ctrl-C twice on an empty line.
    Interrupted,
    /// Nothing more is to be typed.
    Over,
}

/// The input line.
pub(crate) struct Editor<'a> {
    screen: &'a Screen,
    lines: rustyline::Editor<Assistant<'a>, MemHistory>,
    tty: Arc<Tty>,
    /// Stands in the next line from its beginning, left and right of the cursor.
    kept: (String, String),
    /// Ctrl-C was typed on an empty line.
    leaving: bool,
}

/// Gives `body` the terminal's input line. `names` are those to be completed.
pub(crate) fn with_editor<T>(
    screen: &Screen,
    names: &dyn Fn() -> Vec<UserName>,
    body: impl FnOnce(&mut Editor<'_>) -> Result<T, Error>,
) -> Result<T, Error> {
    let mut editor = Editor::new(screen, names)?;
    let mut printer = editor.lines.create_external_printer().map_err(input)?;
    thread::scope(|scope| {
        let waking = move || {
            while screen.wait_until_wanted() && printer.print(WAKE.to_owned()).is_ok() {}
        };
        // The editor goes first, also by a panic: its end ends the thread, whose end is waited for here.
        let mut editor = editor;
        let _gone = Gone(screen);
        let started = thread::Builder::new().name("waking".to_owned()).spawn_scoped(scope, waking);
        started.map_err(Error::system("starting a thread"))?;
        let (tty, paste) = (Arc::clone(&editor.tty), Arc::clone(&editor.assistant().paste));
        let typing = move || tty.pass_on(&paste);
        let started = thread::Builder::new().name("typing".to_owned()).spawn_scoped(scope, typing);
        started.map_err(Error::system("starting a thread"))?;
        let _untyped = Untyped(Arc::clone(&editor.tty));
        body(&mut editor)
    })
}

impl<'a> Editor<'a> {
    fn new(screen: &'a Screen, names: Names<'a>) -> Result<Self, Error> {
        let within = u16::try_from(KEY_WITHIN.as_millis()).unwrap_or(u16::MAX);
        let config = Config::builder()
            // Whether there are colours is the assistant's choice; without them it would not be asked at all.
            .color_mode(ColorMode::Forced)
            .completion_type(CompletionType::List)
            .completion_show_all_if_ambiguous(true)
            // It would ask, and hold up what comes in meanwhile.
            .completion_prompt_limit(COMPLETIONS_SHOWN)
            .keyseq_timeout(Some(within))
            .build();
        let tty = Arc::new(Tty::take()?);
        let mut lines = rustyline::Editor::with_history(config, MemHistory::new()).map_err(input)?;
        lines.set_max_history_size(TYPED_LINES_KEPT).map_err(input)?;
        let assistant = Assistant::new(screen, names, Arc::clone(&tty));
        keys::bind(&mut lines, &assistant, &tty);
        lines.set_helper(Some(assistant));
        Ok(Self { screen, lines, tty, kept: Default::default(), leaving: false })
    }

    /// Reads a line that goes to `to` if it names nobody else.
    pub(crate) fn read(&mut self, to: &str) -> Result<Input, Error> {
        let prompt = &format!("{to}> ");
        self.assistant().goes_to(to);
        loop {
            let (left, right) = std::mem::take(&mut self.kept);
            match self.edit(prompt, false, (&left, &right))? {
                Edited::Line(line) => match self.may_go(line)? {
                    Some(line) => {
                        self.leaving = false;
                        return Ok(Input::Line(line));
                    }
                    None => continue,
                },
                Edited::Cleared { was_empty: true } if self.leaving => return Ok(Input::Interrupted),
                Edited::Cleared { was_empty } => {
                    self.leaving = was_empty;
                    if was_empty {
                        output::write("Ctrl-C once more leaves the chat\n")?;
                    }
                }
                Edited::Changed(left, right) => self.kept = (left, right),
                Edited::NotUtf8 => return Ok(Input::NotUtf8),
                Edited::Left => return Ok(Input::Leave),
                Edited::Over => return Ok(Input::Over),
            }
        }
    }

    /// The next line begins with this text, to be edited.
    pub(crate) fn keep(&mut self, text: &str) {
        self.kept = (text.to_owned(), String::new());
    }

    /// Asks, with the question in the prompt's place. Whoever leaves it gives no answer.
    pub(crate) fn ask(&mut self, question: &str) -> Result<Input, Error> {
        loop {
            match self.edit(question, true, ("", ""))? {
                Edited::Line(answer) => return Ok(Input::Line(answer)),
                Edited::Cleared { .. } | Edited::Left => return Ok(Input::Line(String::new())),
                Edited::NotUtf8 => return Ok(Input::NotUtf8),
                Edited::Changed(..) => {}
                Edited::Over => return Ok(Input::Over),
            }
        }
    }

    /// What is likely a slip goes only after a question; else it stays to be edited.
    fn may_go(&mut self, line: String) -> Result<Option<String>, Error> {
        if line.len() > INPUT_LINE_MAX {
            let lines = match line.lines().count() {
                1 => "1 line".to_owned(),
                count => format!("{count} lines"),
            };
            let has = match line.len() {
                PASTE_KEPT_MAX.. => format!("more than {PASTE_KEPT_MAX} bytes"),
                bytes => format!("{lines} and {bytes} bytes"),
            };
            output::write(&format!("that paste has {has}, at most {TEXT_MAX} bytes can be sent. It was dropped.\n"))?;
            return Ok(None);
        }
        let Some(question) = parse::slip(&line, self.assistant().pasted()) else {
            self.remember(&line)?;
            return Ok(Some(line));
        };
        self.screen.take_typed()?;
        loop {
            let edited = self.edit(&question, true, ("", ""))?;
            self.screen.take_typed()?;
            match edited {
                Edited::Line(answer) => match answer.trim().to_ascii_lowercase().as_str() {
                    "y" | "yes" => {
                        self.remember(&line)?;
                        return Ok(Some(line));
                    }
                    "n" | "no" => {
                        self.keep(&line);
                        return Ok(None);
                    }
                    _ => {}
                },
                Edited::Cleared { .. } => {
                    output::write("nothing was sent\n")?;
                    return Ok(None);
                }
                Edited::NotUtf8 | Edited::Changed(..) => {}
                Edited::Left | Edited::Over => {
                    self.keep(&line);
                    return Ok(None);
                }
            }
        }
    }

    fn remember(&mut self, line: &str) -> Result<(), Error> {
        self.lines.add_history_entry(line).map(drop).map_err(input)
    }

    fn edit(&mut self, prompt: &str, is_question: bool, initial: (&str, &str)) -> Result<Edited, Error> {
        let Some(prompt) = self.screen.edit(prompt, is_question) else { return Ok(Edited::Over) };
        self.assistant().begin(is_question, initial.0);
        let prompt = Measured { prompt: &prompt, rows: Rc::clone(&self.assistant().rows) };
        let result = self.lines.readline_with_initial(&prompt, initial);
        let cut = self.assistant().end();
        if cut.is_some() {
            self.tty.uncover();
            output::write(BACK)?;
        }
        let typed = cut.is_none().then(|| {
            let line = result.as_ref().map_or_else(|_| self.assistant().line(), String::clone);
            self.assistant().rows.typed(prompt.prompt, &line)
        });
        self.screen.edited(typed.as_ref())?;
        match (result, cut) {
            (Ok(line), _) if self.assistant().was_cleared() => Ok(Edited::Cleared { was_empty: line.is_empty() }),
            (Ok(line), _) => Ok(Edited::Line(self.assistant().joined(line))),
            (Err(ReadlineError::Eof), Some(Cut::Pasted { line, .. })) => Ok(Edited::Line(line)),
            (Err(ReadlineError::Eof), Some(Cut::Changed { mut line, at })) => {
                let right = line.split_off(at);
                Ok(Edited::Changed(line, right))
            }
            (Err(ReadlineError::Eof), None) => Ok(Edited::Left),
            // A key that the terminal's own settings make an interrupt.
            (Err(ReadlineError::Interrupted), _) => Ok(Edited::Cleared { was_empty: false }),
            (Err(ReadlineError::Io(error)), _) if error.kind() == std::io::ErrorKind::InvalidData => {
                Ok(Edited::NotUtf8)
            }
            (Err(error), _) => Err(input(error)),
        }
    }

    fn assistant(&self) -> &Assistant<'a> {
        self.lines.helper().expect("the editor was made with an assistant")
    }
}

/// What became of one turn of editing.
enum Edited {
    Line(String),
    Cleared {
        was_empty: bool,
    },
    /// The prompt has changed; this stood left and right of the cursor.
    Changed(String, String),
    NotUtf8,
    /// Ctrl-D on an empty line.
    Left,
    Over,
}

/// Lets nobody read the terminal for an editor that is no more.
struct Untyped(Arc<Tty>);

impl Drop for Untyped {
    fn drop(&mut self) {
        self.0.leave();
    }
}

/// Lets nobody wait for an editor that is no more.
struct Gone<'a>(&'a Screen);

impl Drop for Gone<'_> {
    fn drop(&mut self) {
        self.0.without_editor();
    }
}

fn input(error: ReadlineError) -> Error {
    let source = match error {
        ReadlineError::Io(source) => source,
        other => std::io::Error::other(other),
    };
    Error::Input { what: "the terminal", source }
}

/// Printed by rustyline, this changes nothing but that the line is drawn once more: up, and down again.
const WAKE: &str = "\x1b[A\n";
/// Back to where the line began that was left from outside, with nothing below.
const BACK: &str = "\x1b8\x1b[J";
