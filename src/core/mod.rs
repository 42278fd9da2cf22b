//! Types that every module needs: money, ids, time, text. No I/O, no state.

pub mod csv;
pub mod currency;
pub mod decimal;
pub mod email;
pub mod fees;
pub mod ids;
pub mod money;
pub mod names;
pub mod scope;
pub mod seal;
pub mod text;
pub mod time;
