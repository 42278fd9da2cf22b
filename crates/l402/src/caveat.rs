//! The caveats of a token: `path=`, `merchant_id=`, `amount_sats=`, `valid_until=`.
//!
//! All four must be there. A caveat that is repeated may narrow the one before it and never widen it. A caveat that is
//! not known makes the token invalid: whoever added it meant it to be obeyed.

use std::borrow::Cow;
use std::collections::BTreeMap;

use bitcoin_hashes::{Hash, sha256};

use crate::{b64, mpp::jcs};

/// Bytes of a path that are used as a resource's name; longer ones are hashed. The name stands in the token, and the
/// token in a header: a web server in front takes 4 KB of headers by default.
const MAX_PATH_BYTES: usize = 256;

/// What a token is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms<'a> {
    /// The resource: usually a request's path. The token is good for this one alone.
    pub path: &'a str,
    /// Who sells the resource, where one server sells for several; otherwise 0.
    pub merchant: i64,
    /// What was paid for it, in sat.
    pub amount_sat: u64,
    /// When it ends, in unix seconds.
    pub valid_until: i64,
}

/// Why caveats can't be obeyed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CaveatError {
    /// The caveat's name is not known.
    #[error("the token has a caveat that is not known here")]
    Unknown,
    /// The caveat's value can't be read.
    #[error("the token has a caveat that can't be read")]
    Malformed,
    /// A later caveat allows more than an earlier one.
    #[error("the token has a caveat that widens an earlier one")]
    Widens,
    /// One of the four is not there.
    #[error("the token lacks a caveat")]
    Missing,
}

impl<'a> Terms<'a> {
    /// As caveats, in the order in which they are added.
    pub fn caveats(&self) -> [String; 4] {
        [
            format!("path={}", self.path),
            format!("merchant_id={}", self.merchant),
            format!("amount_sats={}", self.amount_sat),
            format!("valid_until={}", self.valid_until),
        ]
    }

    /// What caveats together allow.
    ///
    /// # Errors
    /// [`CaveatError`].
    pub fn read(caveats: impl Iterator<Item = &'a [u8]>) -> Result<Self, CaveatError> {
        let (mut path, mut merchant, mut amount_sat, mut valid_until) = (None, None, None, None);
        for caveat in caveats {
            let text = std::str::from_utf8(caveat).map_err(|_| CaveatError::Unknown)?;
            let (name, value) = text.split_once('=').ok_or(CaveatError::Unknown)?;
            match name {
                "path" => same(&mut path, value)?,
                "merchant_id" => same(&mut merchant, number(value)?)?,
                "amount_sats" => at_most(&mut amount_sat, number(value)?)?,
                "valid_until" => at_most(&mut valid_until, number(value)?)?,
                _ => return Err(CaveatError::Unknown),
            }
        }
        let signed = |number: u64| i64::try_from(number).map_err(|_| CaveatError::Malformed);
        Ok(Self {
            path: path.ok_or(CaveatError::Missing)?,
            merchant: signed(merchant.ok_or(CaveatError::Missing)?)?,
            amount_sat: amount_sat.ok_or(CaveatError::Missing)?,
            valid_until: signed(valid_until.ok_or(CaveatError::Missing)?)?,
        })
    }

    /// As the `opaque` parameter of a `Payment` challenge, which the challenge's id binds: with it a server knows what
    /// a payment was for without having kept it.
    pub fn to_opaque(&self) -> Option<String> {
        let caveats = self.caveats();
        let members: BTreeMap<&str, &str> =
            caveats.iter().filter_map(|caveat| caveat.split_once('=')).collect();
        jcs::canonical(&members).ok().map(|json| b64::url(json.as_bytes()))
    }
}

/// The caveats inside an `opaque` parameter that [`Terms::to_opaque`] wrote.
pub(crate) fn opaque_caveats(opaque: &str) -> Option<Vec<String>> {
    let members: BTreeMap<String, String> = serde_json::from_slice(&b64::read_url(opaque)?).ok()?;
    Some(members.into_iter().map(|(name, value)| format!("{name}={value}")).collect())
}

/// The name of a path's resource: the path, or `sha256:` and its hash if it is longer than 256 bytes or has control
/// characters.
pub fn resource_name(path: &str) -> Cow<'_, str> {
    let fits = path.len() <= MAX_PATH_BYTES && !path.chars().any(char::is_control);
    if fits {
        Cow::Borrowed(path)
    } else {
        Cow::Owned(format!("sha256:{}", sha256::Hash::hash(path.as_bytes())))
    }
}

/// Digits alone: no sign, no space.
fn number(text: &str) -> Result<u64, CaveatError> {
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(CaveatError::Malformed);
    }
    text.parse().map_err(|_| CaveatError::Malformed)
}

fn same<T: PartialEq>(kept: &mut Option<T>, value: T) -> Result<(), CaveatError> {
    match kept {
        Some(kept) if *kept != value => Err(CaveatError::Widens),
        _ => {
            *kept = Some(value);
            Ok(())
        }
    }
}

fn at_most(kept: &mut Option<u64>, value: u64) -> Result<(), CaveatError> {
    match kept {
        Some(kept) if value > *kept => Err(CaveatError::Widens),
        _ => {
            *kept = Some(value);
            Ok(())
        }
    }
}
