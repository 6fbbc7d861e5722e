//! `topchat-server`: parse, run, print the error with its remedy, exit code.

use std::process::ExitCode;

use clap::Parser;
use topchat::error::{Exit, Explain, describe};
use topchat::server::options::Options;
use topchat::server::{Durability, Registration, Server, ServerError, Settings, admin};
use topchat::text::{quoted, visible};
use topchat::transport::Stop;

fn main() -> ExitCode {
    let options = Options::parse();
    topchat::logging::start(log::LevelFilter::Info);
    match run(&options) {
        Ok(()) => Exit::Done.into(),
        Err(error) => {
            eprintln!("{}", as_typed(&describe(&error), &options));
            error.exit().into()
        }
    }
}

fn run(options: &Options) -> Result<(), ServerError> {
    match &options.command {
        Some(command) => {
            let (mut out, mut words) = (std::io::stdout().lock(), std::io::stderr());
            admin::run(&options.data_dir, command, &mut out, &mut words)
        }
        None => serve(options),
    }
}

fn serve(options: &Options) -> Result<(), ServerError> {
    let stop = Stop::on_signals(|| {}).map_err(|source| ServerError::Accept { source })?;
    let settings = options.settings();
    let server = Server::open(&options.data_dir, &options.listen, settings.clone())?;
    greet(options, &settings, &server);
    server.run(&stop)?;
    eprintln!("stopped");
    Ok(())
}

fn greet(options: &Options, settings: &Settings, server: &Server) {
    let address = server.address();
    let reach = if address.ip().is_loopback() {
        format!("this machine only (open to others: --listen 0.0.0.0:{})", address.port())
    } else {
        "open to others".to_owned()
    };
    eprintln!("topchat-server {}", env!("CARGO_PKG_VERSION"));
    eprintln!("listening   {address}   {reach}");
    eprintln!("identity    {}   clients pin this at first contact", server.identity());
    eprintln!("clients     0 of {}   change with --max-clients", settings.max_clients);
    let accounts = server.accounts();
    let data = visible(&options.data_dir.to_string_lossy()).into_owned();
    eprintln!("data        {data}   {accounts} accounts, registration {}", registration(server, &data));
    match settings.durability {
        Durability::Disk => eprintln!("messages    wait on disk until they are delivered"),
        Durability::Memory => eprintln!("messages    --durability memory: a crash may take accepted messages back"),
    }
    eprintln!(
        "The server passes on sealed messages and cannot read them. It does see who writes to whom, when, and how much."
    );
    eprintln!(
        "ready. Next, in another terminal:  {}        (Ctrl-C stops the server)",
        client_command(&address.to_string())
    );
}

/// What starts a client of this server here: as the owner was told to type it, or the installed program.
fn client_command(address: &str) -> String {
    let command = std::env::var("TOPCHAT_CLIENT_COMMAND").ok().map(|command| visible(&command).into_owned());
    match (command, address) {
        (Some(command), ADDRESS_DEFAULT) => command,
        (Some(command), other) => format!("{command} ARGS='--server {other}'"),
        (None, ADDRESS_DEFAULT) => "topchat".to_owned(),
        (None, other) => format!("topchat --server {other}"),
    }
}

/// These words with the owner's commands as they are typed for the folder in use.
fn as_typed(words: &str, options: &Options) -> String {
    let data = options.data_dir.to_string_lossy();
    words.replace(": topchat-server ", &format!(": {} --data-dir {} ", own_command(), quoted(&data)))
}

/// This program as it was started.
fn own_command() -> String {
    let command = std::env::args_os().next().map(|command| command.to_string_lossy().into_owned());
    visible(&command.unwrap_or_else(|| "topchat-server".to_owned())).into_owned()
}

/// Where a client looks for a server by itself.
const ADDRESS_DEFAULT: &str = "127.0.0.1:7777";

/// Who may make an account, and how that is changed.
fn registration(server: &Server, data: &str) -> String {
    match server.registration() {
        Registration::Open => "open (change with --registration invite or closed)".to_owned(),
        Registration::Invite => format!("by invite (make a code: {} --data-dir {data} user invite)", own_command()),
        Registration::Closed => "closed (let people in with --registration invite or open)".to_owned(),
    }
}
