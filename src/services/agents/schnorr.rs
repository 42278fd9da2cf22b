//! BIP-340 signatures, and the key that signs this server's events.

use std::fmt;
use std::sync::LazyLock;

use bip39::Mnemonic;
use bitcoin::bip32::{DerivationPath, Xpriv};
use bitcoin::hashes::{Hash, sha256};
use bitcoin::key::{Keypair, XOnlyPublicKey};
use bitcoin::secp256k1::schnorr::Signature;
use bitcoin::secp256k1::{All, Message, Secp256k1};

use super::ids::{Challenge, Pubkey};
use crate::core::ids::Secret;

static CURVE: LazyLock<Secp256k1<All>> = LazyLock::new(Secp256k1::new);

/// Where NIP-06 puts the first Nostr key of some seed words.
const PATH: &str = "m/44'/1237'/0'/0/0";

/// Bytes of a signature.
pub(super) const SIGNATURE: usize = 64;

/// Whether `signature` is the key's over this digest, by BIP-340: exactly one encoding of each signature is valid.
pub(super) fn verify(pubkey: &Pubkey, digest: &[u8; 32], signature: &[u8; SIGNATURE]) -> bool {
    let (Ok(key), Ok(signature)) = (XOnlyPublicKey::from_slice(&pubkey.0), Signature::from_slice(signature))
    else {
        return false;
    };
    CURVE.verify_schnorr(&signature, &Message::from_digest(*digest), &key).is_ok()
}

/// Whether a challenge was signed: its 32 bytes, or the SHA-256 of its 64 hex digits.
pub(super) fn answers(pubkey: &Pubkey, challenge: &Challenge, signature: &[u8; SIGNATURE]) -> bool {
    let of_text = sha256::Hash::hash(challenge.to_string().as_bytes()).to_byte_array();
    verify(pubkey, &challenge.0, signature) || verify(pubkey, &of_text, signature)
}

/// The seed words give no key.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the seed words give no Nostr key")]
pub struct NoKey;

/// The key that signs what this server publishes. It is derived from the node's seed words as NIP-06 says, so a backup
/// of the words is one of this key too, and it is kept nowhere else.
#[derive(Clone)]
pub struct ServerKey(Keypair);

impl fmt::Debug for ServerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServerKey({})", self.pubkey())
    }
}

impl ServerKey {
    /// The key of these seed words.
    ///
    /// # Errors
    /// [`NoKey`]: they are no seed words.
    pub fn derive(words: &Secret) -> Result<Self, NoKey> {
        let mnemonic = Mnemonic::parse(words.expose()).map_err(|_| NoKey)?;
        // The network only changes how the key would be written as text.
        let root = Xpriv::new_master(bitcoin::Network::Bitcoin, &mnemonic.to_seed("")).map_err(|_| NoKey)?;
        let path: DerivationPath = PATH.parse().map_err(|_| NoKey)?;
        let child = root.derive_priv(&CURVE, &path).map_err(|_| NoKey)?;
        Ok(Self(child.to_keypair(&CURVE)))
    }

    /// What others know it by.
    pub fn pubkey(&self) -> Pubkey {
        Pubkey(self.0.x_only_public_key().0.serialize())
    }

    pub(super) fn sign(&self, digest: &[u8; 32]) -> [u8; SIGNATURE] {
        CURVE.sign_schnorr_no_aux_rand(&Message::from_digest(*digest), &self.0).serialize()
    }
}
