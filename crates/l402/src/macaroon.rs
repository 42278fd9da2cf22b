//! Macaroons in the binary form of version 2, signed by a chain of HMAC-SHA256.
//!
//! ```text
//! 02 · [01 len location] · 02 len identifier · 00
//!    · ([01 len location] · 02 len caveat · [04 len verification] · 00)*
//!    · 00 · 06 20 signature
//! ```
//!
//! Lengths are variable-length integers, seven bits a byte, lowest first. The first signature is
//! `HMAC(HMAC("macaroons-key-generator", root), identifier)`, each caveat's `HMAC(signature before, caveat)`: whoever
//! holds a macaroon can add a caveat, and nobody can remove one.

use std::fmt;
use std::sync::LazyLock;

use bitcoin_hashes::{Hash, HashEngine, Hmac, HmacEngine, sha256};
use subtle::ConstantTimeEq;

/// The most bytes of a macaroon that are read.
pub const MAX_BYTES: usize = 4_096;

/// The most caveats that are read: the server's, and what holders may have added.
pub const MAX_CAVEATS: usize = 32;

const VERSION: u8 = 2;
const END: u8 = 0;
const LOCATION: u8 = 1;
const IDENTIFIER: u8 = 2;
const VERIFICATION: u8 = 4;
const SIGNATURE: u8 = 6;

/// The step between a root key and the key that signs.
static KEY_GENERATOR: LazyLock<HmacEngine<sha256::Hash>> =
    LazyLock::new(|| HmacEngine::new(b"macaroons-key-generator"));

/// What a macaroon is signed with. A secret.
#[derive(Clone)]
pub struct RootKey(pub [u8; 32]);

impl fmt::Debug for RootKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RootKey(..)")
    }
}

/// The bytes are no macaroon of version 2, or a larger one than [`MAX_BYTES`] and [`MAX_CAVEATS`] allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a macaroon")]
pub struct Malformed;

#[derive(Clone, PartialEq, Eq)]
struct Caveat {
    location: Option<Vec<u8>>,
    id: Vec<u8>,
    /// Of a third-party caveat. These are read and never accepted.
    verification: Option<Vec<u8>>,
}

/// A macaroon. Whoever holds it may use it, so its signature is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Macaroon {
    location: Option<Vec<u8>>,
    identifier: Vec<u8>,
    caveats: Vec<Caveat>,
    signature: [u8; 32],
}

impl fmt::Debug for Macaroon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Macaroon").field("caveats", &self.caveats.len()).finish_non_exhaustive()
    }
}

impl Macaroon {
    /// A new one without caveats.
    pub fn mint(root: &RootKey, location: &str, identifier: &[u8]) -> Self {
        Self {
            location: Some(location.as_bytes().to_vec()).filter(|location| !location.is_empty()),
            identifier: identifier.to_vec(),
            caveats: Vec::new(),
            signature: first_signature(root, identifier),
        }
    }

    /// The same with one caveat more. Needs no key: its holder can do it.
    pub fn attenuate(mut self, caveat: &str) -> Self {
        self.signature = hmac(&self.signature, caveat.as_bytes());
        let id = caveat.as_bytes().to_vec();
        self.caveats.push(Caveat { location: None, id, verification: None });
        self
    }

    /// Whether this key signed it. A macaroon with a third-party caveat counts as unsigned.
    pub fn is_signed_by(&self, root: &RootKey) -> bool {
        let mut signature = first_signature(root, &self.identifier);
        for caveat in &self.caveats {
            if caveat.verification.is_some() {
                return false;
            }
            signature = hmac(&signature, &caveat.id);
        }
        bool::from(signature.ct_eq(&self.signature))
    }

    /// Where it came from: a hint that is not signed.
    pub fn location(&self) -> &[u8] {
        self.location.as_deref().unwrap_or_default()
    }

    /// What the server wrote into it; see [`Identifier`](crate::Identifier).
    pub fn identifier(&self) -> &[u8] {
        &self.identifier
    }

    /// The caveats, in the order in which they were added.
    pub fn caveats(&self) -> impl Iterator<Item = &[u8]> {
        self.caveats.iter().map(|caveat| caveat.id.as_slice())
    }

    /// The last signature of the chain.
    pub fn signature(&self) -> &[u8; 32] {
        &self.signature
    }

