//! The test vectors of BIP-340, all that have a message of 32 bytes, which is what is signed here.

use bitcoin::key::Keypair;
use bitcoin::secp256k1::{Message, Secp256k1};

use crate::core::ids::{from_hex, to_hex};
use crate::services::agents::ids::Pubkey;
use crate::services::agents::schnorr::verify;

const VECTORS: &str = include_str!("bip340.csv");

#[test]
fn the_official_vectors_are_judged_right() {
    let mut rows = 0;
    for line in VECTORS.lines().skip(1) {
        let [index, secret, public, aux, message, signature, result, _] =
            line.splitn(8, ',').collect::<Vec<_>>()[..]
        else {
            panic!("{line}")
        };
        rows += 1;
        let public = Pubkey(from_hex(public).unwrap());
        let (digest, given) = (from_hex(message).unwrap(), from_hex(signature).unwrap());
        assert_eq!(verify(&public, &digest, &given), result == "TRUE", "vector {index}");
        let Some(secret) = from_hex::<32>(secret) else { continue };
        let curve = Secp256k1::new();
        let pair = Keypair::from_seckey_slice(&curve, &secret).unwrap();
        let message = Message::from_digest(digest);
        let made = curve.sign_schnorr_with_aux_rand(&message, &pair, &from_hex(aux).unwrap());
        assert_eq!(to_hex(&made.serialize()), signature.to_lowercase(), "vector {index}");
    }
    assert_eq!(rows, 15);
}

#[test]
fn of_a_signature_only_one_encoding_is_valid() {
    // The first vector's, with the curve's order added to s, and with s negated.
    let row = VECTORS.lines().nth(2).unwrap().split(',').collect::<Vec<_>>();
    let (public, digest) = (Pubkey(from_hex(row[2]).unwrap()), from_hex(row[4]).unwrap());
    let good: [u8; 64] = from_hex(row[5]).unwrap();
    assert!(verify(&public, &digest, &good));
    let order: [u8; 32] =
        from_hex("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141").unwrap();
    let (mut negated, mut borrow) = (good, 0);
    for place in (0..32).rev() {
        let (digit, under) = order[place].overflowing_sub(good[32 + place]);
        let (digit, again) = digit.overflowing_sub(borrow);
        negated[32 + place] = digit;
        borrow = u8::from(under || again);
    }
    assert!(!verify(&public, &digest, &negated));
    for place in 0..64 {
        let mut other = good;
        other[place] ^= 1;
        assert!(!verify(&public, &digest, &other), "byte {place}");
    }
}
