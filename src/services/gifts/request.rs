//! What somebody asks for on `/create` and on LNURL-pay, and the rules it must keep to.
//!
//! The order of the checks is the contract's: programs show the first error they get.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::codes::VerifyCode;
use super::error::GiftError;
use super::rules::Rules;
use crate::core::decimal::whole_number;
use crate::core::ids::Secret;
use crate::core::money::Msat;
use crate::core::time::UnixMillis;
use crate::http::extract::Params;
use crate::lightning::target::clean;
use crate::outbound::lnurl::pay::read_target;

/// Longest `senderName`, in UTF-16 units as the original counted.
const NAME_LEN: usize = 15;

/// Longest `senderMessage`, in UTF-16 units.
const MESSAGE_LEN: usize = 100;

/// Longest `notify`, in bytes.
const NOTIFY_LEN: usize = 2_000;

/// Longest `notifySecret`, in bytes.
const NOTIFY_SECRET_LEN: usize = 128;

/// Longest `refundAddress`, in bytes.
const REFUND_ADDRESS_LEN: usize = 320;

/// How far away `expiresAt` may be.
const FURTHEST_EXPIRY_MS: i64 = 5 * 366 * 24 * 60 * 60 * 1_000;

/// What a sender may say about a gift besides its amount, in each of the ways to make one.
#[derive(Clone, Debug, Default)]
pub struct Words {
    /// Who it is from.
    pub sender_name: Option<String>,
    /// What they say.
    pub sender_message: Option<String>,
    /// What the recipient must know.
    pub code: Option<VerifyCode>,
    /// Whom to tell when it was redeemed. Only its form has been looked at.
    pub notify: Option<String>,
}

/// A checked order for gifts.
#[derive(Clone, Debug)]
pub struct Order {
    /// What each holds.
    pub amount: Msat,
    /// What each costs besides.
    pub fee: Msat,
    /// What the invoice asks for.
    pub total: Msat,
    /// How many.
    pub quantity: u32,
    /// What the sender says.
    pub words: Words,
    /// After it they go back.
    pub expires_at: Option<UnixMillis>,
    /// To where.
    pub refund_address: Option<String>,
    /// What to sign the webhook with.
    pub notify_secret: Option<Secret>,
}

impl Order {
    /// Reads a body.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn read(fields: &Map<String, Value>, rules: &Rules, now: UnixMillis) -> Result<Self, GiftError> {
        let field = |name: &str| fields.get(name).filter(|value| !value.is_null());
        let amount = match field("amount") {
            Some(Value::Number(number)) => whole_number(number),
            _ => None,
        };
        let amount = check_amount(amount, rules)?;
        let sender_name =
            text(field("senderName"), NAME_LEN, GiftError::NameNotText, GiftError::NameTooLong)?;
        let sender_message =
            text(field("senderMessage"), MESSAGE_LEN, GiftError::MessageNotText, GiftError::MessageTooLong)?;
        let code = field("verifyCode").map(VerifyCode::read).transpose()?;
        let notify = match field("notify") {
            None => None,
            Some(Value::String(url)) => check_notify(url)?,
            Some(_) => return Err(GiftError::NotifyBadUrl),
        };
        let expires_at = field("expiresAt").map(|value| read_expiry(value, now)).transpose()?;
        let refund_address = match field("refundAddress") {
            None => None,
            Some(Value::String(address)) => check_refund_address(address)?,
            Some(_) => return Err(GiftError::RefundAddressBad),
        };
        let quantity = match field("quantity") {
            None => 1,
            Some(value) => read_quantity(value, rules)?,
        };
        let fee = rules.fee.fee(amount).ok_or(GiftError::AmountTooLarge)?;
        let total = total_of(amount.checked_add(fee).ok_or(GiftError::AmountTooLarge)?, quantity)?;
        let notify_secret = match field("notifySecret") {
            None => None,
            Some(Value::String(secret)) if secret.is_empty() => None,
            Some(Value::String(secret)) if secret.len() <= NOTIFY_SECRET_LEN => {
                Some(Secret::new(secret.as_str()))
            }
            Some(_) => return Err(GiftError::NotifySecretBad),
        };
        let words = Words { sender_name, sender_message, code, notify };
        Ok(Self { amount, fee, total, quantity, words, expires_at, refund_address, notify_secret })
    }

    /// One gift of this amount with these words, for all that is paid: what LNURL-pay makes.
    pub fn single(amount: Msat, total: Msat, words: Words) -> Self {
        Self {
            amount,
            fee: total.saturating_sub(amount),
            total,
            quantity: 1,
            words,
            expires_at: None,
            refund_address: None,
            notify_secret: None,
        }
    }

    /// What the payer of the invoice reads. Nothing a stranger wrote is in it.
    pub fn description(&self) -> String {
        let sat = self.amount.sat_floor();
        if self.quantity == 1 {
            format!("Lightning Gift for {sat} sats")
        } else {
            format!("{} Lightning Gifts for {sat} sats each", self.quantity)
        }
    }
}

