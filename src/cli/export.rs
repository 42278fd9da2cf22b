//! `satchel export gifts|tips|l402|payouts|ledger`: tables for bookkeepers.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde_json::json;

use super::client::{Client, query};
use super::error::CliError;
use super::report::Report;
use super::show::{number, text};
use crate::core::csv::begun;

/// Which table, and where to.
#[derive(Args, Debug)]
pub struct ExportArgs {
    /// Which table
    #[arg(value_enum)]
    table: TableName,
    #[command(flatten)]
    part: PartArgs,
}

/// Tables there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum TableName {
    /// Every gift: what was paid for it, and what became of it
    Gifts,
    /// Every tip
    Tips,
    /// Requests that were paid for
    L402,
    /// Everything that went out, or was to
    Payouts,
    /// The books: a line for each entry; debits and credits sum to the same
    Ledger,
}

/// Which lines of a table, and where to.
#[derive(Args, Debug, Default)]
pub struct PartArgs {
    /// Not before this date (2026-01-31, by UTC) or time
    #[arg(long, value_name = "DATE")]
    pub from: Option<String>,
    /// And not after this date, or before this time
    #[arg(long, value_name = "DATE")]
    pub to: Option<String>,
    /// Into a new file [default: to standard output]
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

impl ExportArgs {
    /// Whether the table goes to standard output, so that no report is printed there.
    pub fn talks(&self) -> bool {
        self.part.output.is_none()
    }
}

pub async fn run(client: &Client, args: ExportArgs) -> Result<Report, CliError> {
    let path = match args.table {
        TableName::Gifts => "gifts/export",
        TableName::Tips => "tips/export",
        TableName::L402 => "l402/export",
        TableName::Payouts => "payouts/export",
        TableName::Ledger => "ledger/export",
    };
    write(client, path, &args.part, &[]).await
}

/// Writes a table to a file or to standard output. `more` is asked for besides.
pub async fn write(
    client: &Client,
    path: &str,
    args: &PartArgs,
    more: &[(&str, Option<String>)],
) -> Result<Report, CliError> {
    let mut asked = vec![("from", args.from.clone()), ("to", args.to.clone())];
    asked.extend_from_slice(more);
    let Some(output) = &args.output else {
        export(client, path, &asked, &mut std::io::stdout()).await?;
        return Ok(Report::new(json!(null), ""));
    };
    let mut file = File::create_new(output).map_err(|error| not_written(output, &error))?;
    let written = export(client, path, &asked, &mut file).await;
    let synced = written.and_then(|lines| {
        file.sync_all().map_err(|error| not_written(output, &error))?;
        Ok(lines)
    });
    match synced {
        Ok(lines) => {
            let report = json!({ "file": output.display().to_string(), "lines": lines });
            Ok(Report::new(report, format!("{lines} lines in {}", output.display())))
        }
        Err(error) => {
            // Half a table is worse than none.
            drop(file);
            let _ = std::fs::remove_file(output);
            Err(error)
        }
    }
}

/// Part by part, so that no table is too long. Answers how many lines it has besides its head.
async fn export(
    client: &Client,
    path: &str,
    asked: &[(&str, Option<String>)],
    to: &mut impl Write,
) -> Result<u64, CliError> {
    let (mut after, mut lines) = (None, 0_u64);
    loop {
        let mut given = asked.to_vec();
        given.push(("after", after.clone()));
        let page = client.get(&format!("{path}?{}", query(&given))).await?;
        let head = if after.is_none() { begun(text(&page, "head")) } else { String::new() };
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

fn not_written(path: &Path, error: &std::io::Error) -> CliError {
    CliError::failed(format!("{} can't be written: {error}", path.display()))
}
