//! `satchel run`: the node and the services, until a signal says to stop.

use serde_json::json;

use super::args::Global;
use super::error::CliError;
use super::report::Report;
use crate::app::{self, AppError};
use crate::config::Config;

/// Runs it all. Returns when it has stopped in order.
pub fn run(global: &Global) -> Result<Report, CliError> {
    let config = Config::load(&global.overrides())?;
    app::run(config).map_err(|error| match error {
        AppError::DataFolder(_) | AppError::Listen(..) => CliError::usage(error.to_string()),
        other => CliError::failed(other.to_string()),
    })?;
    Ok(Report { text: String::new(), json: json!({ "stopped": true }), code: 0 })
}
