//! Seals secrets that the database keeps, so that it alone opens nothing.

use std::fmt;

use bitcoin::hashes::{Hash, HashEngine, Hmac, HmacEngine, sha256};
use subtle::ConstantTimeEq;

use crate::core::ids::{NoRandomness, random_bytes};

const NONCE_LEN: usize = 16;
const TAG_LEN: usize = 32;
const BLOCK: usize = 32;

/// Seals and opens: a stream of HMAC-SHA256 over nonce and counter, then a tag over nonce and text.
#[derive(Clone)]
pub struct Sealer {
    stream: HmacEngine<sha256::Hash>,
    tag: HmacEngine<sha256::Hash>,
}

impl Sealer {
    /// From a secret, of which each use gets keys of its own.
    pub fn new(secret: &[u8; 32], used_for: &str) -> Self {
        let root = HmacEngine::<sha256::Hash>::new(secret);
        let key = |part: &[u8]| HmacEngine::new(&mac(&root, &[used_for.as_bytes(), part]));
        Self { stream: key(b" stream"), tag: key(b" tag") }
    }

    /// A copy that only this secret opens, another one at each call.
    ///
    /// # Errors
    /// [`NoRandomness`].
    pub fn seal(&self, text: &[u8]) -> Result<Vec<u8>, NoRandomness> {
        let nonce: [u8; NONCE_LEN] = random_bytes()?;
        let hidden = self.mask(&nonce, text);
        let tag = mac(&self.tag, &[&nonce, &hidden]);
        Ok([nonce.as_slice(), &tag, &hidden].concat())
    }

    /// What is in a sealed copy. `None` when it was not sealed with this secret or is not whole.
    pub fn open(&self, sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, rest) = sealed.split_first_chunk::<NONCE_LEN>()?;
        let (tag, hidden) = rest.split_first_chunk::<TAG_LEN>()?;
        let right = bool::from(mac(&self.tag, &[nonce, hidden]).ct_eq(tag));
        right.then(|| self.mask(nonce, hidden))
    }

    /// Hides a text, or shows it again.
    fn mask(&self, nonce: &[u8; NONCE_LEN], text: &[u8]) -> Vec<u8> {
        let blocks = text.chunks(BLOCK).zip(0_u64..);
        blocks
            .flat_map(|(block, number)| {
                let stream = mac(&self.stream, &[nonce, &number.to_be_bytes()]);
                block.iter().zip(stream).map(|(byte, mask)| byte ^ mask).collect::<Vec<_>>()
            })
            .collect()
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer(..)")
    }
}

/// HMAC-SHA256 over parts of known length.
pub(crate) fn mac(key: &HmacEngine<sha256::Hash>, parts: &[&[u8]]) -> [u8; 32] {
    let mut engine = key.clone();
    for part in parts {
        engine.input(part);
    }
    Hmac::from_engine(engine).to_byte_array()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sealed_text_opens_with_its_secret_alone() {
        let (sealer, other) = (Sealer::new(&[1; 32], "test"), Sealer::new(&[2; 32], "test"));
        for text in [&b""[..], b"short", &[7; 100]] {
            let sealed = sealer.seal(text).unwrap();
            assert_eq!(sealer.open(&sealed).as_deref(), Some(text));
            assert_ne!(sealer.seal(text).unwrap(), sealed);
            assert_eq!(other.open(&sealed), None);
            for at in 0..sealed.len() {
                let mut changed = sealed.clone();
                changed[at] ^= 1;
                assert_eq!(sealer.open(&changed), None, "{at}");
            }
        }
        assert_eq!(sealer.open(b"short"), None);
    }
}
