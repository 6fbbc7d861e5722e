//! How lines on a stream are to look: colours, width and height of a terminal.

use std::io::IsTerminal;
use std::os::fd::AsFd;

use jiff::tz::TimeZone;

use super::render::Page;
use crate::client::model::invocation::Invocation;

/// How lines on this stream are to look: colours and wrapping are for terminals.
pub(crate) fn of(invocation: &Invocation, stream: &(impl AsFd + IsTerminal)) -> Page {
    let terminal = stream.is_terminal();
    let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    Page {
        zone: TimeZone::system(),
        colour: terminal && wanted && !is_dumb(),
        width: width(stream),
        invocation: invocation.clone(),
        named: None,
    }
}

/// The columns of a terminal.
pub(crate) fn width(stream: &(impl AsFd + IsTerminal)) -> Option<usize> {
    let size = if stream.is_terminal() { rustix::termios::tcgetwinsize(stream).ok() } else { None };
    size.map(|size| usize::from(size.ws_col)).filter(|width| *width > 0)
}

/// The rows of a terminal.
pub(crate) fn height(stream: &(impl AsFd + IsTerminal)) -> Option<usize> {
    let size = if stream.is_terminal() { rustix::termios::tcgetwinsize(stream).ok() } else { None };
    size.map(|size| usize::from(size.ws_row)).filter(|height| *height > 0)
}

/// Whether the terminal only goes forward.
pub(crate) fn is_dumb() -> bool {
    std::env::var_os("TERM").is_none_or(|term| term == "dumb")
}
