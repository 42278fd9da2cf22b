//! Takes out of a log line what must not be in one: whoever reads a gift's id or an API key can use it,
//! and an invoice tells who paid whom.
//!
//! Called for every line that is written, so a line without anything to hide is looked at once and
//! returned as it is.

use std::borrow::Cow;
use std::ops::Range;

/// Shorter words hold no secret of ours, and are nearly all words there are.
const SHORTEST: usize = 20;

/// Digits of the id of a gift.
const ORDER_ID_DIGITS: usize = 48;

/// Characters of the id of a tip: `c` and digits in base 36.
const TIP_ID_LETTERS: usize = 25;

/// The part after `satchel_` of a key is at least this long.
const SHORTEST_KEY: usize = 32;

/// Invoices of the networks there are, in lower case. `lntb` covers `lntbs`, `lnbc` covers `lnbcrt`.
const INVOICES: [&[u8]; 2] = [b"lnbc", b"lntb"];

/// Other codes that stand for money or a peer's identity, in lower case.
const CODES: [(&[u8], &str); 4] =
    [(b"lnurl1", "[lnurl]"), (b"lno1", "[offer]"), (b"lnr1", "[invoice request]"), (b"lni1", "[invoice]")];

/// `text` with every BOLT11 invoice, LNURL, BOLT12 code, API key of ours and gift id replaced by a mark.
pub fn redact(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let mut clean = String::new();
    let mut copied = 0;
    let mut at = 0;
    while let Some(word) = next_word(bytes, at) {
        at = word.end;
        let Some((hidden, mark)) = secret_in(bytes, word) else {
            continue;
        };
        // Both ends lie beside ASCII letters or digits, so they are borders of characters.
        clean.push_str(text.get(copied..hidden.start).unwrap_or_default());
        clean.push_str(mark);
        copied = hidden.end;
        at = hidden.end;
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    clean.push_str(text.get(copied..).unwrap_or_default());
    Cow::Owned(clean)
}

/// The next run of letters and digits at or after `from`.
fn next_word(bytes: &[u8], from: usize) -> Option<Range<usize>> {
    let rest = bytes.get(from..)?;
    let start = from + rest.iter().position(u8::is_ascii_alphanumeric)?;
    Some(start..end_of(bytes, start, u8::is_ascii_alphanumeric))
}

fn end_of(bytes: &[u8], start: usize, belongs: impl Fn(&u8) -> bool) -> usize {
    let rest = bytes.get(start..).unwrap_or_default();
    start + rest.iter().position(|byte| !belongs(byte)).unwrap_or(rest.len())
}

fn is_base36(byte: &u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

/// Which part of a word, or of what it begins, must be hidden.
fn secret_in(bytes: &[u8], word: Range<usize>) -> Option<(Range<usize>, &'static str)> {
    let letters = bytes.get(word.clone())?;
    if letters.eq_ignore_ascii_case(b"satchel") && bytes.get(word.end) == Some(&b'_') {
        return api_key(bytes, word);
    }
    if letters.len() < SHORTEST {
        return None;
    }
    if letters.len() == ORDER_ID_DIGITS && letters.iter().all(u8::is_ascii_hexdigit) {
        return Some((word, "[id]"));
    }
    if letters.len() == TIP_ID_LETTERS && letters.first() == Some(&b'c') && letters.iter().all(is_base36) {
        return Some((word, "[id]"));
    }
    // Not only at the start: an escaped line break before the code glues its letter to it.
    for (offset, _) in letters.windows(2).enumerate().filter(|(_, pair)| pair.eq_ignore_ascii_case(b"ln")) {
        let code = letters.get(offset..)?;
        // What stands before may be a secret too, glued to this one: then all of the word goes.
        let kept = if offset < SHORTEST { offset } else { 0 };
        let hidden = word.start + kept..word.end;
        if INVOICES.iter().any(|prefix| begins(code, prefix))
            && code.iter().take(32).any(|byte| *byte == b'1')
        {
            return Some((hidden, "[invoice]"));
        }
        if let Some((_, mark)) = CODES.iter().find(|(prefix, _)| begins(code, prefix)) {
            return Some((hidden, mark));
        }
    }
    None
}

/// `satchel_` and what follows, if that is random enough to be a key and not the name of a metric.
fn api_key(bytes: &[u8], word: Range<usize>) -> Option<(Range<usize>, &'static str)> {
    let start = word.end + 1;
    let end = end_of(bytes, start, |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    let key = bytes.get(start..end)?;
    let random = key.iter().any(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase());
    (key.len() >= SHORTEST_KEY && random).then_some((word.start..end, "satchel_[key]"))
}

fn begins(code: &[u8], prefix: &[u8]) -> bool {
    code.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const INVOICE: &str =
        "lnbcrt50u1p5abcdepp5qqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqypqdpl2pkx2ctnv5sxxmmwwd5kgetj";

    #[test]
    fn an_ordinary_line_is_returned_as_it_is() {
        for line in [
            "",
            "channel ready with 02eec7245d6b7d2ccb30380bfbe2a3648cd7a942653f5aa340edcea1f283686619",
            "satchel_http_request_duration_seconds_bucket 3",
            "payment hash 0001020304050607080900010203040506070809000102030405060708090102 paid, größer",
            "lnbc is how invoices begin; lnurl is a protocol",
        ] {
            assert!(matches!(redact(line), Cow::Borrowed(same) if same == line), "{line}");
        }
    }

    #[test]
    fn invoices_are_hidden_wherever_they_stand() {
        assert_eq!(redact(INVOICE), "[invoice]");
        assert_eq!(redact(&format!("Invoice created: {INVOICE}.")), "Invoice created: [invoice].");
        assert_eq!(redact(&format!("lightning:{} ok", INVOICE.to_uppercase())), "lightning:[invoice] ok");
        assert_eq!(redact(&format!("\"a\\n{INVOICE}\"")), "\"a\\n[invoice]\"");
        let two = format!("ä{INVOICE},lntbs{}ö", &INVOICE[6..]);
        assert_eq!(redact(&two), "ä[invoice],[invoice]ö");
    }

    #[test]
    fn other_codes_are_hidden() {
        assert_eq!(
            redact("LNURL1DP68GURN8GHJ7MRWW4EXCTNXD9SHG6NPVCHXXMMD9AKXUATJDSKHQCTE8AEK2UMND9HKU0"),
            "[lnurl]"
        );
        assert_eq!(redact("to lno1qgsqvgnwgcg35z6ee2h3yczraddm72xrfua9uve2rlrm9deu7xyfzrc"), "to [offer]");
    }

    #[test]
    fn keys_are_hidden() {
        let key = format!("Bearer satchel_{}", "0123456789abcdef".repeat(4));
        assert_eq!(redact(&key), "Bearer satchel_[key]");
        assert_eq!(redact("satchel_AbC-dEf_0123456789abcdefghijklmnopqrstuvwxyz!"), "satchel_[key]!");
    }

    #[test]
    fn ids_of_gifts_are_hidden() {
        let id = "0123456789ab".repeat(4);
        assert_eq!(
            redact(&format!("GET https://a.b/redeem/{id}?c=1 and /lnurl/{id}/callback")),
            "GET https://a.b/redeem/[id]?c=1 and /lnurl/[id]/callback"
        );
        assert_eq!(redact(&format!("/gift/{id}0")), format!("/gift/{id}0"));
    }

    #[test]
    fn id_that_is_glued_to_a_code_is_hidden_with_it() {
        let (tip, gift) = (format!("c{}", "k1".repeat(12)), "0123456789ab".repeat(4));
        for id in [tip, gift] {
            assert_eq!(redact(&format!("{id}{INVOICE} x")), "[invoice] x");
            assert_eq!(redact(&format!("{id}lno1qgsqvgnwgcg35z6ee2h3")), "[offer]");
        }
    }

    proptest! {
        #[test]
        fn any_text_around_an_invoice_stays_and_the_invoice_goes(before in ".{0,40}", after in ".{0,40}") {
            let clean = redact(&format!("{before} {INVOICE} {after}")).into_owned();
            prop_assert!(!clean.contains(INVOICE));
            prop_assert!(clean.starts_with(&*redact(&before)));
            prop_assert!(clean.ends_with(&*redact(&after)));
        }
    }
}
