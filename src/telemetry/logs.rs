//! The log: lines on standard error, from `[log]` of the configuration.
//!
//! Standard output stays free for answers. Every line passes through [`redact`] on its way out, also
//! those of libraries.

use std::io::{self, IsTerminal, Write};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use super::redact::redact;
use crate::config::{Log, LogFormat};

/// The log can't be started.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// `RUST_LOG` or `log.level` isn't a filter.
    #[error("\"{filter}\" is not a log filter: {reason}")]
    BadFilter {
        /// What was given.
        filter: String,
        /// Why it can't be read.
        reason: String,
    },
    /// Something else in this process writes a log already.
    #[error("the log is already being written")]
    AlreadyStarted,
}

/// Libraries that say at INFO what only matters when looking for a fault in them.
const QUIET: &str = "hyper=warn,hyper_util=warn,reqwest=warn,rustls=warn,h2=warn";

/// Starts the log for the whole process. `RUST_LOG`, if set, wins over the configuration.
///
/// # Errors
/// [`LogError`].
pub fn start(log: &Log) -> Result<(), LogError> {
    let filter = std::env::var("RUST_LOG").ok().filter(|text| !text.trim().is_empty());
    let filter = filter.unwrap_or_else(|| format!("{QUIET},{}", log.level));
    let filter = EnvFilter::builder()
        .parse(&filter)
        .map_err(|error| LogError::BadFilter { filter: filter.clone(), reason: error.to_string() })?;
    // The subscriber would tell of its own trouble on standard error, and panic if that can't be written.
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(RedactedStderr)
        .log_internal_errors(false);
    let started = match log.format {
        LogFormat::Text => lines.with_ansi(io::stderr().is_terminal()).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    started.map_err(|_| LogError::AlreadyStarted)
}

/// Standard error without secrets. The subscriber hands over a whole line at a time.
struct RedactedStderr;

impl<'a> MakeWriter<'a> for RedactedStderr {
    type Writer = Redacted<io::Stderr>;

    fn make_writer(&'a self) -> Self::Writer {
        Redacted(io::stderr())
    }
}

struct Redacted<W>(W);

impl<W: Write> Write for Redacted<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        // A line that can't be written, on a full disk or to a reader that has gone, is lost. It must not
        // become a panic of whoever wrote it, perhaps with a lock of the node in hand.
        let _lost = match std::str::from_utf8(line) {
            Ok(text) => self.0.write_all(redact(text).as_bytes()),
            Err(_) => self.0.write_all(redact(&String::from_utf8_lossy(line)).as_bytes()),
        };
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let _lost = self.0.flush();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_redacted() {
        let mut out = Redacted(Vec::new());
        out.write_all(format!("GET /gift/{}\n", "ab".repeat(24)).as_bytes()).unwrap();
        out.write_all(b"\xff\n").unwrap();
        assert_eq!(String::from_utf8(out.0).unwrap(), "GET /gift/[id]\n\u{fffd}\n");
    }

    #[test]
    fn a_line_that_can_t_be_written_is_no_error() {
        let mut full = Redacted(&mut [0_u8; 4][..]);
        assert_eq!(full.write(b"a longer line\n").unwrap(), 14);
        full.flush().unwrap();
    }

    #[test]
    fn our_own_filter_is_a_filter() {
        assert!(EnvFilter::builder().parse(QUIET).is_ok());
        assert!(EnvFilter::builder().parse(format!("{QUIET},info,satchel=debug")).is_ok());
    }
}
