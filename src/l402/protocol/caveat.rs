//! The caveats of our tokens: `path=`, `merchant_id=`, `amount_sats=`, `valid_until=`.
//!
//! All must be there. One that is repeated may narrow what the one before it allows and never widen it. One that we
//! don't know closes the door: whoever added it meant it to be obeyed.

/// What a token is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms<'a> {
    /// The resource it opens, and no other.
    pub path: &'a str,
    /// Whose resource: the account's number, 0 for the operator's own.
    pub merchant: i64,
    /// What was paid for it, in sat.
    pub amount_sat: u64,
    /// When it ends, in unix seconds.
    pub valid_until: i64,
}

/// Why caveats can't be obeyed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// Nobody knows what it means.
    #[error("the token has a caveat that is not known here")]
    Unknown,
    /// Its value makes no sense.
    #[error("the token has a caveat that can't be read")]
    Unreadable,
    /// A later one allows more than an earlier one.
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
    /// [`Broken`].
    pub fn read(caveats: impl Iterator<Item = &'a [u8]>) -> Result<Self, Broken> {
        let (mut path, mut merchant, mut amount_sat, mut valid_until) = (None, None, None, None);
        for caveat in caveats {
            let text = std::str::from_utf8(caveat).map_err(|_| Broken::Unknown)?;
            let (name, value) = text.split_once('=').ok_or(Broken::Unknown)?;
            match name {
                "path" => same(&mut path, value)?,
                "merchant_id" => same(&mut merchant, number(value)?)?,
                "amount_sats" => at_most(&mut amount_sat, number(value)?)?,
                "valid_until" => at_most(&mut valid_until, number(value)?)?,
                _ => return Err(Broken::Unknown),
            }
        }
        let signed = |number: u64| i64::try_from(number).map_err(|_| Broken::Unreadable);
        Ok(Self {
            path: path.ok_or(Broken::Missing)?,
            merchant: signed(merchant.ok_or(Broken::Missing)?)?,
            amount_sat: amount_sat.ok_or(Broken::Missing)?,
            valid_until: signed(valid_until.ok_or(Broken::Missing)?)?,
        })
    }
}

/// Digits alone: no sign, no space.
fn number(text: &str) -> Result<u64, Broken> {
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Broken::Unreadable);
    }
    text.parse().map_err(|_| Broken::Unreadable)
}

fn same<T: PartialEq>(kept: &mut Option<T>, value: T) -> Result<(), Broken> {
    match kept {
        Some(kept) if *kept != value => Err(Broken::Widens),
        _ => {
            *kept = Some(value);
            Ok(())
        }
    }
}

fn at_most(kept: &mut Option<u64>, value: u64) -> Result<(), Broken> {
    match kept {
        Some(kept) if value > *kept => Err(Broken::Widens),
        _ => {
            *kept = Some(value);
            Ok(())
        }
    }
}
