//! Keys that mean something else than rustyline has it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustyline::history::History;
use rustyline::{
    Cmd, ConditionalEventHandler, Event, EventContext, EventHandler, Helper, KeyCode, KeyEvent, Modifiers, RepeatCount,
};

use super::assistant::Assistant;
use super::paste::Paste;
use super::tty::Tty;

/// Binds them.
pub(super) fn bind(
    lines: &mut rustyline::Editor<impl Helper, impl History>,
    assistant: &Assistant<'_>,
    tty: &Arc<Tty>,
) {
    let keys = Keys {
        tty: Arc::clone(tty),
        paste: Arc::clone(&assistant.paste),
        cleared: Arc::clone(&assistant.cleared),
        continued: Arc::clone(&assistant.continued),
        is_question: Arc::clone(&assistant.is_question),
    };
    lines.bind_sequence(Event::Any, EventHandler::Conditional(Box::new(keys)));
}

/// Is asked about every key.
struct Keys {
    tty: Arc<Tty>,
    paste: Arc<Paste>,
    cleared: Arc<AtomicBool>,
    continued: Arc<AtomicBool>,
    is_question: Arc<AtomicBool>,
}

impl ConditionalEventHandler for Keys {
    fn handle(&self, event: &Event, _: RepeatCount, _: bool, typed: &EventContext<'_>) -> Option<Cmd> {
        let key = *event.get(0)?;
        match key.0 {
            KeyCode::BracketedPasteEnd => Some(self.paste.take(self.is_question.load(Ordering::Relaxed))),
            _ => self.press(key, typed),
        }
    }
}

impl Keys {
    fn press(&self, key: KeyEvent, typed: &EventContext<'_>) -> Option<Cmd> {
        let KeyEvent(code, with) = key;
        match (code, with) {
            (KeyCode::Enter, Modifiers::NONE) => self.enter(typed),
            (KeyCode::Enter, Modifiers::ALT) | (KeyCode::Char('J'), Modifiers::CTRL) => Some(Cmd::Newline),
            _ if key == KeyEvent::alt('\n') => Some(Cmd::Newline),
            // Searching step by step would hold up what comes in: these find what begins like the line.
            (KeyCode::Char('R'), Modifiers::CTRL) => Some(Cmd::HistorySearchBackward),
            (KeyCode::Char('S'), Modifiers::CTRL) => Some(Cmd::HistorySearchForward),
            // They would wait for a second key in the same way, for characters that nobody sends.
            (KeyCode::Char('V'), Modifiers::CTRL) | (KeyCode::Char('Q'), Modifiers::CTRL) => Some(Cmd::Noop),
            (KeyCode::Char('C'), Modifiers::CTRL) => Some(self.clear()),
            (KeyCode::Char('Z'), Modifiers::CTRL) => Some(self.suspend()),
            _ => None,
        }
    }

    /// Behind a backslash, Enter begins another line of the text.
    fn enter(&self, typed: &EventContext<'_>) -> Option<Cmd> {
        let continues = typed.line().get(..typed.pos())?.ends_with('\\');
        continues.then(|| {
            self.continued.store(true, Ordering::Relaxed);
            Cmd::Newline
        })
    }

    /// Ctrl-C ends the line as Enter does, with a note that it does not count: an interrupt would lose what is typed
    /// ahead.
    fn clear(&self) -> Cmd {
        self.cleared.store(true, Ordering::Relaxed);
        Cmd::AcceptLine
    }

    /// Ctrl-Z stops the program with the terminal as it was before.
    fn suspend(&self) -> Cmd {
        self.tty.suspend();
        Cmd::Repaint
    }
}
