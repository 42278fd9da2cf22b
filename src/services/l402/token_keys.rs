//! The keys that are derived from the installation's secret.

use std::fmt;

use ::l402::Mint;
use bitcoin::hashes::{Hash, HashEngine, Hmac, HmacEngine, sha256};

/// Where our tokens say they come from.
const LOCATION: &str = "satchel";

/// The keys of this installation. Cheap to clone.
#[derive(Clone)]
pub struct TokenKeys {
    mint: Mint,
    askers: HmacEngine<sha256::Hash>,
}

impl fmt::Debug for TokenKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenKeys(..)")
    }
}

impl TokenKeys {
    /// From the installation's secret.
    pub fn new(secret: &[u8; 32]) -> Self {
        let mut engine = HmacEngine::<sha256::Hash>::new(secret);
        engine.input(b"l402 askers");
        let askers = HmacEngine::new(&Hmac::from_engine(engine).to_byte_array());
        Self { mint: Mint::new(secret, LOCATION), askers }
    }

    /// Makes tokens and challenges, and verifies them.
    pub fn mint(&self) -> &Mint {
        &self.mint
    }

    /// A digest of who asks for what, from which nobody else can tell who it was.
    pub fn asker(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut engine = self.askers.clone();
        for part in parts {
            engine.input(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            engine.input(part);
        }
        Hmac::from_engine(engine).to_byte_array()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asker_depends_on_where_parts_end() {
        let keys = TokenKeys::new(&[1; 32]);
        assert_ne!(keys.asker(&[b"a", b"bc"]), keys.asker(&[b"ab", b"c"]));
    }
}
