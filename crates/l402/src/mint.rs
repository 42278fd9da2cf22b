//! Makes tokens and verifies their signatures. No token is stored.
//!
//! A server has one secret. The root key of each token is derived from the secret and the token's identifier.

use std::fmt;
use std::sync::Arc;

use bitcoin_hashes::{Hash, HashEngine, Hmac, HmacEngine, sha256};

use crate::mpp::IdKey;
use crate::{Identifier, Macaroon, RootKey, Terms, b64};

/// The keys of a server. Cheap to clone; never printed.
#[derive(Clone)]
pub struct Mint {
    roots: HmacEngine<sha256::Hash>,
    ids: IdKey,
    location: Arc<str>,
}

impl fmt::Debug for Mint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mint(..)")
    }
}

impl Mint {
    /// From the server's secret: 32 random bytes that it must keep, since all tokens end with them. `location` stands
    /// in each macaroon and tells its holder where it comes from; it is not signed.
    pub fn new(secret: &[u8; 32], location: &str) -> Self {
        let key = |label: &[u8]| hmac(HmacEngine::new(secret), label);
        Self {
            roots: HmacEngine::new(&key(b"l402 root keys")),
            ids: IdKey::new(&key(b"l402 challenge ids")),
            location: location.into(),
        }
    }

    /// The token of a payment, as Base64. The same input gives the same token.
    pub fn token(&self, identifier: &Identifier, terms: &Terms<'_>) -> String {
        let bytes = identifier.to_bytes();
        let bare = Macaroon::mint(&self.root(&bytes), &self.location, &bytes);
        let token = terms.caveats().iter().fold(bare, |token, caveat| token.attenuate(caveat));
        b64::standard(&token.to_bytes())
    }

    /// The identifier of a token that this server made and whose holders only added caveats; `None` for every other.
    pub fn identify(&self, token: &Macaroon) -> Option<Identifier> {
        let identifier = Identifier::read(token.identifier())?;
        token.is_signed_by(&self.root(token.identifier())).then_some(identifier)
    }

    /// The key that binds challenges of the `Payment` scheme.
    pub fn challenge_ids(&self) -> &IdKey {
        &self.ids
    }

    fn root(&self, identifier: &[u8]) -> RootKey {
        RootKey(hmac(self.roots.clone(), identifier))
    }
}

fn hmac(mut engine: HmacEngine<sha256::Hash>, message: &[u8]) -> [u8; 32] {
    engine.input(message);
    Hmac::from_engine(engine).to_byte_array()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Preimage;

    #[test]
    fn token_is_reproducible_and_known_to_its_mint_alone() {
        let (mint, other) = (Mint::new(&[1; 32], "a"), Mint::new(&[2; 32], "a"));
        let identifier = Identifier { payment_hash: Preimage([3; 32]).payment_hash(), token: [4; 32] };
        let terms = Terms { path: "/a", merchant: 0, amount_sat: 1, valid_until: 9 };
        let text = mint.token(&identifier, &terms);
        assert_eq!(mint.token(&identifier, &terms), text);
        let token = Macaroon::read(&b64::read_any(&text).unwrap()).unwrap();
        assert_eq!(mint.identify(&token), Some(identifier));
        assert_eq!(other.identify(&token), None);
        assert_eq!(Terms::read(token.caveats()), Ok(terms));
    }
}
