//! What is wrong with a command line, said so that nothing in it reaches a terminal as it is.

use std::borrow::Cow;
use std::ffi::OsString;
use std::io::Write;

use clap::Command;
use clap::builder::Styles;

use crate::environment;
use crate::error::Exit;
use crate::text::{visible, visible_lines, visible_path};

/// Says what clap has to say of `words`, which begin with the program's name: help and version on stdout, mistakes on stderr.
pub fn tell(error: &clap::Error, command: Command, words: impl Iterator<Item = OsString>) -> Exit {
    if !error.use_stderr() {
        // Whoever closed stdout wants neither.
        let _ = error.print();
        return Exit::Done;
    }
    let words: Vec<_> = words.collect();
    let is_harmless = |word: &OsString| word.to_str().is_some_and(|word| visible(word) == word);
    let of_ours = |(name, value): (OsString, OsString)| name.to_string_lossy().starts_with("TOPCHAT_").then_some(value);
    match words.iter().all(is_harmless) && std::env::vars_os().filter_map(of_ours).all(|value| is_harmless(&value)) {
        // The same.
        true => drop(error.print()),
        // Whoever closed stderr wants no words.
        false => drop(writeln!(std::io::stderr(), "{}", harmless(error, command, words))),
    }
    Exit::Usage
}

/// The same mistake without clap's colours, which it takes for those of a stranger, and each word on one line.
fn harmless(error: &clap::Error, command: Command, words: Vec<OsString>) -> String {
    let command = environment::without_empty_variables(command.styles(Styles::plain()));
    let shown = words.iter().map(visible_path);
    let again = command.clone().try_get_matches_from(shown).err();
    let again = again.or_else(|| command.clone().try_get_matches_from(&words).err());
    let again = again.map(|error| environment::with_whole_usage(&command, &words, error));
    let error = again.as_ref().unwrap_or(error);
    let text = error.render().ansi().to_string();
    let variable = environment::blamed_variable(&command, error);
    visible_lines(text.trim_end()).map(Cow::into_owned).chain(variable).collect::<Vec<_>>().join("\n")
}
