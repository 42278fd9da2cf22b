//! Books and rows on their own; whole histories are in `vouchers::property`.
