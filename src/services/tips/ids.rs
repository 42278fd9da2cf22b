//! The family's public ids.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use bitcoin::hashes::{Hash, HashEngine, Hmac, HmacEngine, sha256};
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use serde::{Serialize, Serializer};
use subtle::ConstantTimeEq;

use super::passphrase::Sealer;
use crate::core::ids::{BadId, NoRandomness, Secret, UserId, random_bytes, to_hex};
use crate::ledger::PayoutKey;
use crate::outbound::webhooks::sign;

/// Characters after the `c`.
const LEN: usize = 24;

const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";

/// The largest multiple of 36 in a byte: what lies above would make some digits likelier than others.
const EVEN: u8 = 252;

/// What names a tip, a group or a user: `c` and 24 lowercase base-36 characters, about 124 random bits. A
/// tip's is the secret of its claim link.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cuid([u8; LEN]);

impl Cuid {
    /// A new one from the operating system's randomness.
    ///
    /// # Errors
    /// [`NoRandomness`].
    pub fn random() -> Result<Self, NoRandomness> {
        let mut digits = [0_u8; LEN];
        let mut empty = digits.iter_mut();
        loop {
            for byte in random_bytes::<32>()?.into_iter().filter(|byte| *byte < EVEN) {
                let Some(slot) = empty.next() else { return Ok(Self(digits)) };
                *slot = DIGITS.get(usize::from(byte % 36)).copied().unwrap_or(b'0');
            }
        }
    }
}

impl fmt::Display for Cuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("c")?;
        f.write_str(std::str::from_utf8(&self.0).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for Cuid {
    // Whoever has a tip's whole id may have the tip: a log gets only as much as tells two apart.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = self.to_string();
        write!(f, "Cuid({}..)", whole.get(..7).unwrap_or_default())
    }
}

impl FromStr for Cuid {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        let digits = text.strip_prefix('c').ok_or(BadId)?;
        let digits = <[u8; LEN]>::try_from(digits.as_bytes()).map_err(|_| BadId)?;
        if digits.iter().all(|digit| DIGITS.contains(digit)) { Ok(Self(digits)) } else { Err(BadId) }
    }
}

impl Serialize for Cuid {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl ToSql for Cuid {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(self.to_string()))
    }
}

impl FromSql for Cuid {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_str()?.parse().map_err(|_| FromSqlError::InvalidType)
    }
}

impl Cuid {
    /// What [`http::live`](crate::http::live) calls the tip of this id.
    pub fn topic(&self) -> String {
        format!("tip:{self}")
    }
}

/// Bytes of a handle's authentication tag.
const HANDLE_TAG: usize = 16;

/// What a handle names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandleKind {
    /// A tip.
    Tip,
    /// A group.
    Group,
}

impl HandleKind {
    const fn letter(self) -> &'static str {
        match self {
            Self::Tip => "t",
            Self::Group => "g",
        }
    }
}

/// The keyed hashes of the family: one secret, a use for each.
#[derive(Clone)]
pub struct Keyring {
    secret: [u8; 32],
    sealer: Arc<Sealer>,
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keyring")
    }
}

impl Keyring {
    /// From the family's secret.
    pub fn new(secret: [u8; 32]) -> Self {
        Self { secret, sealer: Arc::new(Sealer::new(secret)) }
    }

    /// Hides magic words.
    pub fn sealer(&self) -> &Sealer {
        &self.sealer
    }

    fn hash(&self, what: &str, parts: &[&[u8]]) -> [u8; 32] {
        let mut engine = HmacEngine::<sha256::Hash>::new(&self.secret);
        engine.input(what.as_bytes());
        parts.iter().for_each(|part| engine.input(part));
        Hmac::from_engine(engine).to_byte_array()
    }

    /// What a wallet must show on the second leg of a code: another one after each payout that failed.
    pub fn k1(&self, link: [u8; 16], last: Option<PayoutKey>) -> String {
        to_hex(&self.hash("tips k1", &[&link, &PayoutKey::to_bytes(last)]))
    }

    /// Whether a wallet shows what it must.
    pub fn k1_matches(&self, link: [u8; 16], last: Option<PayoutKey>, given: &str) -> bool {
        self.k1(link, last).as_bytes().ct_eq(given.as_bytes()).into()
    }

    /// How a scheduler names a tip or a group. No claim link can be made of it.
    pub fn handle(&self, kind: HandleKind, row: i64) -> String {
        let tag = self.hash("tips handle", &[kind.letter().as_bytes(), &row.to_be_bytes()]);
        let tag = tag.get(..HANDLE_TAG).unwrap_or_default();
        format!("{}{row}-{}", kind.letter(), to_hex(tag))
    }

    /// The row that a handle of this server names.
    pub fn read_handle(&self, kind: HandleKind, text: &str) -> Option<i64> {
        let (row, _) = text.strip_prefix(kind.letter())?.split_once('-')?;
        let row = row.parse().ok()?;
        bool::from(self.handle(kind, row).as_bytes().ct_eq(text.as_bytes())).then_some(row)
    }

    /// What signs the webhooks of a tipper's tips.
    pub fn webhook_secret(&self, user: UserId) -> Secret {
        sign::secret_of(&self.hash("tips webhook", &[&user.0.to_be_bytes()]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_names_its_row_and_a_forged_one_none() {
        let keyring = Keyring::new([7; 32]);
        let handle = keyring.handle(HandleKind::Tip, 42);
        assert_eq!(keyring.read_handle(HandleKind::Tip, &handle), Some(42));
        assert_eq!(keyring.read_handle(HandleKind::Group, &handle), None);
        assert_eq!(Keyring::new([8; 32]).read_handle(HandleKind::Tip, &handle), None);
        let other_row = handle.replace("t42", "t43");
        for forged in [other_row.as_str(), "", "t", "t42", "t42-", "t-1-00", "g42-00"] {
            assert_eq!(keyring.read_handle(HandleKind::Tip, forged), None, "{forged}");
        }
    }

    #[test]
    fn it_reads_what_it_writes_and_hides_in_the_log() {
        let id = Cuid::random().unwrap();
        let text = id.to_string();
        assert_eq!((text.len(), text.parse()), (25, Ok(id)));
        assert!(!format!("{id:?}").contains(&text));
        assert_eq!(serde_json::to_string(&id).unwrap(), format!("\"{text}\""));
        let upper = text.to_uppercase();
        for bad in ["", "c", &text[1..], &format!("{text}0"), &format!("d{}", &text[1..]), &upper] {
            assert!(bad.parse::<Cuid>().is_err(), "{bad}");
        }
        assert!("cabcdefghijklmnopqrstuvé0".parse::<Cuid>().is_err());
    }

    #[test]
    fn every_digit_comes_about_as_often() {
        let mut counts = std::collections::HashMap::new();
        for _ in 0..3_000 {
            for digit in Cuid::random().unwrap().0 {
                *counts.entry(digit).or_insert(0_u32) += 1;
            }
        }
        // 2,000 of each are expected, and 45 is one standard deviation; a bias of the modulo is 14 percent.
        assert_eq!(counts.len(), 36);
        assert!(counts.values().all(|count| (1_750..2_250).contains(count)), "{counts:?}");
    }
}
