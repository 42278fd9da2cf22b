//! What tests of several rooms share.

use proptest::prelude::ProptestConfig;

/// Properties with a usual number of cases of their own; `PROPTEST_CASES` says otherwise, as for all others.
pub(crate) fn cases(usual: u32) -> ProptestConfig {
    let asked = ProptestConfig::default();
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { asked.cases } else { usual };
    ProptestConfig { cases, ..asked }
}