impl Words {
    /// Reads the query of LNURL-pay; what is empty is not there.
    ///
    /// # Errors
    /// As [`Order::read`], in the same order.
    pub fn from_query(param: impl Fn(&str) -> Option<String>) -> Result<Self, GiftError> {
        let filled = |name: &str| param(name).filter(|value| !value.is_empty());
        let sender_name = filled("senderName");
        check_len(sender_name.as_deref(), NAME_LEN, GiftError::NameTooLong)?;
        let sender_message = filled("senderMessage");
        check_len(sender_message.as_deref(), MESSAGE_LEN, GiftError::MessageTooLong)?;
        let code = filled("verifyCode").as_deref().map(VerifyCode::read_text).transpose()?;
        let notify = filled("notify").as_deref().map(check_notify).transpose()?.flatten();
        Ok(Self { sender_name, sender_message, code, notify })
    }

    /// The same as one segment of a path: the query in base64url. `None` if there is nothing to say.
    pub fn to_path(&self) -> Option<String> {
        let code = self.code.map(VerifyCode::digits);
        let fields = [
            ("senderName", &self.sender_name),
            ("senderMessage", &self.sender_message),
            ("notify", &self.notify),
            ("verifyCode", &code),
        ];
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in fields {
            if let Some(value) = value {
                query.append_pair(name, value);
            }
        }
        let query = query.finish();
        (!query.is_empty()).then(|| URL_SAFE_NO_PAD.encode(query))
    }

    /// Reads what [`Words::to_path`] wrote.
    ///
    /// # Errors
    /// [`GiftError::NotFound`] if it is none of ours; as [`Words::from_query`].
    pub fn from_path(path: &str) -> Result<Self, GiftError> {
        let query = URL_SAFE_NO_PAD.decode(path).map_err(|_| GiftError::NotFound)?;
        let params = Params::of(String::from_utf8(query).map_err(|_| GiftError::NotFound)?);
        Self::from_query(|name| params.get(name))
    }
}

/// The amount of one gift from a whole number of satoshis.
///
/// # Errors
/// Not a number, too small, too large: in this order.
pub fn check_amount(sat: Option<i128>, rules: &Rules) -> Result<Msat, GiftError> {
    let sat = sat.ok_or(GiftError::AmountNotWhole)?;
    if sat < i128::from(rules.min_sat) {
        return Err(GiftError::AmountTooSmall);
    }
    u64::try_from(sat)
        .ok()
        .filter(|sat| *sat <= rules.max_sat)
        .and_then(Msat::from_sat)
        .ok_or(GiftError::AmountTooLarge)
}

fn text(
    value: Option<&Value>,
    longest: usize,
    not_text: GiftError,
    too_long: GiftError,
) -> Result<Option<String>, GiftError> {
    match value {
        None => Ok(None),
        Some(Value::String(text)) => {
            check_len(Some(text), longest, too_long)?;
            Ok(Some(text.clone()))
        }
        Some(_) => Err(not_text),
    }
}

fn check_len(text: Option<&str>, longest: usize, too_long: GiftError) -> Result<(), GiftError> {
    let fits = text.is_none_or(|text| text.encode_utf16().take(longest + 1).count() <= longest);
    if fits { Ok(()) } else { Err(too_long) }
}

/// The form of a webhook's URL; who may be called is the address guard's question.
fn check_notify(url: &str) -> Result<Option<String>, GiftError> {
    if url.is_empty() {
        return Ok(None);
    }
    let parsed = url::Url::parse(url).map_err(|_| GiftError::NotifyBadUrl)?;
    let fine = matches!(parsed.scheme(), "http" | "https") && parsed.has_host() && url.len() <= NOTIFY_LEN;
    if fine { Ok(Some(url.to_owned())) } else { Err(GiftError::NotifyBadUrl) }
}

/// `expiresAt` is in unix seconds.
fn read_expiry(value: &Value, now: UnixMillis) -> Result<UnixMillis, GiftError> {
    let Value::Number(number) = value else { return Err(GiftError::ExpiresAtBad) };
    whole_number(number)
        .and_then(|secs| i64::try_from(secs).ok())
        .and_then(|secs| secs.checked_mul(1_000))
        .filter(|at| *at > now && *at <= now.saturating_add(FURTHEST_EXPIRY_MS))
        .ok_or(GiftError::ExpiresAtBad)
}

/// A lightning address or an LNURL, as it is kept. Whether it could ever be asked is the address guard's question.
fn check_refund_address(address: &str) -> Result<Option<String>, GiftError> {
    if clean(address).is_empty() {
        return Ok(None);
    }
    let kept = read_target(address).map_err(GiftError::RefundAddressUnpayable)?.canonical();
    if kept.len() > REFUND_ADDRESS_LEN {
        return Err(GiftError::RefundAddressBad);
    }
    Ok(Some(kept))
}

fn read_quantity(value: &Value, rules: &Rules) -> Result<u32, GiftError> {
    let Value::Number(number) = value else { return Err(GiftError::QuantityBad) };
    whole_number(number)
        .and_then(|count| u32::try_from(count).ok())
        .filter(|count| (1..=rules.max_quantity).contains(count))
        .ok_or(GiftError::QuantityBad)
}

/// What the invoice asks for. How much the node can take is asked of the node.
fn total_of(amount: Msat, quantity: u32) -> Result<Msat, GiftError> {
    amount.sat_floor().checked_mul(u64::from(quantity)).and_then(Msat::from_sat).ok_or(GiftError::QuantityBad)
}

#[cfg(test)]
mod tests;
