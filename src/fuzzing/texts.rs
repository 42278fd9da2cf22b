//! Magic words, codes and mail addresses, the configuration, and texts that are shown.

use super::text;
use crate::config::Config;
use crate::core::text::{beginning, escaped, is_format, plain_line};
use crate::outbound::mail::Address;
use crate::services::gifts::codes::{Guess, VerifyCode};
use crate::services::gifts::ids::OrderId;
use crate::services::tips::ids::Cuid;
use crate::services::tips::passphrase::{MAX_WORDS, MIN_WORDS, Passphrase};
use crate::telemetry::redact::redact;

pub(super) fn words(data: &[u8]) {
    let text = text(data);
    if let Some(words) = Passphrase::parse(text) {
        assert!((MIN_WORDS..=MAX_WORDS).contains(&words.count().get()));
        let shown = words.expose();
        for typed in [shown.clone(), shown.to_uppercase(), shown.replace(' ', " - "), format!("\"{shown}\".")]
        {
            assert_eq!(Passphrase::parse(&typed).as_ref(), Some(&words), "{typed:?}");
        }
    }
    if let Ok(code) = VerifyCode::read_text(text) {
        assert_eq!(VerifyCode::read_text(&code.digits()), Ok(code));
        assert!(code.matches(Guess::from_text(text).unwrap()));
    }
    if let Ok(address) = text.parse::<Address>() {
        let kept = address.as_str();
        assert_eq!(kept.parse::<Address>().as_ref(), Ok(&address));
        assert!(kept.len() <= 254 && kept.is_ascii() && !kept.contains(char::is_whitespace), "{kept}");
        assert!(kept.matches('@').count() == 1 && !kept.contains([',', '<', '>', '"']), "{kept}");
        assert!(address.mailbox().len() <= kept.len());
    }
    if let Ok(id) = text.parse::<Cuid>() {
        assert_eq!(id.to_string(), text);
    }
    if let Ok(id) = text.parse::<OrderId>() {
        assert_eq!(id.to_string(), text.to_ascii_lowercase());
    }
}

pub(super) fn config(data: &[u8]) {
    let text = text(data);
    match Config::of_text(text) {
        Ok((config, _)) => {
            let written = toml::to_string(&config).expect("a configuration can be written");
            let (again, _) = Config::of_text(&written).unwrap_or_else(|error| panic!("{error} in {written}"));
            assert_eq!(toml::to_string(&again).unwrap(), written, "one form");
        }
        Err(error) => assert!(!error.problems.is_empty(), "what is wrong is said"),
    }
}

/// Texts of strangers as terminals, logs and mails get them.
pub(super) fn texts(data: &[u8]) {
    let text = text(data);
    let is_harmful = |c: char| c.is_control() || is_format(c) || matches!(c, '\u{2028}' | '\u{2029}');
    let shown = escaped(text, |_| false);
    assert!(!shown.chars().any(is_harmful), "{shown:?}");
    assert_eq!(escaped(&shown, |_| false), shown, "escaped twice");
    assert!(shown.len() <= text.len() * 6);
    let line = plain_line(text);
    assert!(!line.chars().any(is_harmful) && line.len() <= text.len(), "{line:?}");
    assert_eq!(plain_line(&line), line);
    for bytes in [0, 1, 7, text.len()] {
        let begun = beginning(text, bytes);
        assert!(begun.len() <= bytes && text.starts_with(begun));
    }
    let clean = redact(text);
    assert_eq!(redact(&clean), clean, "nothing is left to hide");
    assert!(clean.len() <= text.len() + 40 * (text.len() / 20 + 1));
}