    /// Its binary form.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(256);
        bytes.push(VERSION);
        put_if(&mut bytes, LOCATION, self.location.as_deref());
        put(&mut bytes, IDENTIFIER, &self.identifier);
        bytes.push(END);
        for caveat in &self.caveats {
            put_if(&mut bytes, LOCATION, caveat.location.as_deref());
            put(&mut bytes, IDENTIFIER, &caveat.id);
            put_if(&mut bytes, VERIFICATION, caveat.verification.as_deref());
            bytes.push(END);
        }
        bytes.push(END);
        put(&mut bytes, SIGNATURE, &self.signature);
        bytes
    }

    /// Reads the binary form. There is one for each macaroon: what is read and written again is the same.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn read(bytes: &[u8]) -> Result<Self, Malformed> {
        if bytes.len() > MAX_BYTES {
            return Err(Malformed);
        }
        let mut rest = Rest(bytes);
        if rest.byte()? != VERSION {
            return Err(Malformed);
        }
        let location = rest.field(LOCATION)?.map(<[u8]>::to_vec);
        let identifier = rest.field(IDENTIFIER)?.ok_or(Malformed)?.to_vec();
        rest.end()?;
        let mut caveats = Vec::with_capacity(4);
        while rest.0.first() != Some(&END) {
            if caveats.len() == MAX_CAVEATS {
                return Err(Malformed);
            }
            let location = rest.field(LOCATION)?.map(<[u8]>::to_vec);
            let id = rest.field(IDENTIFIER)?.ok_or(Malformed)?.to_vec();
            let verification = rest.field(VERIFICATION)?.map(<[u8]>::to_vec);
            rest.end()?;
            caveats.push(Caveat { location, id, verification });
        }
        rest.end()?;
        let signature = rest.field(SIGNATURE)?.ok_or(Malformed)?.try_into().map_err(|_| Malformed)?;
        if rest.0.is_empty() { Ok(Self { location, identifier, caveats, signature }) } else { Err(Malformed) }
    }
}

fn first_signature(root: &RootKey, identifier: &[u8]) -> [u8; 32] {
    let mut engine = KEY_GENERATOR.clone();
    engine.input(&root.0);
    hmac(&Hmac::from_engine(engine).to_byte_array(), identifier)
}

fn hmac(key: &[u8; 32], message: &[u8]) -> [u8; 32] {
    let mut engine = HmacEngine::<sha256::Hash>::new(key);
    engine.input(message);
    Hmac::from_engine(engine).to_byte_array()
}

fn put(bytes: &mut Vec<u8>, kind: u8, field: &[u8]) {
    bytes.push(kind);
    let mut length = field.len();
    loop {
        let low = u8::try_from(length & 0x7f).unwrap_or_default();
        length >>= 7;
        if length == 0 {
            bytes.push(low);
            break;
        }
        bytes.push(low | 0x80);
    }
    bytes.extend_from_slice(field);
}

fn put_if(bytes: &mut Vec<u8>, kind: u8, field: Option<&[u8]>) {
    if let Some(field) = field {
        put(bytes, kind, field);
    }
}

/// What has not been read yet.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn byte(&mut self) -> Result<u8, Malformed> {
        let (first, rest) = self.0.split_first().ok_or(Malformed)?;
        self.0 = rest;
        Ok(*first)
    }

    fn end(&mut self) -> Result<(), Malformed> {
        if self.byte()? == END { Ok(()) } else { Err(Malformed) }
    }

    /// A length of at most three bytes, in its shortest form.
    fn length(&mut self) -> Result<usize, Malformed> {
        let mut length = 0;
        for shift in [0, 7, 14] {
            let byte = self.byte()?;
            length |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return if byte == 0 && shift > 0 { Err(Malformed) } else { Ok(length) };
            }
        }
        Err(Malformed)
    }

    /// The next field, if it is of this kind.
    fn field(&mut self, kind: u8) -> Result<Option<&'a [u8]>, Malformed> {
        if self.0.first() != Some(&kind) {
            return Ok(None);
        }
        self.byte()?;
        let length = self.length()?;
        let (field, rest) = self.0.split_at_checked(length).ok_or(Malformed)?;
        self.0 = rest;
        Ok(Some(field))
    }
}
