//! `topchat-server`: parse, run, print the error with its remedy, exit code.

use std::io::Write;
use std::process::ExitCode;

use clap::CommandFactory;
use topchat::environment;
use topchat::error::{Exit, Explain, describe};
use topchat::hint::{Hint, Program, command_line};
use topchat::server::doctor;
use topchat::server::net::scheduling;
use topchat::server::net::surroundings::Surroundings;
use topchat::server::options::{Command, Options};
use topchat::server::{Durability, Registration, Server, ServerError, Settings, Why, admin};
use topchat::text::{quoted, visible, visible_path};
use topchat::transport::{Hangup, Stop};

fn main() -> ExitCode {
    topchat::logging::start(log::LevelFilter::Info);
    let options = match Options::typed(std::env::args_os()) {
        Ok(options) => options,
        Err(error) => return topchat::usage::tell(&error, Options::command(), std::env::args_os()).into(),
    };
    environment::know_variables(&[Options::command(), topchat::client::cli::options::Options::command()]);
    // It tells them itself.
    if !matches!(options.command, Some(Command::Doctor { .. })) {
        environment::warn_of_unknown_variables();
    }
    match run(&options) {
        Ok(()) => Exit::Done.into(),
        Err(error) => {
            let message = error.to_string();
            let hint = error.hint().map(|hint| as_typed(&hint, &options));
            say(&describe(&message, environment::naming_variables(&message, hint).as_deref()));
            error.exit().into()
        }
    }
}

fn run(options: &Options) -> Result<(), ServerError> {
    // It tells of what would end it here.
    if let Some(Command::Doctor { json }) = options.command {
        return doctor::run(options, json, &|hint| as_typed(hint, options), &mut std::io::stdout().lock());
    }
    environment::check()?;
    match &options.command {
        Some(command) => {
            let (mut out, mut words) = (std::io::stdout().lock(), std::io::stderr());
            admin::run(&options.data_dir, command, &mut out, &mut words)
        }
        None => serve(options),
    }
}

fn serve(options: &Options) -> Result<(), ServerError> {
    scheduling::wake_without_preemption();
    let stop = Stop::on_signals(Hangup::IsNothing, || {}).map_err(|source| ServerError::Accept { source })?;
    let settings = options.settings();
    let server = Server::open(&options.data_dir, &options.listen, settings.clone())?;
    environment::warn_of_unknown_time_zone();
    greet(options, &settings, &server);
    server.run(&stop)?;
    say("stopped");
    Ok(())
}

fn greet(options: &Options, settings: &Settings, server: &Server) {
    let here = server.address_here();
    let reach = match server.is_for_this_machine() {
        true => format!("this machine only (open to others: {})", open_to_others(here.port())),
        false => "open to others".to_owned(),
    };
    say(&format!("topchat-server {}", env!("CARGO_PKG_VERSION")));
    say(&format!("listening   {:VALUE$}   {reach}", joined(server.addresses())));
    say(&format!("identity    {}   clients pin this at first contact", server.identity()));
    say(&format!("clients     {:VALUE$}   change with --max-clients", format!("0 of {}", settings.max_clients)));
    if !settings.trust_proxy.is_empty() {
        say(&format!(
            "proxies     {:VALUE$}   must say for whom they connect (PROXY protocol, version 2)",
            joined(&settings.trust_proxy)
        ));
    }
    let accounts = server.accounts();
    let data = visible_path(&options.data_dir);
    say(&format!("data        {data:VALUE$}   {accounts} accounts, registration {}", registration(server, options)));
    match settings.durability {
        Durability::Disk => say("messages    wait on disk until they are delivered"),
        Durability::Memory => say("messages    --durability memory: a crash may take accepted messages back"),
    }
    say(
        "The server passes on sealed messages and cannot read them. It does see who writes to whom, when, and how much.",
    );
    say(&format!(
        "ready. Next, in another terminal:  {}        (Ctrl-C stops the server)",
        client_command(&here.to_string())
    ));
}

fn joined(values: &[impl ToString]) -> String {
    values.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// Words for the owner, on stderr. One that is full, closed or read by nobody keeps no server from its work.
fn say(words: &str) {
    let _ = writeln!(std::io::stderr(), "{words}");
}

/// What makes this server one for other machines, too.
fn open_to_others(port: u16) -> String {
    let flag = format!("--listen 0.0.0.0:{port}");
    match told(SERVER_COMMAND) {
        Some(command) => format!("{command} ARGS='{flag}'"),
        None => flag,
    }
}

/// What starts a client of this server here: as the owner was told to type it, or the installed program.
fn client_command(address: &str) -> String {
    match (told(CLIENT_COMMAND), address) {
        (Some(command), ADDRESS_DEFAULT) => command,
        (Some(command), other) => format!("{command} ARGS='--server {other}'"),
        (None, ADDRESS_DEFAULT) => "topchat".to_owned(),
        (None, other) => format!("topchat --server {other}"),
    }
}

/// A hint with the owner's commands as they are typed for the folder in use.
fn as_typed(hint: &Hint, options: &Options) -> String {
    let shown = hint.shown(|program, arguments| match program {
        Program::Client => command_line([program.name().to_owned()], arguments),
        Program::Server => owners_command(&command_line([], arguments), options),
    });
    shown.text
}

/// A command of the owner: as they were told to type such commands, which are for the folder in the environment, or with this
/// program as it was started.
fn owners_command(words: &str, options: &Options) -> String {
    let is_told_folder = std::env::var_os("TOPCHAT_DATA_DIR").is_some_and(|folder| *folder == *options.data_dir);
    match told(SERVER_COMMAND).filter(|_| is_told_folder) {
        Some(command) => format!("{command} ARGS='{words}'"),
        None => format!("{} --data-dir {} {words}", own_command(), quoted(&options.data_dir.to_string_lossy())),
    }
}

/// This program as it was started.
fn own_command() -> String {
    let command = std::env::args_os().next().map(|command| command.to_string_lossy().into_owned());
    visible(&command.unwrap_or_else(|| "topchat-server".to_owned())).into_owned()
}

/// The command that starts one of the programs in a clone, which takes its arguments as `ARGS`. The Makefile tells it.
fn told(variable: &str) -> Option<String> {
    let command = std::env::var(variable).ok().filter(|command| !command.is_empty());
    command.map(|command| visible(&command).into_owned())
}

/// Who may make an account, and how that is changed.
fn registration(server: &Server, options: &Options) -> String {
    let why = server.why_registration().map_or(String::new(), |why| format!(", since {}", because(why)));
    match server.registration() {
        Registration::Open => format!("open{why} (change with --registration invite or closed)"),
        Registration::Invite => format!("by invite (make a code: {})", owners_command("user invite", options)),
        Registration::Closed => format!("closed{why} (let people in with --registration invite or open)"),
    }
}

/// Why it is so without a word of the owner.
fn because(why: Why) -> &'static str {
    match why {
        Why::Others => "others can connect",
        Why::Proxy => "others come by a proxy",
        Why::Runs(Surroundings::Container) => "this is a container",
        Why::Runs(Surroundings::Systemd) => "systemd runs this",
        Why::Here => "only this machine can connect",
    }
}

/// Columns of what stands before its explanation.
const VALUE: usize = 14;
/// Where a client looks for a server by itself.
const ADDRESS_DEFAULT: &str = "127.0.0.1:7777";
const SERVER_COMMAND: &str = "TOPCHAT_SERVER_COMMAND";
const CLIENT_COMMAND: &str = "TOPCHAT_CLIENT_COMMAND";
