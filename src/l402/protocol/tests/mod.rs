//! The public vectors, and what strangers may send.

mod credentials;
mod macaroons;
mod payment_scheme;
