//! Who bought, and where it goes. Personal data: neither type prints, and both are kept in one table only.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::error::WrongField;
use super::location::{self, Location};
use super::{ShopError, states};
use crate::outbound::mail::Address as Email;

/// Characters of an e-mail address.
const EMAIL_LEN: usize = 200;

/// Where a parcel goes.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ShippingAddress {
    first_name: String,
    last_name: String,
    address1: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    address2: Option<String>,
    city: String,
    province: String,
    zip: String,
    country: String,
    #[serde(default)]
    country_code: String,
}

impl fmt::Debug for ShippingAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ShippingAddress(..)")
    }
}

/// A buyer.
#[derive(Clone, PartialEq, Eq)]
pub struct Customer {
    /// Where letters go.
    pub email: Email,
    /// Where the parcel goes.
    pub address: ShippingAddress,
}

impl fmt::Debug for Customer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Customer(..)")
    }
}

impl Customer {
    /// Reads `email` and `shippingAddress` of a body.
    ///
    /// # Errors
    /// [`ShopError::InvalidFields`] with every member that breaks a rule: a form marks them all at once. Quotes nothing
    /// of what was given.
    pub fn read(fields: &Map<String, Value>) -> Result<Self, ShopError> {
        let mut wrong = Vec::new();
        let email = read_email(fields).map_err(|bad| wrong.push(bad)).ok();
        let address = match fields.get("shippingAddress") {
            Some(Value::Object(address)) => ShippingAddress::read(address, &mut wrong),
            _ => {
                wrong.push(bad_address("shippingAddress", "shippingAddress must be an object".into()));
                None
            }
        };
        match (email, address) {
            (Some(email), Some(address)) => Ok(Self { email, address }),
            _ => Err(ShopError::InvalidFields(wrong)),
        }
    }

    /// Whether a text has something in it of who bought.
    pub fn is_in(&self, text: &str) -> bool {
        let text = text.to_lowercase();
        let address = &self.address;
        let parts = [
            self.email.as_str(),
            &address.first_name,
            &address.last_name,
            &address.address1,
            address.address2.as_deref().unwrap_or_default(),
            &address.city,
            &address.zip,
        ];
        // One or two letters are in any text.
        parts.iter().any(|part| part.chars().count() > 2 && text.contains(&part.to_lowercase()))
    }
}

impl ShippingAddress {
    /// `None` if a member breaks a rule; every one that does is added to `wrong`.
    fn read(fields: &Map<String, Value>, wrong: &mut Vec<WrongField>) -> Option<Self> {
        let country = line(fields, "country", 60, true).and_then(|country| {
            let code = location::country(&country).ok_or_else(|| {
                let message = "shippingAddress.country must be a country's code of two letters, like US";
                bad_address("country", message.into())
            })?;
            Ok((country, code))
        });
        let country = country.map_err(|bad| wrong.push(bad)).ok();
        let mut line =
            |name, longest, needed| line(fields, name, longest, needed).map_err(|bad| wrong.push(bad)).ok();
        let (first_name, last_name) = (line("firstName", 100, true), line("lastName", 100, true));
        let (address1, address2) = (line("address1", 200, true), line("address2", 200, false));
        let city = line("city", 100, true);
        // Not every country has them.
        let (province, zip) = (line("province", 100, false), line("zip", 20, false));
        let (country, country_code) = country?;
        Some(Self {
            first_name: first_name?,
            last_name: last_name?,
            address1: address1?,
            address2: Some(address2?).filter(|text| !text.is_empty()),
            city: city?,
            province: province?,
            zip: zip?,
            country,
            country_code,
        })
    }

    /// What shipping and tax depend on.
    pub fn location(&self) -> Location {
        let state = states::code(&self.country_code, &self.province);
        Location { country: self.country_code.clone(), state }
    }

    /// As Shopify's `MailingAddressInput`. A province that is no code stands beside the city.
    pub fn for_shopify(&self) -> Value {
        let code = self.location().state;
        let is_code = (1..=3).contains(&code.len()) && code.is_ascii();
        let city = match self.province.as_str() {
            "" => self.city.clone(),
            _ if is_code => self.city.clone(),
            province => format!("{}, {province}", self.city),
        };
        json!({
            "firstName": self.first_name,
            "lastName": self.last_name,
            "address1": self.address1,
            "address2": self.address2,
            "city": city,
            "provinceCode": Some(code).filter(|_| is_code),
            "zip": self.zip,
            "countryCode": self.country_code,
        })
    }

