//! Why Shopify did not do what it was asked. The texts are for the operator: they hold no secret, no personal data, and
//! of Shopify's own words a short, clean piece.

use super::token::SCOPES;
use crate::ledger::LedgerError;
use crate::outbound::guard::BadUrl;
use crate::services::shop::ShopError;
use crate::services::shop::customer::is_unfit;
use crate::storage::StoreError;

/// Characters of a text of Shopify's that are shown.
const LONGEST: usize = 200;

/// Why a request came to nothing, or to nothing that we know of.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShopifyError {
    /// The address guard lets no request go there.
    #[error("the shop's address is not allowed: {0}")]
    Address(#[from] BadUrl),
    /// There was no connection, so nothing was asked.
    #[error("the shop can't be reached")]
    Unreachable,
    /// The connection broke off.
    #[error("the connection to the shop broke off")]
    Broken,
    /// It took too long.
    #[error("the shop takes too long to answer")]
    TimedOut,
    /// The answer is larger than any we ask for.
    #[error("the shop's answer is too large")]
    TooLarge,
    /// The answer is no JSON, or breaks off.
    #[error("the shop's answer is not whole JSON")]
    NotJson,
    /// Another HTTP status than 200.
    #[error("the shop answers with HTTP status {0}")]
    Status(u16),
    /// It asked us to wait, again and again.
    #[error("the shop answers no more requests for now (its rate limit)")]
    Throttled,
    /// No access token for our client id and secret.
    #[error(
        "Shopify refuses client_id and client_secret (HTTP status {0}): compare them with the app's in the Dev Dashboard, and see that the app is installed in the shop"
    )]
    Credentials(u16),
    /// The token does not allow all that we need.
    #[error("the app lacks the scope {0}: add it to the app's version in the Dev Dashboard, release it, and approve it in the shop (needed are {needed})", needed = SCOPES.join(", "))]
    MissingScope(String),
    /// It does not allow this.
    #[error("the shop does not allow it: {0}")]
    Denied(String),
    /// It refuses what was asked. Nothing was done.
    #[error("the shop refuses it: {0}")]
    Refused(String),
    /// Something went wrong there.
    #[error("the shop reports an error: {0}")]
    Failed(String),
    /// The answer makes no sense.
    #[error("the shop's answer makes no sense: {0}")]
    Nonsense(String),
    /// Its prices are in another currency.
    #[error(
        "the shop's prices are in {shop}, the store's in {store}: make a store with `satchel store create SLUG --currency {shop}`, and name that one"
    )]
    Currency {
        /// Shopify's.
        shop: String,
        /// Ours.
        store: String,
    },
    /// There is no such store here.
    #[error("there is no store {0}: make it with `satchel store create {0}`, in the shop's currency")]
    NoStore(String),
    /// Our own side.
    #[error("{0}")]
    Here(ShopError),
}

impl ShopifyError {
    /// Whether it is certain that nothing was done at Shopify.
    pub(super) const fn is_certain(&self) -> bool {
        match self {
            Self::Address(_)
            | Self::Unreachable
            | Self::Throttled
            | Self::Credentials(_)
            | Self::MissingScope(_)
            | Self::Denied(_)
            | Self::Refused(_)
            | Self::Currency { .. }
            | Self::NoStore(_) => true,
            // Redirections and refusals are answered before anything is done; 408 and 5xx may come after it.
            Self::Status(status) => *status < 500 && *status != 408,
            Self::Broken
            | Self::TimedOut
            | Self::TooLarge
            | Self::NotJson
            | Self::Failed(_)
            | Self::Nonsense(_)
            | Self::Here(_) => false,
        }
    }

    /// Whether a question may be asked again at once.
    pub(super) const fn is_passing(&self) -> bool {
        matches!(self, Self::Unreachable | Self::Broken | Self::TimedOut | Self::NotJson)
            || matches!(self, Self::Status(status) if *status >= 500)
    }
}

impl From<ShopError> for ShopifyError {
    fn from(error: ShopError) -> Self {
        Self::Here(error)
    }
}

impl From<StoreError> for ShopifyError {
    fn from(error: StoreError) -> Self {
        Self::Here(error.into())
    }
}

impl From<LedgerError> for ShopifyError {
    fn from(error: LedgerError) -> Self {
        Self::Here(error.into())
    }
}

/// A text of Shopify's as it may be shown and kept: on one line, short, without what changes how others are shown.
pub(super) fn clean(text: &str) -> String {
    let letters = text.chars().map(|letter| if is_unfit(letter) { ' ' } else { letter });
    let mut short: String = letters.take(LONGEST).collect();
    if text.chars().nth(LONGEST).is_some() {
        short.push('…');
    }
    short.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shopify_s_words_are_cut_and_cleaned() {
        assert_eq!(clean("a\nb\u{202e}c\u{0}"), "a b c");
        assert_eq!(clean(&"x".repeat(500)).chars().count(), LONGEST + 1);
    }
}
