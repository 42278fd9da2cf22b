//! The command line, one file a subcommand.
//!
//! `init`, `seed`, `run` and `doctor` work on the data folder, `mcp` asks with an agent's key; all others ask the running satchel over
//! `/admin/v1` (`client`). Every command gives a `Report`: for people by default, one JSON object on
//! one line with `--json`. Nothing but that goes to standard output.
//!
//! Exit codes: 0 done; 1 refused or failed; 2 bad usage or configuration; 3 satchel or its node is not
//! reachable; 4 `doctor` or `audit` found problems.

mod account;
mod address;
mod args;
mod audit;
mod channel;
mod client;
mod coins;
mod confirm;
mod doctor;
mod error;
mod export;
mod gift;
mod init;
mod invoice;
mod key;
mod log;
mod mcp;
pub(crate) mod names;
mod pay;
mod payments;
mod payout;
mod peer;
mod proxy;
mod purse;
mod report;
mod run;
mod seed;
mod send;
mod show;
mod status;
mod store;
mod suspense;
mod tip;
mod webhook;

use std::borrow::Cow;
use std::ffi::OsString;
use std::future::Future;
use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

use args::{Cli, Command};
use client::Client;
use error::CliError;
use report::Report;

use crate::core::text::escaped;

/// Reads the command line of the process, does what it says, and gives the exit code.
pub fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let wants_json = arguments.iter().any(|argument| argument == "--json");
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) if wants_json && error.use_stderr() => {
            return fail(&CliError::from(error), true);
        }
        Err(error) => {
            // Help and version are what was asked for; they go to standard output with code 0.
            let code = if error.use_stderr() { error::USAGE } else { 0 };
            return error.print().map_or(ExitCode::from(error::FAILED), |()| ExitCode::from(code));
        }
    };
    let json = cli.global.json;
    match execute(cli) {
        Ok(report) => succeed(&report, json),
        Err(error) => fail(&error, json),
    }
}

fn execute(cli: Cli) -> Result<Report, CliError> {
    let global = cli.global;
    match cli.command {
        Command::Init(args) => init::run(&global, &args),
        Command::Run => run::run(&global),
        Command::Seed(command) => seed::run(&global, &command),
        Command::Doctor => wait_for(doctor::run(&global))?,
        Command::Mcp(args) => wait_for(mcp::run(&global, &args))?,
        Command::Payments(command) if global.json && command.talks() => {
            Err(CliError::usage("the table is no JSON").help("give it a file of its own with --output"))
        }
        Command::Account(command) if global.json && command.talks() => {
            Err(CliError::usage("the table is no JSON").help("give it a file of its own with --output"))
        }
        Command::Export(args) if global.json && args.talks() => {
            Err(CliError::usage("the table is no JSON").help("give it a file of its own with --output"))
        }
        remote => {
            let client = Client::from(&global)?;
            wait_for(ask(&client, remote))?
        }
    }
}

async fn ask(client: &Client, command: Command) -> Result<Report, CliError> {
    match command {
        Command::Status => status::run(client).await,
        Command::Address => address::run(client).await,
        Command::Channel(command) => channel::run(client, command).await,
        Command::Peer(command) => peer::run(client, command).await,
        Command::Pay(args) => pay::run(client, &args).await,
        Command::Invoice(args) => invoice::run(client, &args).await,
        Command::Key(command) => key::run(client, command).await,
        Command::Gift(command) => gift::run(client, command).await,
        Command::Tip(command) => tip::run(client, command).await,
        Command::Payments(command) => payments::run(client, command).await,
        Command::Payout(command) => payout::run(client, command).await,
        Command::Suspense(command) => suspense::run(client, command).await,
        Command::Export(args) => export::run(client, args).await,
        Command::Send(args) => send::run(client, &args).await,
        Command::Coins(command) => coins::run(client, command).await,
        Command::Account(command) => account::run(client, command).await,
        Command::Proxy(command) => proxy::run(client, command).await,
        Command::Purse(command) => purse::run(client, command).await,
        Command::Store(command) => store::run(client, *command).await,
        Command::Webhook(command) => webhook::run(client, command).await,
        Command::Log(args) => log::run(client, &args).await,
        Command::Audit => audit::run(client).await,
        Command::Init(_) | Command::Run | Command::Seed(_) | Command::Doctor | Command::Mcp(_) => {
            Err(CliError::failed("this command needs no server"))
        }
    }
}

/// Runs a command that only waits for others.
fn wait_for<T>(command: impl Future<Output = T>) -> Result<T, CliError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| CliError::failed(format!("can't start: {error}")))?;
    Ok(runtime.block_on(command))
}

fn succeed(report: &Report, json: bool) -> ExitCode {
    let text = if json { report.json.to_string() } else { report.text.trim_end().to_owned() };
    let text = for_terminal(&text);
    if text.is_empty() {
        return ExitCode::from(report.code);
    }
    match writeln!(std::io::stdout().lock(), "{text}") {
        Ok(()) => ExitCode::from(report.code),
        // Whoever read us has gone, as `head` does.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::from(report.code),
        Err(_) => ExitCode::from(error::FAILED),
    }
}

/// Whatever strangers wrote into an answer, only our own line ends and tabs reach a terminal as such; JSON stays the same
/// JSON.
fn for_terminal(text: &str) -> Cow<'_, str> {
    escaped(text, |c| matches!(c, '\n' | '\t'))
}

fn fail(error: &CliError, json: bool) -> ExitCode {
    let text = if json { error.to_json().to_string() } else { error.to_text() };
    let text = for_terminal(&text);
    // There is nobody left to tell if standard error is closed.
    if writeln!(std::io::stderr().lock(), "{text}").is_err() {
        return ExitCode::from(error::FAILED);
    }
    ExitCode::from(error.code)
}
