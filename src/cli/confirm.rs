//! The question before something is made that costs money or that many will see.

use std::io::{IsTerminal, Write};

use super::error::CliError;
use crate::core::text::escaped;

/// Shows what would be made and asks whether it shall be. `yes` says so beforehand, for scripts.
///
/// # Errors
/// [`CliError::usage`] where nobody can be asked; [`CliError::failed`] for any answer but yes.
pub fn ask(preview: &str, yes: bool) -> Result<(), CliError> {
    if yes {
        return Ok(());
    }
    let preview = escaped(preview, |c| c == '\n');
    if !std::io::stdin().is_terminal() {
        let message = format!("nothing was made: nobody can be asked here\n\n{preview}\n");
        return Err(CliError::usage(message).help("look at it, then give --yes"));
    }
    let unasked = |error: std::io::Error| CliError::failed(format!("nothing was made: {error}"));
    let mut terminal = std::io::stderr().lock();
    write!(terminal, "{preview}\n\nGo on? [y/N] ").and_then(|()| terminal.flush()).map_err(unasked)?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).map_err(unasked)?;
    if matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes") {
        Ok(())
    } else {
        Err(CliError::failed("nothing was made"))
    }
}
