//! What can go wrong with a wallet, by what its caller can do about it.

/// Why a wallet didn't do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum WalletError {
    /// The request makes no sense: change it.
    #[error("{0}")]
    BadRequest(String),
    /// There is no such payment or hold invoice.
    #[error("{0}")]
    NotFound(String),
    /// It can't be done in the present state, as claiming a payment that hasn't come.
    #[error("{0}")]
    Conflict(String),
    /// The payment failed, or the LNURL service refused; the text says what the other side said.
    #[error("{0}")]
    Failed(String),
    /// The wallet is stopped, or was stopped meanwhile: start it. What was on its way goes on after the start.
    #[error("the wallet is stopped")]
    Stopped,
    /// Something broke that the caller can't help.
    #[error("{0}")]
    Internal(String),
}

impl From<anyhow::Error> for WalletError {
    fn from(error: anyhow::Error) -> Self {
        Self::Internal(format!("{error:#}"))
    }
}
