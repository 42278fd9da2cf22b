//! The node's log, passed on to `tracing`.
//!
//! Two things are turned down: gossip, and the errors that every fee estimate causes on a young chain.

use ldk_node::logger::{LogLevel, LogRecord, LogWriter};

/// Passes records on, marked with the wallet's name.
pub(super) struct TracingWriter {
    pub(super) wallet: String,
}

impl LogWriter for TracingWriter {
    fn log(&self, record: LogRecord<'_>) {
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
