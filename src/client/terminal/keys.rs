//! Keys that mean something else than rustyline has it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustyline::history::History;
use rustyline::{
    Cmd, ConditionalEventHandler, Event, EventContext, EventHandler, Helper, KeyCode, KeyEvent, Modifiers, Movement,
    RepeatCount,
};

use super::assistant::Assistant;
use super::tty::Tty;

/// Binds them.
pub(super) fn bind(
    lines: &mut rustyline::Editor<impl Helper, impl History>,
    assistant: &Assistant<'_>,
    tty: &Arc<Tty>,
) {
    for new_line in [KeyEvent(KeyCode::Enter, Modifiers::ALT), KeyEvent::ctrl('J'), KeyEvent::alt('\n')] {
        lines.bind_sequence(new_line, Cmd::Newline);
    }
    // Searching step by step would hold up what comes in: these find what begins like the line.
    lines.bind_sequence(KeyEvent::ctrl('R'), Cmd::HistorySearchBackward);
    lines.bind_sequence(KeyEvent::ctrl('S'), Cmd::HistorySearchForward);
    // They would wait for a second key in the same way, for characters that nobody sends.
    for quoting in ['V', 'Q'] {
        lines.bind_sequence(KeyEvent::ctrl(quoting), Cmd::Noop);
    }
    lines.bind_sequence(KeyEvent(KeyCode::Enter, Modifiers::NONE), handler(Enter));
    lines.bind_sequence(KeyEvent::ctrl('C'), handler(Clear(Arc::clone(&assistant.cleared))));
    lines.bind_sequence(KeyEvent::ctrl('Z'), handler(Suspend(Arc::clone(tty))));
    let pasting = Pasting { tty: Arc::clone(tty), pasting: Arc::clone(&assistant.pasting) };
    lines.bind_sequence(KeyEvent(KeyCode::BracketedPasteStart, Modifiers::NONE), handler(pasting));
}

fn handler(handler: impl ConditionalEventHandler + 'static) -> EventHandler {
    EventHandler::Conditional(Box::new(handler))
}

/// Behind a backslash, Enter begins another line of the text.
struct Enter;

impl ConditionalEventHandler for Enter {
    fn handle(&self, _: &Event, _: RepeatCount, _: bool, typed: &EventContext<'_>) -> Option<Cmd> {
        let continues = typed.line().get(..typed.pos())?.ends_with('\\');
        continues.then(|| Cmd::Replace(Movement::BackwardChar(1), Some("\n".to_owned())))
    }
}

/// Ctrl-C ends the line as Enter does, with a note that it does not count: an interrupt would lose what is typed ahead.
struct Clear(Arc<AtomicBool>);

impl ConditionalEventHandler for Clear {
    fn handle(&self, _: &Event, _: RepeatCount, _: bool, _: &EventContext<'_>) -> Option<Cmd> {
        self.0.store(true, Ordering::Relaxed);
        Some(Cmd::AcceptLine)
    }
}

/// Ctrl-Z stops the program with the terminal as it was before.
struct Suspend(Arc<Tty>);

impl ConditionalEventHandler for Suspend {
    fn handle(&self, _: &Event, _: RepeatCount, _: bool, _: &EventContext<'_>) -> Option<Cmd> {
        self.0.suspend();
        Some(Cmd::Repaint)
    }
}

/// A paste begins. It is read to its end, even if the line was about to be left.
struct Pasting {
    tty: Arc<Tty>,
    pasting: Arc<AtomicBool>,
}

impl ConditionalEventHandler for Pasting {
    fn handle(&self, _: &Event, _: RepeatCount, _: bool, _: &EventContext<'_>) -> Option<Cmd> {
        self.pasting.store(true, Ordering::Relaxed);
        self.tty.uncover();
        None
    }
}
