//! `satchel payments export`

use clap::{Args, Subcommand};

use super::client::Client;
use super::error::CliError;
use super::export::{self, PartArgs};
use super::report::Report;

/// What to do with payments.
#[derive(Debug, Subcommand)]
pub enum PaymentsCommand {
    /// All payments and refunds as a table (CSV), for a bookkeeper: by when they were paid, arrived, or else made
    Export(ExportArgs),
}

/// Which, and where to.
#[derive(Args, Debug, Default)]
pub struct ExportArgs {
    #[command(flatten)]
    part: PartArgs,
    /// Only this account's
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
}

impl PaymentsCommand {
    /// Whether the table itself is what is said.
    pub fn talks(&self) -> bool {
        let Self::Export(args) = self;
        args.part.output.is_none()
    }
}

pub async fn run(client: &Client, command: PaymentsCommand) -> Result<Report, CliError> {
    let PaymentsCommand::Export(args) = command;
    export::write(client, "payments/export", &args.part, &[("account", args.account)]).await
}
