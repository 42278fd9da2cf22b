//! The family's ids and the keyed hashes that make and check them.

use std::fmt;
use std::str::FromStr;

use bitcoin::hashes::{Hash, HashEngine, Hmac, HmacEngine, sha256};
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use subtle::ConstantTimeEq;
use uuid::Uuid;

use crate::core::ids::{BadId, ChargeId, NoRandomness, from_hex, random_bytes, to_hex};
use crate::ledger::PayoutKey;

/// What names a gift, and with it the right to redeem it: 24 random bytes, shown as 48 hex characters.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct OrderId([u8; 24]);

impl OrderId {
    /// A new one from the operating system's randomness.
    ///
    /// # Errors
    /// [`NoRandomness`].
    pub fn random() -> Result<Self, NoRandomness> {
        random_bytes().map(Self)
    }

    /// What [`http::live`](crate::http::live) calls this gift.
    pub fn topic(&self) -> String {
        format!("gift:{self}")
    }
}

impl fmt::Display for OrderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&to_hex(&self.0))
    }
}

impl fmt::Debug for OrderId {
    // Whoever has the whole id has the gift: a log gets only as much as tells two apart.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = to_hex(&self.0);
        write!(f, "OrderId({}..)", whole.get(..8).unwrap_or_default())
    }
}

impl FromStr for OrderId {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        from_hex(text).map(Self).ok_or(BadId)
    }
}

impl ToSql for OrderId {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(ValueRef::Blob(&self.0)))
    }
}

impl FromSql for OrderId {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        <[u8; 24]>::try_from(value.as_blob()?).map(Self).map_err(|_| FromSqlError::InvalidType)
    }
}

/// What opens the sender's page of a gift. Only its hash is kept.
#[derive(Clone)]
pub struct ManageKey([u8; 32]);

impl ManageKey {
    /// A new one.
    ///
    /// # Errors
    /// [`NoRandomness`].
    pub fn random() -> Result<Self, NoRandomness> {
        random_bytes().map(Self)
    }

    /// The text its owner gets, once.
    pub fn expose(&self) -> String {
        to_hex(&self.0)
    }

    /// What is kept of it.
    pub fn hash(&self) -> [u8; 32] {
        sha256::Hash::hash(&self.0).to_byte_array()
    }

    /// Whether `given` is the text of the key with this hash, in the same time for any answer.
    pub fn matches(hash: &[u8; 32], given: &str) -> bool {
        let given = from_hex::<32>(given).map(Self);
        // What is no key at all is compared too, so that it takes as long.
        let given_hash = given.as_ref().map_or([0; 32], Self::hash);
        bool::from(given_hash.ct_eq(hash)) & given.is_some()
    }
}

impl fmt::Debug for ManageKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ManageKey(..)")
    }
}

/// The server's secret of this family; everything derived from it can be told again after a restart
/// without having been stored.
#[derive(Clone)]
pub struct Keyring {
    engine: HmacEngine<sha256::Hash>,
}

impl Keyring {
    /// From the secret that the database keeps.
    pub fn new(secret: &[u8; 32]) -> Self {
        Self { engine: HmacEngine::new(secret) }
    }

    /// HMAC-SHA256 over a label and some parts, all of known length.
    fn derive(&self, label: &[u8], parts: &[&[u8]]) -> [u8; 32] {
        let mut engine = self.engine.clone();
        engine.input(label);
        engine.input(&[0]);
        for part in parts {
            engine.input(part);
        }
        Hmac::<sha256::Hash>::from_engine(engine).to_byte_array()
    }

    /// The `k1` of a gift's LNURL: the same for every look, another one once a payout has failed.
    /// `last` is the payout that the gift saw last.
    pub fn k1(&self, order: OrderId, last: Option<PayoutKey>) -> String {
        to_hex(&self.derive(b"lnurl k1", &[&order.0, &PayoutKey::to_bytes(last)]))
    }

    /// Whether `given` is that `k1`.
    pub fn k1_matches(&self, order: OrderId, last: Option<PayoutKey>, given: &str) -> bool {
        let expected = self.k1(order, last);
        bool::from(expected.as_bytes().ct_eq(given.to_ascii_lowercase().as_bytes()))
    }

