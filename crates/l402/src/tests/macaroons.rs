use bitcoin_hashes::{Hash, HashEngine, Hmac, HmacEngine, sha256};
use proptest::prelude::*;
use serde::Deserialize;

use super::{from_hex, to_hex};
use crate::macaroon::{MAX_BYTES, MAX_CAVEATS, Malformed};
use crate::{CaveatError, Identifier, Macaroon, Preimage, RootKey, Terms, b64};

#[derive(Deserialize)]
struct File {
    vectors: Vec<Vector>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Vector {
    name: String,
    root_key: String,
    location: String,
    identifier: String,
    caveats: Vec<String>,
    signature: String,
    base64: String,
}

fn vectors() -> Vec<Vector> {
    serde_json::from_str::<File>(include_str!("macaroons.json")).unwrap().vectors
}

impl Vector {
    fn root(&self) -> RootKey {
        RootKey(from_hex(&self.root_key).unwrap())
    }

    fn minted(&self) -> Macaroon {
        let identifier: [u8; 66] = from_hex(&self.identifier).unwrap();
        let bare = Macaroon::mint(&self.root(), &self.location, &identifier);
        self.caveats.iter().fold(bare, |macaroon, caveat| macaroon.attenuate(caveat))
    }
}

#[test]
fn vectors_of_other_libraries_are_reproduced() {
    let vectors = vectors();
    assert_eq!(vectors.len(), 6);
    for vector in vectors {
        let (name, minted) = (&vector.name, vector.minted());
        assert_eq!(to_hex(minted.signature()), vector.signature, "{name}");
        let read = Macaroon::read(&b64::read_any(&vector.base64).unwrap()).unwrap();
        assert_eq!(b64::standard(&read.to_bytes()), vector.base64, "{name}");
        // Of a location that is empty some write nothing, as we do, and some that it is empty.
        if !vector.location.is_empty() {
            assert_eq!(read, minted, "{name}");
        }
        assert_eq!(read.location(), vector.location.as_bytes());
        assert!(read.caveats().eq(vector.caveats.iter().map(String::as_bytes)), "{name}");
        assert!(read.is_signed_by(&vector.root()), "{name}");
        assert!(!read.is_signed_by(&RootKey([0xaa; 32])), "{name}");
    }
}

#[test]
fn specification_example_needs_the_key_generator() {
    let vector = vectors().remove(0);
    let minted = vector.minted();
    let identifier = Identifier::read(minted.identifier()).unwrap();
    assert_eq!(identifier.payment_hash, Preimage([1; 32]).payment_hash());
    assert_eq!(identifier.to_bytes(), minted.identifier());
    let hmac = |key: [u8; 32], message: &[u8]| {
        let mut engine = HmacEngine::<sha256::Hash>::new(&key);
        engine.input(message);
        Hmac::from_engine(engine).to_byte_array()
    };
    // The specification's text leaves the key generator out; what it describes is signed by nobody.
    let bare = hmac(vector.root().0, minted.identifier());
    let bare = minted.caveats().fold(bare, hmac);
    assert!(to_hex(&bare).starts_with("78ee7125"));
    let mut forged = minted.to_bytes();
    let at = forged.len() - 32;
    forged[at..].copy_from_slice(&bare);
    assert!(!Macaroon::read(&forged).unwrap().is_signed_by(&vector.root()));
}

#[test]
fn identifier_of_another_length_or_version_is_refused() {
    let good = Identifier { payment_hash: Preimage([1; 32]).payment_hash(), token: [2; 32] }.to_bytes();
    assert!(Identifier::read(&good).is_some());
    assert!(Identifier::read(&good[..65]).is_none());
    assert!(Identifier::read(&[&good[..], &[0]].concat()).is_none());
    let mut newer = good;
    newer[1] = 1;
    assert!(Identifier::read(&newer).is_none());
}

#[test]
fn malformed_macaroon_is_refused() {
    let good = vectors().remove(3).minted().to_bytes();
    assert!(Macaroon::read(&good).is_ok());
    for cut in 0..good.len() {
        assert_eq!(Macaroon::read(&good[..cut]), Err(Malformed), "cut at {cut}");
    }
    let trailing = [&good[..], &[0]].concat();
    let version_1 = [&[1][..], &good[1..]].concat();
    // A length may be spelled in one way alone, else two texts were one token.
    let longer_spelling = [&[2, 1, 0x80 | 7, 0][..], &good[3..]].concat();
    for bad in [trailing, version_1, longer_spelling] {
        assert_eq!(Macaroon::read(&bad), Err(Malformed), "{}", to_hex(&bad));
    }
}

#[test]
fn macaroon_beyond_the_limits_is_refused() {
    let root = RootKey([1; 32]);
    let bare = Macaroon::mint(&root, "satchel", &[0; 66]);
    let full =
        (0..MAX_CAVEATS).fold(bare.clone(), |macaroon, number| macaroon.attenuate(&format!("a={number}")));
    assert_eq!(Macaroon::read(&full.to_bytes()).as_ref(), Ok(&full));
    assert_eq!(Macaroon::read(&full.attenuate("a=").to_bytes()), Err(Malformed));
    let long = bare.attenuate(&"a".repeat(MAX_BYTES));
    assert_eq!(Macaroon::read(&long.to_bytes()), Err(Malformed));
}

#[test]
fn third_party_caveat_is_read_and_never_accepted() {
    let good = Macaroon::mint(&RootKey([1; 32]), "", &[0; 66]).to_bytes();
    let (head, signature) = good.split_at(good.len() - 35);
    let third_party = [head, &[2, 1, b'c', 4, 1, b'v', 0], signature].concat();
    let read = Macaroon::read(&third_party).unwrap();
    assert_eq!(read.to_bytes(), third_party);
    assert!(!read.is_signed_by(&RootKey([1; 32])));
}

#[test]
fn terms_round_trip() {
    let terms = Terms { path: "/a=b", merchant: 7, amount_sat: 10, valid_until: 1_893_456_000 };
    let written = terms.caveats();
    assert_eq!(written[0], "path=/a=b");
    assert_eq!(Terms::read(written.iter().map(|caveat| caveat.as_bytes())), Ok(terms));
}

#[test]
fn repeated_caveat_narrows_and_unknown_one_invalidates() {
    let own = ["path=/a", "merchant_id=7", "amount_sats=10", "valid_until=1000"];
    let with = |more: &[&'static str]| {
        let all: Vec<_> = own.iter().chain(more).map(|caveat| caveat.as_bytes()).collect();
        Terms::read(all.into_iter())
    };
    let terms = Terms { path: "/a", merchant: 7, amount_sat: 10, valid_until: 1_000 };
    assert_eq!(with(&[]), Ok(terms));
    assert_eq!(with(&["valid_until=900", "valid_until=800"]), Ok(Terms { valid_until: 800, ..terms }));
    assert_eq!(with(&["amount_sats=5"]), Ok(Terms { amount_sat: 5, ..terms }));
    assert_eq!(with(&["path=/a", "merchant_id=7"]), Ok(terms));
    for (more, broken) in [
        ("valid_until=1001", CaveatError::Widens),
        ("amount_sats=11", CaveatError::Widens),
        ("path=/b", CaveatError::Widens),
        ("path=/a/b", CaveatError::Widens),
        ("merchant_id=8", CaveatError::Widens),
        ("ip=127.0.0.1", CaveatError::Unknown),
        ("PATH=/a", CaveatError::Unknown),
        ("path", CaveatError::Unknown),
        ("", CaveatError::Unknown),
        ("valid_until=", CaveatError::Malformed),
        ("valid_until=+9", CaveatError::Malformed),
        ("valid_until=-9", CaveatError::Malformed),
        ("valid_until= 9", CaveatError::Malformed),
        ("valid_until=99999999999999999999999", CaveatError::Malformed),
    ] {
        assert_eq!(with(&[more]), Err(broken), "{more}");
    }
    assert_eq!(Terms::read([b"\xff=1".as_slice()].into_iter()), Err(CaveatError::Unknown));
    for missing in 0..own.len() {
        let rest = own.iter().enumerate().filter(|(place, _)| *place != missing);
        let rest: Vec<_> = rest.map(|(_, caveat)| caveat.as_bytes()).collect();
        assert_eq!(Terms::read(rest.into_iter()), Err(CaveatError::Missing), "{}", own[missing]);
    }
}

proptest! {
    #[test]
    fn random_bytes_are_refused_or_round_trip(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(read) = Macaroon::read(&bytes) {
            prop_assert_eq!(read.to_bytes(), bytes);
        }
    }

    #[test]
    fn changed_byte_breaks_the_signature(at in any::<prop::sample::Index>(), flip in 1_u8..) {
        let vector = vectors().remove(3);
        let mut bytes = vector.minted().to_bytes();
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        if let Ok(read) = Macaroon::read(&bytes) {
            prop_assert_eq!(&read.to_bytes(), &bytes);
            // The location alone isn't signed.
            prop_assert!(!read.is_signed_by(&vector.root()) || (3..10).contains(&at));
        }
    }

    #[test]
    fn attenuated_macaroons_round_trip_and_verify(
        root in any::<[u8; 32]>(),
        identifier in proptest::collection::vec(any::<u8>(), 0..200),
        location in ".{0,20}",
        caveats in proptest::collection::vec(".{0,80}", 0..8),
    ) {
        let root = RootKey(root);
        let mut macaroon = Macaroon::mint(&root, &location, &identifier);
        for caveat in &caveats {
            // Attenuated by somebody who has only its bytes.
            macaroon = Macaroon::read(&macaroon.to_bytes()).unwrap().attenuate(caveat);
        }
        let read = Macaroon::read(&macaroon.to_bytes()).unwrap();
        prop_assert_eq!(&read, &macaroon);
        prop_assert!(read.is_signed_by(&root));
        prop_assert_eq!(read.caveats().count(), caveats.len());
    }

    #[test]
    fn random_caveats_never_panic(caveats in proptest::collection::vec(".{0,40}", 0..8)) {
        let _ = Terms::read(caveats.iter().map(|caveat| caveat.as_bytes()));
    }
}
