//! SQL of what stands between our tables and Shopify.

pub(in crate::services::shop::shopify) mod catalogue;
pub(in crate::services::shop) mod orders;
pub(in crate::services::shop::shopify) mod shops;