    /// The UUID that callers know a charge by: its row id, sealed. Ten bytes are a keyed hash of the id,
    /// six are the id under a mask made from those ten. So nothing can be guessed from it or forged, and
    /// no index is needed to find the charge again. `None` for a row id beyond 48 bits.
    pub fn seal_charge(&self, id: ChargeId) -> Option<Uuid> {
        let [0, 0, id_bytes @ ..] = id.0.to_be_bytes() else { return None };
        let mut bytes = [0_u8; 16];
        let (head, tail) = bytes.split_at_mut(6);
        tail.copy_from_slice(self.derive(b"charge id", &[&id_bytes]).get(..10)?);
        // Version 4 and the usual variant, as anybody who parses it expects.
        if let [version, _, variant, ..] = tail {
            *version = (*version & 0x0f) | 0x40;
            *variant = (*variant & 0x3f) | 0x80;
        }
        let mask = self.derive(b"charge mask", &[tail]);
        for ((masked, plain), mask) in head.iter_mut().zip(id_bytes).zip(mask) {
            *masked = plain ^ mask;
        }
        Some(Uuid::from_bytes(bytes))
    }

    /// The row id inside a UUID of ours.
    pub fn open_charge(&self, sealed: Uuid) -> Option<ChargeId> {
        let (head, tail) = sealed.as_bytes().split_at(6);
        let mask = self.derive(b"charge mask", &[tail]);
        let mut id = [0_u8; 8];
        for ((plain, masked), mask) in id.iter_mut().skip(2).zip(head).zip(mask) {
            *plain = masked ^ mask;
        }
        let id = ChargeId(i64::from_be_bytes(id));
        (self.seal_charge(id)? == sealed).then_some(id)
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keyring(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::ids::{OfferPayoutId, PayoutId};

    fn keyring() -> Keyring {
        Keyring::new(&[7; 32])
    }

    #[test]
    fn an_order_id_is_48_hex_characters_and_hides_in_the_log() {
        let id = OrderId::random().unwrap();
        let text = id.to_string();
        assert_eq!(text.len(), 48);
        assert_eq!(text.parse(), Ok(id));
        assert!(!format!("{id:?}").contains(&text));
        for bad in
            ["", "zz", &text[1..], &format!("{text}0"), &text.replace(|c: char| c.is_ascii_digit(), "g")]
        {
            assert!(bad.parse::<OrderId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_sealed_charge_opens_to_the_same_row_and_a_forged_one_to_none() {
        for id in [0, 1, 255, 256, 1_000_000, (1 << 48) - 1] {
            let sealed = keyring().seal_charge(ChargeId(id)).unwrap();
            assert_eq!(sealed.get_version_num(), 4);
            assert_eq!(keyring().open_charge(sealed), Some(ChargeId(id)));
            assert_eq!(Keyring::new(&[8; 32]).open_charge(sealed), None);
            for byte in 0..16 {
                let mut bytes = *sealed.as_bytes();
                bytes[byte] ^= 1;
                assert_eq!(keyring().open_charge(Uuid::from_bytes(bytes)), None, "byte {byte}");
            }
        }
        assert_eq!(keyring().seal_charge(ChargeId(1 << 48)), None);
        assert_eq!(keyring().seal_charge(ChargeId(-1)), None);
    }

    #[test]
    fn k1_turns_with_the_last_payout_and_differs_between_gifts() {
        let (one, other) = (OrderId([1; 24]), OrderId([2; 24]));
        let fresh = keyring().k1(one, None);
        assert_eq!(fresh.len(), 64);
        assert!(keyring().k1_matches(one, None, &fresh));
        assert!(keyring().k1_matches(one, None, &fresh.to_uppercase()));
        assert!(!keyring().k1_matches(one, Some(PayoutKey::Invoice(PayoutId(1))), &fresh));
        assert!(!keyring().k1_matches(one, Some(PayoutKey::Offer(OfferPayoutId(1))), &fresh));
        let after_offer = keyring().k1(one, Some(PayoutKey::Offer(OfferPayoutId(1))));
        assert!(!keyring().k1_matches(one, Some(PayoutKey::Invoice(PayoutId(1))), &after_offer));
        assert!(!keyring().k1_matches(other, None, &fresh));
        assert!(!keyring().k1_matches(one, None, ""));
    }

    #[test]
    fn a_manage_key_is_known_by_its_hash_alone() {
        let key = ManageKey::random().unwrap();
        assert!(ManageKey::matches(&key.hash(), &key.expose()));
        assert!(!ManageKey::matches(&key.hash(), &to_hex(&key.hash())));
        assert!(!ManageKey::matches(&key.hash(), "no key"));
        assert!(!ManageKey::matches(&[0; 32], "no key"));
    }
}
