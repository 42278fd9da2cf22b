//! What users say about themselves, checked.

use serde_json::{Map, Value};

use crate::lightning::target::clean;
use crate::outbound::guard::Guard;
use crate::outbound::lnurl::pay::{NotPayable, check_target};
use crate::services::tips::error::TipError;

/// Longest name, in characters.
const NAME_LEN: usize = 50;

/// Longest lightning address or LNURL, in bytes.
const ADDRESS_LEN: usize = 1_000;

/// What is to be changed: `None` stays as it is, `Some(None)` is removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// What they call themselves.
    pub name: Option<Option<String>>,
    /// Where their refunds go.
    pub lightning_address: Option<Option<String>>,
}

impl Change {
    /// Reads a body. What is not in it stays; what is `null` or empty goes.
    ///
    /// # Errors
    /// [`TipError::Invalid`], the first rule that is broken.
    pub fn read(fields: &Map<String, Value>, guard: &Guard) -> Result<Self, TipError> {
        Ok(Self {
            name: read(fields, "name", check_name)?,
            lightning_address: read(fields, "lightningAddress", |text| {
                check_address(text, guard).map_err(|why| TipError::Invalid {
                    code: "LIGHTNING_ADDRESS_BAD",
                    message: format!("lightningAddress can't be used: {why}"),
                })
            })?,
        })
    }
}

fn read(
    fields: &Map<String, Value>,
    name: &str,
    check: impl Fn(&str) -> Result<String, TipError>,
) -> Result<Option<Option<String>>, TipError> {
    match fields.get(name) {
        None => Ok(None),
        Some(Value::Null) => Ok(Some(None)),
        Some(Value::String(text)) if clean(text).is_empty() => Ok(Some(None)),
        Some(Value::String(text)) => check(text.trim()).map(|text| Some(Some(text))),
        Some(_) => Err(TipError::bad_request(format!("{name} must be a text or null"))),
    }
}

fn check_name(name: &str) -> Result<String, TipError> {
    let fits = name.chars().count() <= NAME_LEN && !name.chars().any(char::is_control);
    if fits {
        return Ok(name.to_owned());
    }
    let message = format!("name must have at most {NAME_LEN} characters, on one line");
    Err(TipError::Invalid { code: "NAME_BAD", message })
}

/// A lightning address (`name@host`) in lower case, or an LNURL. Offers are refused: what goes back by itself goes to
/// addresses, and to what the DNS says of one.
fn check_address(text: &str, guard: &Guard) -> Result<String, NotPayable> {
    let kept = check_target(guard, text)?;
    if kept.len() > ADDRESS_LEN { Err(NotPayable::Unreadable) } else { Ok(kept) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// The minimal offer of BOLT12's test vectors.
    const OFFER: &str = "lno1zcss9mk8y3wkklfvevcrszlmu23kfrxh49px20665dqwmn4p72pksese";

    fn change(body: &Value) -> Result<Change, TipError> {
        let guard = Guard::offline(crate::outbound::guard::GuardSettings::default());
        Change::read(body.as_object().unwrap(), &guard)
    }

    #[test]
    fn absent_stays_and_null_and_empty_go() {
        assert_eq!(change(&json!({"unknown": 1})), Ok(Change::default()));
        let gone = Change { name: Some(None), lightning_address: Some(None) };
        assert_eq!(change(&json!({"name": null, "lightningAddress": null})), Ok(gone.clone()));
        assert_eq!(change(&json!({"name": " ", "lightningAddress": ""})), Ok(gone));
    }

    #[test]
    fn names_and_addresses_have_a_form() {
        let name = "é".repeat(50);
        assert_eq!(change(&json!({"name": format!(" {name} ")})).unwrap().name, Some(Some(name.clone())));
        for bad in [json!(format!("{name}x")), json!("two\nlines"), json!(21)] {
            assert_eq!(change(&json!({"name": bad})).unwrap_err().status(), 400, "{bad}");
        }
        let read = change(&json!({"lightningAddress": "Alice@Example.com"})).unwrap();
        assert_eq!(read.lightning_address, Some(Some("alice@example.com".to_owned())));
        for bad in ["alice", "lno1", OFFER, "lnbc1x", "a@b@c", "https://a.example", &"a".repeat(2_000)] {
            let error = change(&json!({"lightningAddress": bad})).unwrap_err();
            assert_eq!((error.status(), error.code()), (400, "LIGHTNING_ADDRESS_BAD"), "{bad}");
        }
        assert!(change(&json!({"lightningAddress": 7})).is_err());
    }

    #[test]
    fn address_is_read_as_people_give_it_and_refused_with_the_true_reason() {
        for text in [
            " lightning:Alice@Example.com\r\n",
            "\u{201c}alice@example.com\u{201d}",
            "alice@exam\u{200b}ple.com",
        ] {
            let read = change(&json!({"lightningAddress": text})).unwrap();
            assert_eq!(read.lightning_address, Some(Some("alice@example.com".to_owned())), "{text}");
        }
        for (text, reason) in [
            ("me@router.local", "local network"),
            ("me@abc.onion", "onion"),
            ("me@10.0.0.1", "not a public one"),
            ("me@example.com:25", "port"),
            (OFFER, "BOLT12 offer"),
            ("bitcoin:bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080?label=a@b.example", "bitcoin address"),
        ] {
            let error = change(&json!({"lightningAddress": text})).unwrap_err();
            assert!(error.message().contains(reason), "{text}: {}", error.message());
        }
    }
}
