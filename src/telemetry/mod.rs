//! What the process tells about itself: logs, metrics, health, and the watchdog that ends it when a vital
//! part is dead. Knows no service and no node; all modules may use it.

pub mod failpoint;
pub mod health;
pub mod logs;
pub mod metrics;
pub(crate) mod redact;
pub mod watchdog;

pub use health::{Answer, Health, Phase};
pub use redact::redact;
pub use watchdog::{Heartbeat, Watchdog};
