//! The seed file encrypted with a passphrase: one line, `satchel-seed-1 scrypt:17:8:1 SALT SEALED`.
//!
//! scrypt makes a key of passphrase and salt, which takes 128 MB and some tenths of a second for each guess.
//! ChaCha20-Poly1305 with that key seals the words, and what stands before them in the line with them. Salt and nonce
//! are new each time.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use scrypt::Params;

use crate::core::ids::{NoRandomness, Secret, random_bytes};

/// What such a file begins with.
const MARK: &str = "satchel-seed-1";

/// 2 to this many blocks of memory, and what a block and its use cost.
const LOG_N: u8 = 17;
const R: u32 = 8;
const P: u32 = 1;

/// More than this of a file that somebody wrote would keep the start waiting for ever.
const MOST_LOG_N: u8 = 20;
const MOST_R: u32 = 16;
const MOST_P: u32 = 4;

/// Whether this is such a file, whatever else may be wrong with it.
pub(super) fn is_locked(text: &str) -> bool {
    text.trim_start().starts_with(MARK)
}

/// The line for these words.
pub(super) fn lock(words: &Secret, passphrase: &Secret) -> Result<String, NoRandomness> {
    let (salt, nonce) = (random_bytes::<16>()?, random_bytes::<NONCE_LEN>()?);
    let head = format!("{MARK} scrypt:{LOG_N}:{R}:{P} {}", BASE64_URL_SAFE_NO_PAD.encode(salt));
    let cipher = Params::new(LOG_N, R, P, KEY_LEN).ok().and_then(|cost| cipher(passphrase, &salt, &cost));
    let mut sealed = words.expose().as_bytes().to_vec();
    // Neither the cost nor the lengths are ever refused.
    cipher
        .ok_or(NoRandomness)?
        .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(&head), &mut sealed)
        .map_err(|_| NoRandomness)?;
    Ok(format!("{head} {}\n", BASE64_URL_SAFE_NO_PAD.encode([nonce.as_slice(), &sealed].concat())))
}

/// Why such a file doesn't open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shut {
    /// It isn't whole, or of another kind.
    Garbled,
    /// The passphrase isn't the one, or the file was changed.
    Wrong,
}

/// The words in such a file.
pub(super) fn unlock(text: &str, passphrase: &Secret) -> Result<Secret, Shut> {
    let mut parts = text.split_whitespace();
    let (Some(MARK), Some(cost), Some(salt), Some(sealed), None) =
        (parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Shut::Garbled);
    };
    let head = format!("{MARK} {cost} {salt}");
    let cost = read_cost(cost).ok_or(Shut::Garbled)?;
    let salt = BASE64_URL_SAFE_NO_PAD.decode(salt).map_err(|_| Shut::Garbled)?;
    let sealed = BASE64_URL_SAFE_NO_PAD.decode(sealed).map_err(|_| Shut::Garbled)?;
    let (nonce, hidden) = sealed.split_first_chunk::<NONCE_LEN>().ok_or(Shut::Garbled)?;
    let cipher = cipher(passphrase, &salt, &cost).ok_or(Shut::Garbled)?;
    let mut hidden = hidden.to_vec();
    let words = cipher
        .open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(&head), &mut hidden)
        .map_err(|_| Shut::Wrong)?;
    std::str::from_utf8(words).map(Secret::new).map_err(|_| Shut::Garbled)
}

const KEY_LEN: usize = 32;

fn cipher(passphrase: &Secret, salt: &[u8], cost: &Params) -> Option<LessSafeKey> {
    let mut key = [0; KEY_LEN];
    scrypt::scrypt(passphrase.expose().as_bytes(), salt, cost, &mut key).ok()?;
    UnboundKey::new(&CHACHA20_POLY1305, &key).ok().map(LessSafeKey::new)
}

fn read_cost(text: &str) -> Option<Params> {
    let mut parts = text.strip_prefix("scrypt:")?.split(':');
    let (log_n, r, p) =
        (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    let bearable = log_n <= MOST_LOG_N && r <= MOST_R && p <= MOST_P && parts.next().is_none();
    Params::new(log_n, r, p, KEY_LEN).ok().filter(|_| bearable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locked_seed_opens_with_its_passphrase_alone() {
        let (words, right) = (Secret::new("legal winner thank"), Secret::new("correct horse battery"));
        let line = lock(&words, &right).unwrap();
        assert!(is_locked(&line) && !is_locked(words.expose()) && !line.contains("winner"));
        assert_eq!(unlock(&line, &right), Ok(words.clone()));
        assert_eq!(unlock(&line, &Secret::new("correct horse batter")), Err(Shut::Wrong));
        assert_ne!(lock(&words, &right).unwrap(), line);
        // Nobody can make guesses cheaper by changing the file.
        assert_eq!(unlock(&line.replace(":17:", ":10:"), &right), Err(Shut::Wrong));
        let (start, end) = line.trim_end().split_at(line.len() - 20);
        let cut = format!("{start}{}", &end[1..]);
        assert!(unlock(&cut, &right).is_err());
        for garbled in ["", "satchel-seed-1", &format!("{line} x"), &line.replace(":17:", ":30:")] {
            assert_eq!(unlock(garbled, &right), Err(Shut::Garbled), "{garbled}");
        }
    }
}
