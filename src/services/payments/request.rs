//! What may be ordered. Of several rules that are broken the first in this order is told.

use serde_json::{Map, Value};

use crate::core::decimal::{BadDecimal, Decimal};
pub use crate::http::body::Invalid;
use crate::http::body::{JsonObject, web_address};
use crate::rates::Unit;

const ORDER_ID_LEN: usize = 255;
const DESCRIPTION_LEN: usize = 500;
const EMAIL_LEN: usize = 254;
const NAME_LEN: usize = 200;
const URL_LEN: usize = 2_048;

/// Bytes of metadata.
const METADATA_LEN: usize = 16_384;

/// An order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewPayment {
    /// The shop's own name for it.
    pub order_id: String,
    /// More than nothing.
    pub amount: Decimal,
    /// Of what.
    pub unit: Unit,
    /// For the customer.
    pub description: Option<String>,
    /// For the shop.
    pub customer_email: Option<String>,
    /// For the shop.
    pub customer_name: Option<String>,
    /// Where the customer goes once they have paid.
    pub success_url: Option<String>,
    /// Where they go if they don't.
    pub cancel_url: Option<String>,
    /// A JSON object, as text.
    pub metadata: Option<String>,
    /// Whether an order that was paid is to be paid once more.
    pub allow_repeat: bool,
}

impl NewPayment {
    /// Reads an order.
    ///
    /// # Errors
    /// [`Invalid`].
    pub fn read(body: &JsonObject) -> Result<Self, Invalid> {
        let fields = Fields(&body.fields);
        let order_id = order_id(fields)?;
        let amount = amount(body)?;
        let unit = unit(fields)?;
        Ok(Self {
            order_id,
            amount,
            unit,
            description: fields.text("description", DESCRIPTION_LEN)?,
            customer_email: fields.text("customerEmail", EMAIL_LEN)?,
            customer_name: fields.text("customerName", NAME_LEN)?,
            success_url: fields.link("successUrl")?,
            cancel_url: fields.link("cancelUrl")?,
            metadata: fields.object("metadata")?,
            allow_repeat: fields.flag("allowRepeat")?,
        })
    }
}

/// More than nothing, exactly as it was written.
pub(super) fn amount(body: &JsonObject) -> Result<Decimal, Invalid> {
    let too_small = || Invalid::new("INVALID_AMOUNT", "Amount must be greater than 0");
    match body.decimal("amount") {
        Ok(Some(amount)) if !amount.is_zero() => Ok(amount),
        Ok(_) | Err(BadDecimal::Negative) => Err(too_small()),
        Err(BadDecimal::NotANumber) => Err(Invalid::new("INVALID_AMOUNT", "Amount must be a decimal number")),
        Err(BadDecimal::TooLong) => Err(Invalid::new("INVALID_AMOUNT", "Amount has too many digits")),
    }
}

pub(super) fn unit(fields: Fields<'_>) -> Result<Unit, Invalid> {
    let unknown = || {
        Invalid::new(
            "INVALID_CURRENCY",
            "Currency must be USD, EUR, GBP, CAD, AUD, JPY, CHF, CNY, INR, BRL, BTC or sats",
        )
    };
    let name = fields.text("currency", 16).map_err(|_| unknown())?.ok_or_else(unknown)?;
    name.parse().map_err(|_| unknown())
}

fn order_id(fields: Fields<'_>) -> Result<String, Invalid> {
    let missing = || Invalid::new("MISSING_ORDER_ID", "Order ID is required");
    match fields.0.get("orderId") {
        None | Some(Value::Null) => Err(missing()),
        Some(Value::String(text)) if text.trim().is_empty() => Err(missing()),
        // Shops number their orders.
        Some(Value::Number(number)) if number.is_u64() || number.is_i64() => Ok(number.to_string()),
        Some(Value::String(text)) if fits(text, ORDER_ID_LEN) => Ok(text.clone()),
        Some(_) => Err(Invalid::new(
            "INVALID_ORDER_ID",
            format!("Order ID must be a text of at most {ORDER_ID_LEN} characters, on one line"),
        )),
    }
}

fn fits(text: &str, longest: usize) -> bool {
    text.chars().count() <= longest && !text.chars().any(char::is_control)
}

/// The members of a body. What is `null` is not there.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a>(pub(super) &'a Map<String, Value>);

impl Fields<'_> {
    /// A text that is not empty.
    pub(super) fn text(self, name: &str, longest: usize) -> Result<Option<String>, Invalid> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if text.is_empty() => Ok(None),
            Some(Value::String(text)) if text.chars().count() <= longest => Ok(Some(text.clone())),
            Some(_) => {
                let message = format!("{name} must be a text of at most {longest} characters");
                Err(Invalid::new("INVALID_FIELD", message))
            }
        }
    }

    /// Where a customer's browser is sent: a web address, and no script.
    pub(super) fn link(self, name: &str) -> Result<Option<String>, Invalid> {
        let Some(text) = self.text(name, URL_LEN)? else { return Ok(None) };
        match web_address(&text) {
            Some(url) => Ok(Some(url.to_string())),
            None => Err(Invalid::new("INVALID_URL", format!("{name} must be a web address"))),
        }
    }

    /// Whether something is so; it isn't if nothing is said.
    fn flag(self, name: &str) -> Result<bool, Invalid> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(_) => Err(Invalid::new("INVALID_FIELD", format!("{name} must be true or false"))),
        }
    }

    fn object(self, name: &str) -> Result<Option<String>, Invalid> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Object(object)) => {
                let text = serde_json::to_string(object).unwrap_or_default();
                if text.len() > METADATA_LEN {
                    let message = format!("{name} must be at most {METADATA_LEN} bytes of JSON");
                    return Err(Invalid::new("INVALID_METADATA", message));
                }
                Ok(Some(text))
            }
            Some(_) => Err(Invalid::new("INVALID_METADATA", format!("{name} must be a JSON object"))),
        }
    }
}
