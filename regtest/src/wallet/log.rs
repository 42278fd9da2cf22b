//! The node's log, passed on to `tracing` and kept in a file of the wallet's folder, for those who look for a cause
//! after a test.
//!
//! Two things are turned down: gossip, and the errors that every fee estimate causes on a young chain. The file gets
//! `Info` and above.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use ldk_node::logger::{LogLevel, LogRecord, LogWriter};

/// Passes records on, marked with the wallet's name.
pub(super) struct NodeLog {
    wallet: String,
    file: Mutex<File>,
}

impl NodeLog {
    /// Appends to the file at `path`.
    pub(super) fn open(wallet: &str, path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        Ok(Self { wallet: wallet.to_owned(), file: Mutex::new(file) })
    }

    fn keep(&self, record: &LogRecord<'_>) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let LogRecord { level, args, module_path, line } = record;
        let text =
            format!("{}.{:03} {level} {module_path}:{line} {args}\n", now.as_secs(), now.subsec_millis());
        // A full disk must not stop the node for the sake of its log.
        let _ = self.file.lock().unwrap_or_else(PoisonError::into_inner).write_all(text.as_bytes());
    }
}

impl LogWriter for NodeLog {
    fn log(&self, record: LogRecord<'_>) {
        if record.level >= LogLevel::Info {
            self.keep(&record);
        }
        let wallet = self.wallet.as_str();
        let (module, line, message) = (record.module_path, record.line, record.args);
        match record.level {
            LogLevel::Gossip | LogLevel::Trace => {
                tracing::trace!(target: "regtest::node", wallet, module, line, "{message}");
            }
            LogLevel::Error if !is_fee_estimate(&message.to_string()) => {
                tracing::error!(target: "regtest::node", wallet, module, line, "{message}");
            }
            LogLevel::Warn => {
                tracing::warn!(target: "regtest::node", wallet, module, line, "{message}")
            }
            LogLevel::Info => {
                tracing::info!(target: "regtest::node", wallet, module, line, "{message}")
            }
            LogLevel::Debug | LogLevel::Error => {
                tracing::debug!(target: "regtest::node", wallet, module, line, "{message}");
            }
        }
    }
}

fn is_fee_estimate(message: &str) -> bool {
    message.contains("fee rate") || message.contains("fee estimat")
}
