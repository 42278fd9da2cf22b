//! Requests to others: webhooks, lightning addresses, mail. What a stranger's address leads to is checked by
//! [`guard`], and requests are made by [`fetch`].

pub mod fetch;
pub mod guard;
pub mod lnurl;
pub mod mail;
pub mod webhooks;