    /// As it is written on a parcel.
    pub fn lines(&self) -> String {
        let name = format!("{} {}", self.first_name, self.last_name);
        let town = format!("{} {} {}", self.city, self.province, self.zip);
        let second = self.address2.as_deref().unwrap_or_default();
        let lines = [&name, &self.address1, second, town.trim(), &self.country];
        lines.into_iter().filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
    }
}

fn read_email(fields: &Map<String, Value>) -> Result<Email, WrongField> {
    let bad = || WrongField {
        field: "email",
        code: "INVALID_EMAIL",
        message: "email must be an e-mail address".into(),
    };
    let text = fields.get("email").and_then(Value::as_str).ok_or_else(bad)?;
    if text.chars().count() > EMAIL_LEN {
        return Err(bad());
    }
    text.parse().map_err(|_| bad())
}

fn bad_address(field: &'static str, message: String) -> WrongField {
    WrongField { field, code: "INVALID_ADDRESS", message }
}

/// A text on one line. Markup is text: whoever shows it escapes it.
fn line(
    fields: &Map<String, Value>,
    name: &'static str,
    longest: usize,
    needed: bool,
) -> Result<String, WrongField> {
    let bad = || {
        let least = if needed { "1" } else { "0" };
        let message =
            format!("shippingAddress.{name} must be a text of {least} to {longest} characters, on one line");
        bad_address(name, message)
    };
    let text = match fields.get(name) {
        None | Some(Value::Null) => "",
        Some(Value::String(text)) => text.trim(),
        Some(_) => return Err(bad()),
    };
    let fits = text.chars().count() <= longest && !text.chars().any(is_unfit) && !(needed && text.is_empty());
    if fits { Ok(text.to_owned()) } else { Err(bad()) }
}

/// Characters that no address has and that change how others are shown: controls, and marks of direction.
pub(super) fn is_unfit(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(change: &Value) -> Result<Customer, ShopError> {
        let mut body = json!({
            "email": "Ada@Example.com",
            "shippingAddress": {
                "firstName": "Ada", "lastName": "Lovelace", "address1": "1 St James's Square", "city": "London",
                "province": "", "zip": "SW1Y 4LB", "country": "United Kingdom"
            }
        });
        for (name, value) in change.as_object().unwrap() {
            match name.as_str() {
                "email" => body["email"] = value.clone(),
                name => body["shippingAddress"][name] = value.clone(),
            }
        }
        Customer::read(body.as_object().unwrap())
    }

    #[test]
    fn an_address_is_read_and_never_prints() {
        let customer = read(&json!({})).unwrap();
        assert_eq!(customer.email.as_str(), "ada@example.com");
        assert_eq!(customer.address.location().shown(), "GB");
        let lines = "Ada Lovelace\n1 St James's Square\nLondon  SW1Y 4LB\nUnited Kingdom";
        assert_eq!(customer.address.lines(), lines);
        let printed = format!("{customer:?} {:?}", customer.address);
        assert!(!printed.contains("Ada") && !printed.contains("London"), "{printed}");
    }

    #[test]
    fn bad_addresses_are_refused_without_being_quoted() {
        for change in [
            json!({ "email": "nobody" }),
            json!({ "email": null }),
            json!({ "email": format!("{}@example.com", "a".repeat(200)) }),
            json!({ "firstName": "" }),
            json!({ "lastName": 7 }),
            json!({ "city": "Lon\ndon" }),
            json!({ "address1": "\u{202e}evil" }),
            json!({ "zip": "9".repeat(21) }),
            json!({ "country": "Narnia" }),
        ] {
            let error = read(&change).unwrap_err();
            assert_eq!(error.status(), 400, "{change}");
            assert!(!error.message().contains("Narnia") && !error.message().contains("evil"), "{change}");
        }
    }

    #[test]
    fn every_wrong_member_is_told_at_once() {
        let error =
            read(&json!({ "email": "nobody", "city": "", "country": "Narnia", "zip": "9".repeat(21) }));
        let Err(ShopError::InvalidFields(wrong)) = error else { panic!("{error:?}") };
        let fields: Vec<_> = wrong.iter().map(|wrong| wrong.field).collect();
        assert_eq!(fields, ["email", "country", "city", "zip"]);
        let first = ShopError::InvalidFields(wrong);
        assert_eq!((first.status(), first.code()), (400, "INVALID_EMAIL"));
    }

    #[test]
    fn markup_is_text() {
        let customer = read(&json!({ "firstName": "<script>" })).unwrap();
        assert!(customer.address.lines().starts_with("<script> "));
    }
}
