//! What is paid on the checkout page besides payments. `app` registers whose it is: families never import each other.

use futures_util::future::BoxFuture;

use super::PaymentError;
use crate::core::money::Msat;
use crate::core::time::UnixMillis;

/// Something to pay that another family has opened.
#[derive(Clone, Debug)]
pub struct Session {
    /// What its page is known by.
    pub id: String,
    /// What [`http::live`](crate::http::live) calls it.
    pub topic: String,
    /// For the customer.
    pub description: Option<String>,
    /// What the invoice asks for.
    pub amount: Msat,
    /// BOLT11.
    pub invoice: String,
    /// When it can't be paid any more.
    pub expires_at: UnixMillis,
    /// When it was paid.
    pub paid_at: Option<UnixMillis>,
    /// What came in.
    pub received: Msat,
}

/// Knows sessions.
pub trait Sessions: Send + Sync + 'static {
    /// The session of an id; `None` if that is none of theirs.
    fn find<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Option<Session>, PaymentError>>;
}
