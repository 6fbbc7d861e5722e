//! Writes the man pages and the shell completions of both programs, made from their command lines.
//!
//! `make man` and `make completions` run it. It is built as an example: no program that is installed carries it.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Command, CommandFactory, Parser, ValueEnum};
use clap_complete::Shell;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};

#[derive(Parser)]
#[command(about = "Writes the man pages or the shell completions of TopChat")]
struct Options {
    /// What to write.
    what: Pages,
    /// Folder to write to, made if it is missing.
    folder: PathBuf,
}

#[derive(Clone, Copy, ValueEnum)]
enum Pages {
    Man,
    Completions,
}

fn main() -> ExitCode {
    let Options { what, folder } = Options::parse();
    let written = fs::create_dir_all(&folder).and_then(|()| match what {
        Pages::Man => man_pages(&folder),
        Pages::Completions => completions(&folder),
    });
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: writing to {}: {error}", folder.display());
            ExitCode::FAILURE
        }
    }
}

/// The command lines, with a version that doesn't depend on the OpenSSL of the machine that makes the pages.
pub(crate) fn programs() -> [Command; 2] {
    [topchat::client::cli::options::Options::command(), topchat::server::options::Options::command()]
        .map(|program| program.version(env!("CARGO_PKG_VERSION")))
}

/// One page for each program and each of its commands, as `topchat.1` and `topchat-send.1`.
pub(crate) fn man_pages(folder: &Path) -> io::Result<()> {
    for program in programs() {
        let mut program = program.disable_help_subcommand(true);
        program.build();
        pages_of(&program, folder)?;
    }
    Ok(())
}

fn pages_of(command: &Command, folder: &Path) -> io::Result<()> {
    for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
        pages_of(below, folder)?;
    }
    let man = Man::new(command.clone()).source(concat!("TopChat ", env!("CARGO_PKG_VERSION"))).manual("TopChat");
    let mut page = File::create(folder.join(man.get_filename()))?;
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    let about = command.get_long_about().or(command.get_about()).map(ToString::to_string);
    section(&mut page, "DESCRIPTION", &about.unwrap_or_default())?;
    man.render_options_section(&mut page)?;
    if command.get_subcommands().any(|below| !below.is_hide_set()) {
        man.render_subcommands_section(&mut page)?;
    }
    if let Some(notes) = command.get_after_long_help() {
        section(&mut page, "NOTES", &notes.to_string())?;
    }
    page.flush()
}

/// A section of text as the help has it: indented lines stay as they are, others are filled.
fn section(page: &mut File, title: &str, text: &str) -> io::Result<()> {
    let mut roff = Roff::default();
    roff.control("SH", [title]);
    let mut is_indented = false;
    for line in text.lines() {
        let indented = line.starts_with("  ");
        if indented != is_indented {
            roff.control(if indented { "nf" } else { "fi" }, []);
            is_indented = indented;
        }
        match line.trim_end() {
            "" => roff.control("PP", []),
            line => roff.text([roman(line)]),
        };
    }
    if is_indented {
        roff.control("fi", []);
    }
    roff.to_writer(page)
}

/// `topchat.bash`, `_topchat`, `topchat.fish` and the same for the server.
pub(crate) fn completions(folder: &Path) -> io::Result<()> {
    for mut program in programs() {
        let name = program.get_name().to_owned();
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            clap_complete::generate_to(shell, &mut program, &name, folder)?;
        }
    }
    Ok(())
}
