//! The request that is being carried out, so that it is answered even if the program is asked to end meanwhile.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::protocol;
use super::protocol::{Asked, Id, Request};
use crate::client::error::Error;
use crate::client::model::invocation::Invocation;
use crate::sync::lock;

/// One line of requests at a time.
#[derive(Default)]
pub(super) struct Open {
    state: Mutex<Underway>,
    ended: Condvar,
}

#[derive(Default)]
struct Underway {
    line: Option<Line>,
    /// It was answered in place of who carries it out.
    was_cut: bool,
}

struct Line {
    is_batch: bool,
    answers: Vec<String>,
    /// Of those that are not answered; a notification has none.
    left: VecDeque<Option<Id>>,
}

impl Open {
    /// Carries out what a line asks for. Gives the answer, if there is one to be given.
    pub(super) fn carry_out(&self, asked: Asked, mut each: impl FnMut(Request) -> Option<String>) -> Option<String> {
        let (is_batch, requests) = match asked {
            Asked::One(request) => (false, vec![request]),
            Asked::Batch(requests) => (true, requests),
        };
        let left = requests.iter().map(|request| request.id.clone()).collect();
        self.state().line = Some(Line { is_batch, answers: Vec::new(), left });
        for request in requests {
            let answer = each(request);
            if let Some(line) = &mut self.state().line {
                line.left.pop_front();
                line.answers.extend(answer);
            }
        }
        let line = self.state().line.take();
        self.ended.notify_all();
        line?.text()
    }

    /// Gives the line that is being carried out some more time. What is not done then is answered here, with an error, and by
    /// nobody else.
    pub(super) fn cut(&self, within: Duration) -> Option<String> {
        let waited = self.ended.wait_timeout_while(self.state(), within, |state| state.line.is_some());
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let mut line = state.line.take()?;
        state.was_cut = true;
        let failed =
            line.left.drain(..).flatten().map(|id| protocol::failed(&id, &Error::Interrupted, &Invocation::default()));
        line.answers.extend(failed);
        line.text()
    }

    /// Whether something was not done to its end.
    pub(super) fn was_cut(&self) -> bool {
        self.state().was_cut
    }

    fn state(&self) -> MutexGuard<'_, Underway> {
        lock(&self.state)
    }
}

impl Line {
    fn text(mut self) -> Option<String> {
        if self.is_batch { protocol::batch(&self.answers) } else { self.answers.pop() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::rpc::protocol::parse;
    use crate::client::ui::lines;

    fn asked(line: &str) -> Asked {
        parse(lines::Line::Text(line.to_owned())).unwrap()
    }

    #[test]
    fn what_is_not_done_when_the_end_comes_is_answered_once() {
        let open = Open::default();
        let batch = asked(
            r#"[{"jsonrpc":"2.0","id":1,"method":"users"},{"jsonrpc":"2.0","method":"users"},{"jsonrpc":"2.0","id":2,"method":"users"}]"#,
        );
        let mut cut = None;
        let late = open.carry_out(batch, |request| {
            if request.id.as_ref().is_none() {
                cut = open.cut(Duration::ZERO);
            }
            request.id.map(|id| id.json().to_owned())
        });
        assert_eq!(late, None);
        let cut = cut.unwrap();
        assert!(cut.starts_with(r#"[1,{"jsonrpc":"2.0","id":2,"error":{"code":-32130,"#), "{cut}");
        assert!(open.was_cut());
    }

    #[test]
    fn what_is_done_in_time_is_answered_as_always() {
        let open = Open::default();
        let one = asked(r#"{"jsonrpc":"2.0","id":1,"method":"users"}"#);
        assert_eq!(open.carry_out(one, |_| Some("done".to_owned())).as_deref(), Some("done"));
        assert_eq!(open.cut(Duration::ZERO), None);
        assert!(!open.was_cut());
    }
}
