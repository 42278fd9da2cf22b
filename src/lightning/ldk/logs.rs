//! LDK's log, in ours. LDK says whole invoices at its info level, so that level becomes debug here.

use ldk_node::logger::{LogLevel, LogRecord, LogWriter};
use tracing::Level;

pub(super) struct Bridge;

/// What bitcoind can't estimate on a young chain is reported as an error for each confirmation target.
const FEE_COMPLAINT: &str = "ee rate estimat";

impl LogWriter for Bridge {
    fn log(&self, record: LogRecord<'_>) {
        let level = match record.level {
            LogLevel::Gossip | LogLevel::Trace | LogLevel::Debug => Level::TRACE,
            LogLevel::Info => Level::DEBUG,
            LogLevel::Warn => Level::INFO,
            LogLevel::Error => Level::WARN,
        };
        // Formatting is the expensive part: ask first.
        match level {
            Level::TRACE if tracing::enabled!(target: "ldk", Level::TRACE) => {
                tracing::trace!(target: "ldk", module = record.module_path, "{}", text(&record));
            }
            Level::DEBUG if tracing::enabled!(target: "ldk", Level::DEBUG) => {
                tracing::debug!(target: "ldk", module = record.module_path, "{}", text(&record));
            }
            Level::INFO if tracing::enabled!(target: "ldk", Level::INFO) => {
                tracing::info!(target: "ldk", module = record.module_path, "{}", text(&record));
            }
            Level::WARN if tracing::enabled!(target: "ldk", Level::WARN) => {
                let text = text(&record);
                if text.contains(FEE_COMPLAINT) {
                    tracing::debug!(target: "ldk", module = record.module_path, "{text}");
                } else {
                    tracing::warn!(target: "ldk", module = record.module_path, "{text}");
                }
            }
            _ => {}
        }
    }
}

fn text(record: &LogRecord<'_>) -> String {
    record.args.to_string()
}
