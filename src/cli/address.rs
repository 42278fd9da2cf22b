//! `satchel address`

use super::client::Client;
use super::error::CliError;
use super::report::Report;
use super::show::text;

pub async fn run(client: &Client) -> Result<Report, CliError> {
    let answer = client.post("address", serde_json::json!({})).await?;
    let address = text(&answer, "address").to_owned();
    Ok(Report::new(answer, address))
}
