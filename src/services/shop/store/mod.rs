//! The service's SQL, one file a table or a few that belong together.

pub(super) mod catalogue;
pub(super) mod customers;
pub(super) mod listed;
pub(super) mod orders;
pub(super) mod refunds;
pub(super) mod stores;
