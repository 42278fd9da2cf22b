//! `satchel payments export`

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::json;
use url::form_urlencoded::Serializer;

use super::client::Client;
use super::error::CliError;
use super::report::Report;
use super::show::{number, text};

/// What to do with payments.
#[derive(Debug, Subcommand)]
pub enum PaymentsCommand {
    /// All payments and refunds as a table (CSV), for a bookkeeper
    Export(ExportArgs),
}

/// Which, and where to.
#[derive(Args, Debug, Default)]
pub struct ExportArgs {
    /// Paid, arrived or else made not before this date (2026-01-31, by UTC) or time
    #[arg(long, value_name = "DATE")]
    from: Option<String>,
    /// And not after this date, or before this time
    #[arg(long, value_name = "DATE")]
    to: Option<String>,
    /// Only this account's
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    /// Into a new file [default: to standard output]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl PaymentsCommand {
    /// Whether the table itself is what is said.
    pub fn talks(&self) -> bool {
        let Self::Export(args) = self;
        args.output.is_none()
    }
}

pub async fn run(client: &Client, command: PaymentsCommand) -> Result<Report, CliError> {
    let PaymentsCommand::Export(args) = command;
    let Some(path) = &args.output else {
        export(client, &args, &mut std::io::stdout()).await?;
        return Ok(Report::new(json!(null), ""));
    };
    let mut file = File::create_new(path).map_err(|error| not_written(path, &error))?;
    let written = export(client, &args, &mut file).await;
    let synced = written.and_then(|lines| {
        file.sync_all().map_err(|error| not_written(path, &error))?;
        Ok(lines)
    });
    match synced {
        Ok(lines) => {
            let report = json!({ "file": path.display().to_string(), "lines": lines });
            Ok(Report::new(report, format!("{lines} lines in {}", path.display())))
        }
        Err(error) => {
            // Half a table is worse than none.
            drop(file);
            let _ = std::fs::remove_file(path);
            Err(error)
        }
    }
}

/// Part by part, so that no table is too long. Answers how many lines it has besides its head.
async fn export(client: &Client, args: &ExportArgs, to: &mut impl Write) -> Result<u64, CliError> {
    let (mut after, mut lines) = (None, 0_u64);
    loop {
        let page = client.get(&format!("payments/export?{}", query(args, after.as_deref()))).await?;
        let head = if after.is_none() { text(&page, "head") } else { "" };
        match to.write_all(head.as_bytes()).and_then(|()| to.write_all(text(&page, "csv").as_bytes())) {
            Ok(()) => {}
            // Whoever read us has gone, as `head` does.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(lines),
            Err(error) => return Err(CliError::failed(format!("the table can't be written: {error}"))),
        }
        lines = lines.saturating_add(number(&page, "lines"));
        match text(&page, "next") {
            "" => return Ok(lines),
            next => after = Some(next.to_owned()),
        }
    }
}

fn query(args: &ExportArgs, after: Option<&str>) -> String {
    let given = [("from", &args.from), ("to", &args.to), ("account", &args.account)];
    let mut query = Serializer::new(String::new());
    for (name, value) in given {
        if let Some(value) = value {
            query.append_pair(name, value);
        }
    }
    if let Some(after) = after {
        query.append_pair("after", after);
    }
    query.finish()
}

fn not_written(path: &Path, error: &std::io::Error) -> CliError {
    CliError::failed(format!("{} can't be written: {error}", path.display()))
}
