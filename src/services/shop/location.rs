//! Where a buyer is: `X-Buyer-Location: {country}-{state}-{zip}`.

use super::{ShopError, states};

/// Characters of a state's code.
const STATE_LEN: usize = 10;

/// Characters of the whole header.
const LONGEST: usize = 40;

/// Country names that addresses are often written with, and their codes.
const NAMES: [(&str, &str); 22] = [
    ("UNITED STATES", "US"),
    ("UNITED STATES OF AMERICA", "US"),
    ("USA", "US"),
    ("UNITED KINGDOM", "GB"),
    ("GREAT BRITAIN", "GB"),
    ("UK", "GB"),
    ("CANADA", "CA"),
    ("AUSTRALIA", "AU"),
    ("NEW ZEALAND", "NZ"),
    ("GERMANY", "DE"),
    ("AUSTRIA", "AT"),
    ("SWITZERLAND", "CH"),
    ("FRANCE", "FR"),
    ("ITALY", "IT"),
    ("SPAIN", "ES"),
    ("PORTUGAL", "PT"),
    ("NETHERLANDS", "NL"),
    ("IRELAND", "IE"),
    ("JAPAN", "JP"),
    ("INDIA", "IN"),
    ("BRAZIL", "BR"),
    ("EL SALVADOR", "SV"),
];

/// A country and, where shipping or tax depend on it, a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// Two capital letters.
    pub country: String,
    /// In capitals; may be empty.
    pub state: String,
}

impl Location {
    /// Reads the header. What stands behind the second hyphen is for the carrier, and not kept. A header that is empty
    /// is none.
    ///
    /// # Errors
    /// [`ShopError::Invalid`].
    pub fn read(text: &str) -> Result<Option<Self>, ShopError> {
        let text = text.trim();
        if text.is_empty() {
            return Ok(None);
        }
        let bad = || {
            let message =
                "X-Buyer-Location must be country-state-zip with a country of two letters, like US-CA-94107";
            ShopError::invalid("INVALID_LOCATION", message)
        };
        if text.len() > LONGEST || text.chars().any(char::is_control) {
            return Err(bad());
        }
        let mut parts = text.splitn(3, '-');
        let country = country(parts.next().unwrap_or_default()).ok_or_else(bad)?;
        let state = parts.next().unwrap_or_default().trim().to_uppercase();
        if state.chars().count() > STATE_LEN || !state.chars().all(char::is_alphanumeric) {
            return Err(bad());
        }
        // Some write its name.
        let state = states::code(&country, &state);
        Ok(Some(Self { country, state }))
    }

    /// As people write it.
    pub fn shown(&self) -> String {
        let dash = if self.state.is_empty() { "" } else { "-" };
        format!("{}{dash}{}", self.country, self.state)
    }
}

/// A country's code from its code or a common name of it.
pub fn country(text: &str) -> Option<String> {
    let text = text.trim().to_uppercase();
    if let Some((_, code)) = NAMES.iter().find(|(name, _)| *name == text) {
        return Some((*code).to_owned());
    }
    let code = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_uppercase());
    code.then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_is_read_as_far_as_it_goes() {
        let read = |text| Location::read(text).unwrap().map(|at| (at.country, at.state));
        let of = |country: &str, state: &str| Some((country.to_owned(), state.to_owned()));
        assert_eq!(read("US-CA-94107"), of("US", "CA"));
        assert_eq!(read("us-ca-94107-1234"), of("US", "CA"));
        assert_eq!(read("DE"), of("DE", ""));
        assert_eq!(read("DE--10115"), of("DE", ""));
        assert_eq!(read("uk-"), of("GB", ""));
        assert_eq!(read("  "), None);
        for bad in ["Narnia-CA", "U-CA", "12-CA", "US-<b>-1", "US-CA\u{0}", &"U".repeat(200)] {
            assert!(Location::read(bad).is_err(), "{bad:?}");
        }
    }
}
