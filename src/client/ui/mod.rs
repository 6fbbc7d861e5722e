//! Output and questions: events as words and as JSON, prompts, progress, QR codes.

pub(crate) mod json;
pub(crate) mod lines;
pub(crate) mod output;
pub(crate) mod page;
pub(crate) mod progress;
pub(crate) mod prompt;
pub(crate) mod qr;
pub mod render;
pub(crate) mod words;
