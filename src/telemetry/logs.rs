//! The log: lines on standard error, from `[log]` of the configuration.
//!
//! Standard output stays free for answers. Every line passes through [`redact`] on its way out, also
//! those of libraries.

use std::io::{self, IsTerminal, Write};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use super::redact::redact;
use crate::config::{Log, LogFormat};
use crate::core::text::escaped;

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

/// A line of the log with nothing in it that ends a line, moves a cursor or turns the direction of writing: values may be
/// strangers'. Colours stay: where they are wanted the subscriber writes them, and takes them out of values itself.
fn one_line(line: &str) -> String {
    let (text, end) = line.strip_suffix('\n').map_or((line, ""), |text| (text, "\n"));
    let mut clean = String::with_capacity(line.len());
    let mut rest = text;
    while let Some(at) = rest.find("\u{1b}[") {
        let (before, colour) = rest.split_at(at);
        clean.push_str(&escaped(before, |_| false));
        let is_part = |c: char| c.is_ascii_digit() || c == ';';
        let parameters =
            colour.get(2..).unwrap_or_default().find(|c| !is_part(c)).map(|end| end.saturating_add(2));
        let length = parameters.filter(|end| colour.get(*end..).is_some_and(|tail| tail.starts_with('m')));
        let (taken, kept) = length.map_or((1, false), |end| (end.saturating_add(1), true));
        let (sequence, after) = colour.split_at_checked(taken).unwrap_or((colour, ""));
        if kept {
            clean.push_str(sequence);
        } else {
            clean.push_str(&escaped(sequence, |_| false));
        }
        rest = after;
    }
    clean.push_str(&escaped(rest, |_| false));
    clean.push_str(end);
    clean
}

impl<W: Write> Write for Redacted<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        // A line that can't be written, on a full disk or to a reader that has gone, is lost. It must not
        // become a panic of whoever wrote it, perhaps with a lock of the node in hand.
        let _lost = match std::str::from_utf8(line) {
            Ok(text) => self.0.write_all(one_line(&redact(text)).as_bytes()),
            Err(_) => self.0.write_all(one_line(&redact(&String::from_utf8_lossy(line))).as_bytes()),
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
    fn value_forges_no_line_and_moves_no_cursor() {
        let mut out = Redacted(Vec::new());
        out.write_all(
            "\u{1b}[32mINFO\u{1b}[0m name=a\nERROR forged\u{1b}[2J\u{9b}1A\u{202e}\u{1b}]0;x\u{7}\n"
                .as_bytes(),
        )
        .unwrap();
        let expected =
            "\u{1b}[32mINFO\u{1b}[0m name=a\\nERROR forged\\u001b[2J\\u009b1A\\u202e\\u001b]0;x\\u0007\n";
        assert_eq!(String::from_utf8(out.0).unwrap(), expected);
        let mut out = Redacted(Vec::new());
        out.write_all("{\"message\":\"a\u{9b}b\"}\n".as_bytes()).unwrap();
        let told: serde_json::Value = serde_json::from_slice(&out.0).unwrap();
        assert_eq!(told["message"], "a\u{9b}b");
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
