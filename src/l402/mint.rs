//! Makes tokens and knows them again, by arithmetic alone.
//!
//! There is one secret for the installation. Each token's root key is derived from it and the token's identifier, so
//! nothing of a token need be kept to verify it.

use std::fmt;

use bitcoin::hashes::{Hash, HashEngine, Hmac, HmacEngine, sha256};

use super::protocol::mpp::IdKey;
use super::protocol::{Identifier, Macaroon, RootKey, Terms, b64};

/// Where our tokens say they come from.
const LOCATION: &str = "satchel";

/// The family's keys. Cheap to clone.
#[derive(Clone)]
pub struct Mint {
    roots: HmacEngine<sha256::Hash>,
    askers: HmacEngine<sha256::Hash>,
    ids: IdKey,
}

impl fmt::Debug for Mint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mint(..)")
    }
}

impl Mint {
    /// From the installation's secret.
    pub fn new(secret: &[u8; 32]) -> Self {
        let key = |label: &[u8]| {
            let mut engine = HmacEngine::<sha256::Hash>::new(secret);
            engine.input(label);
            Hmac::from_engine(engine).to_byte_array()
        };
        Self {
            roots: HmacEngine::new(&key(b"l402 root keys")),
            askers: HmacEngine::new(&key(b"l402 askers")),
            ids: IdKey::new(&key(b"l402 challenge ids")),
        }
    }

    /// The token of a payment, as Base64. The same every time.
    pub fn token(&self, identifier: &Identifier, terms: &Terms<'_>) -> String {
        let bytes = identifier.to_bytes();
        let bare = Macaroon::mint(&self.root(&bytes), LOCATION, &bytes);
        let token = terms.caveats().iter().fold(bare, |token, caveat| token.attenuate(caveat));
        b64::standard(&token.to_bytes())
    }

    /// What a token is about, if we made it and whoever had it since only added caveats.
    pub fn open(&self, token: &Macaroon) -> Option<Identifier> {
        let identifier = Identifier::read(token.identifier())?;
        token.is_signed_by(&self.root(token.identifier())).then_some(identifier)
    }

    /// What binds challenges of the `Payment` scheme.
    pub fn ids(&self) -> &IdKey {
        &self.ids
    }

    /// Who asks for what, as a digest that tells nobody else who it was.
    pub fn asker(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut engine = self.askers.clone();
        for part in parts {
            engine.input(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            engine.input(part);
        }
        Hmac::from_engine(engine).to_byte_array()
    }

    fn root(&self, identifier: &[u8]) -> RootKey {
        let mut engine = self.roots.clone();
        engine.input(identifier);
        RootKey(Hmac::from_engine(engine).to_byte_array())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Preimage;

    #[test]
    fn tokens_are_the_same_every_time_and_known_to_their_mint_alone() {
        let (mint, other) = (Mint::new(&[1; 32]), Mint::new(&[2; 32]));
        let identifier = Identifier { payment_hash: Preimage([3; 32]).payment_hash(), token: [4; 32] };
        let terms = Terms { path: "/a", merchant: 0, amount_sat: 1, valid_until: 9 };
        let text = mint.token(&identifier, &terms);
        assert_eq!(mint.token(&identifier, &terms), text);
        let token = Macaroon::read(&b64::read_any(&text).unwrap()).unwrap();
        assert_eq!(mint.open(&token), Some(identifier));
        assert_eq!(other.open(&token), None);
        assert_eq!(Terms::read(token.caveats()), Ok(terms));
        assert_ne!(mint.asker(&[b"a", b"bc"]), mint.asker(&[b"ab", b"c"]));
    }
}
