//! A letter as it goes over the wire (RFC 5322): plain text in ASCII, which every server takes and no encoding
//! can garble.

use crate::core::time::UnixMillis;
use crate::core::time::iso::IsoTime;

/// RFC 5321: a line has at most so many bytes without its end.
const LONGEST_LINE: usize = 998;

const DAY_MS: i64 = 86_400_000;

const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// What stands above the text.
pub(super) struct Headers<'a> {
    pub(super) from: &'a str,
    /// May be empty.
    pub(super) from_name: &'a str,
    pub(super) to: &'a str,
    pub(super) subject: &'a str,
    pub(super) id: &'a str,
    pub(super) now: UnixMillis,
}

/// It can't be written this way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a letter has other letters than ASCII, a line that is too long, or a header of several lines")]
pub(super) struct Unfit;

/// Headers and text, each line with its `CRLF`.
pub(super) fn write(headers: &Headers<'_>, text: &str) -> Result<Vec<u8>, Unfit> {
    let from = match headers.from_name {
        "" => headers.from.to_owned(),
        name => format!("\"{name}\" <{}>", headers.from),
    };
    let head = [
        ("From", from.as_str()),
        ("To", headers.to),
        ("Subject", headers.subject),
        ("Date", &date(headers.now)),
        ("Message-ID", &format!("<{}>", headers.id)),
        ("MIME-Version", "1.0"),
        ("Content-Type", "text/plain; charset=us-ascii"),
        ("Content-Transfer-Encoding", "7bit"),
        // Nobody's holiday notice should come back for it (RFC 3834).
        ("Auto-Submitted", "auto-generated"),
    ];
    let printable = |text: &str| text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    let mut whole = String::new();
    let lines = head.iter().map(|(name, value)| format!("{name}: {value}"));
    for line in lines.chain([String::new()]).chain(text.lines().map(str::to_owned)) {
        if line.len() > LONGEST_LINE || !printable(&line) {
            return Err(Unfit);
        }
        whole.push_str(&line);
        whole.push_str("\r\n");
    }
    Ok(whole.into_bytes())
}

/// `Fri, 15 Jan 2027 08:00:00 +0000`.
fn date(at: UnixMillis) -> String {
    let iso = IsoTime(at).to_string();
    let part = |from: usize, to: usize| iso.get(from..to).unwrap_or_default();
    let of = |names: &[&'static str], index: i64| {
        usize::try_from(index).ok().and_then(|index| names.get(index).copied()).unwrap_or_default()
    };
    let weekday = of(&WEEKDAYS, at.div_euclid(DAY_MS).rem_euclid(7));
    let month = of(&MONTHS, part(5, 7).parse::<i64>().unwrap_or(1) - 1);
    format!("{weekday}, {} {month} {} {} +0000", part(8, 10), part(0, 4), part(11, 19))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADERS: Headers<'_> = Headers {
        from: "tips@satchel.example",
        from_name: "",
        to: "ada@mail.example",
        subject: "Hello",
        id: "1@satchel.example",
        now: 1_800_000_000_000,
    };

    #[test]
    fn dates_have_their_weekday() {
        assert_eq!(date(0), "Thu, 01 Jan 1970 00:00:00 +0000");
        assert_eq!(date(951_782_400_000), "Tue, 29 Feb 2000 00:00:00 +0000");
        assert_eq!(date(1_800_000_000_000), "Fri, 15 Jan 2027 08:00:00 +0000");
    }

    #[test]
    fn headers_then_text() {
        let whole = String::from_utf8(write(&HEADERS, "one\ntwo\n").unwrap()).unwrap();
        assert!(
            whole.starts_with("From: tips@satchel.example\r\nTo: ada@mail.example\r\nSubject: Hello\r\n")
        );
        assert!(whole.ends_with("auto-generated\r\n\r\none\r\ntwo\r\n"), "{whole}");
        assert!(!whole.replace("\r\n", "").contains(['\r', '\n']));
    }

    #[test]
    fn nothing_gets_into_a_header_but_its_line() {
        let two = Headers { subject: "Hello\r\nBcc: eve@mail.example", ..HEADERS };
        assert_eq!(write(&two, ""), Err(Unfit));
        assert_eq!(write(&HEADERS, "gr\u{fc}n"), Err(Unfit));
        assert_eq!(write(&HEADERS, "a\rb"), Err(Unfit));
        assert_eq!(write(&HEADERS, &"a".repeat(999)), Err(Unfit));
        assert!(write(&HEADERS, &"a".repeat(998)).is_ok());
    }
}
