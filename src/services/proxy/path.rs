//! One reading of a request's path, before anything is matched or priced.
//!
//! What two programs could read in two ways is refused, never guessed: then the path that the globs and prices see
//! is the path that the upstream gets. Nothing is resolved or repaired here, except that percent-escapes of
//! unreserved characters are written out and the hex digits of all others are large (RFC 3986, section 6.2.2).

use std::fmt::Write;

/// Bytes of a path as it came. Longer ones are payloads.
pub const LONGEST: usize = 2_048;

/// Why a path is refused. The texts are safe to send back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPath {
    /// More than [`LONGEST`] bytes.
    #[error("the path is too long")]
    TooLong,
    /// `%` without two hexadecimal digits.
    #[error("a % in the path begins no escape")]
    Escape,
    /// An escape that becomes one when it is read: some servers read twice.
    #[error("the path is escaped twice")]
    EscapedTwice,
    /// The bytes are not text.
    #[error("the path is not UTF-8")]
    NotText,
    /// `/` or `\` as an escape, or `\` as it is.
    #[error("the path hides a separator")]
    Separator,
    /// NUL, a line's end, or another control character.
    #[error("the path holds a control character")]
    Control,
    /// A segment `.` or `..`, however it is written.
    #[error("the path goes up or stands still")]
    Dots,
    /// `//`.
    #[error("the path has an empty segment")]
    EmptySegment,
    /// A segment that ends in a dot, or begins or ends with a space: some servers drop those.
    #[error("a segment of the path ends in a dot, or begins or ends with a space")]
    Trailing,
    /// `;`, behind which some servers read parameters that are no part of the path.
    #[error("the path holds a semicolon")]
    Parameters,
    /// It doesn't begin with `/`.
    #[error("the path must begin with a slash")]
    Relative,
}

/// A path that can be read in one way only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CleanPath {
    sent: String,
    matched: String,
}

impl CleanPath {
    /// Reads a path as it stood in the request's target: with its escapes, without the query.
    ///
    /// # Errors
    /// [`BadPath`].
    pub fn read(raw: &str) -> Result<Self, BadPath> {
        if raw.len() > LONGEST {
            return Err(BadPath::TooLong);
        }
        let Some(rest) = raw.strip_prefix('/') else { return Err(BadPath::Relative) };
        let mut clean = Self { sent: String::with_capacity(raw.len()), matched: String::new() };
        let (body, slash) = match rest.strip_suffix('/') {
            Some(body) => (body, "/"),
            None => (rest, ""),
        };
        if rest == "/" {
            return Err(BadPath::EmptySegment);
        }
        if !body.is_empty() {
            for segment in body.split('/') {
                clean.add(segment)?;
            }
        }
        if clean.matched.is_empty() {
            clean.matched.push('/');
            clean.sent.push('/');
        } else {
            clean.sent.push_str(slash);
        }
        // Escapes make it longer, and whoever is asked next may count as we do.
        if clean.sent.len() > LONGEST { Err(BadPath::TooLong) } else { Ok(clean) }
    }

    /// What goes upstream: escaped, in its one form. A slash at the end stays.
    pub fn sent(&self) -> &str {
        &self.sent
    }

    /// What patterns are matched with: the text of [`CleanPath::sent`] without its escapes and without a slash at
    /// the end, which most servers don't heed.
    pub fn matched(&self) -> &str {
        &self.matched
    }

    fn add(&mut self, segment: &str) -> Result<(), BadPath> {
        let bytes = decode(segment.as_bytes())?;
        let text = str::from_utf8(&bytes).map_err(|_| BadPath::NotText)?;
        check(text)?;
        self.matched.push('/');
        self.matched.push_str(text);
        self.sent.push('/');
        write_segment(&mut self.sent, segment.as_bytes(), &bytes);
        Ok(())
    }
}

/// The rules for the text of one segment.
fn check(text: &str) -> Result<(), BadPath> {
    if text.is_empty() {
        return Err(BadPath::EmptySegment);
    }
    if text.chars().any(char::is_control) {
        return Err(BadPath::Control);
    }
    if text.contains(['/', '\\']) {
        return Err(BadPath::Separator);
    }
    // Before the dots: `..;` is one of the ways to write them.
    if text.contains(';') {
        return Err(BadPath::Parameters);
    }
    if text == "." || text == ".." {
        return Err(BadPath::Dots);
    }
    if text.trim() != text || text.ends_with('.') {
        return Err(BadPath::Trailing);
    }
    let mut escapes = text.split('%').skip(1);
    if escapes.any(|rest| rest.bytes().take(2).filter(u8::is_ascii_hexdigit).count() == 2) {
        return Err(BadPath::EscapedTwice);
    }
    Ok(())
}

/// Bytes without their escapes.
fn decode(raw: &[u8]) -> Result<Vec<u8>, BadPath> {
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw.iter().copied();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let (Some(high), Some(low)) = (rest.next().and_then(digit), rest.next().and_then(digit)) else {
            return Err(BadPath::Escape);
        };
        bytes.push((high << 4) | low);
    }
    Ok(bytes)
}

fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

/// Writes a segment in its one form. Reserved characters stay as they came, escaped or not, since the two don't mean
/// the same to everybody.
fn write_segment(to: &mut String, raw: &[u8], decoded: &[u8]) {
    let mut raw = raw.iter().copied();
    for byte in decoded.iter().copied() {
        let escaped = raw.next() == Some(b'%');
        if escaped {
            raw.next();
            raw.next();
        }
        let plain = is_unreserved(byte) || (!escaped && is_allowed(byte));
        if plain {
            to.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(to, "%{byte:02X}");
        }
    }
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// Reserved characters that may stand in a segment as they are. What URL parsers escape by themselves is not among
/// them.
fn is_allowed(byte: u8) -> bool {
    matches!(byte, b'!' | b'$' | b'&' | b'(' | b')' | b'*' | b'+' | b',' | b'=' | b':' | b'@' | b'\'')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(raw: &str) -> Result<(String, String), BadPath> {
        CleanPath::read(raw).map(|path| (path.sent, path.matched))
    }

    #[test]
    fn one_path_has_one_form() {
        for (raw, sent, matched) in [
            ("/", "/", "/"),
            ("/a", "/a", "/a"),
            ("/a/", "/a/", "/a"),
            ("/a/b.json", "/a/b.json", "/a/b.json"),
            ("/%61/%7Euser", "/a/~user", "/a/~user"),
            ("/caf%c3%a9", "/caf%C3%A9", "/café"),
            ("/café", "/caf%C3%A9", "/café"),
            ("/a%20b", "/a%20b", "/a b"),
            ("/a b", "/a%20b", "/a b"),
            ("/a+b/c%2Bd", "/a+b/c%2Bd", "/a+b/c+d"),
            ("/what%3f/%23", "/what%3F/%23", "/what?/#"),
            ("/100%25", "/100%25", "/100%"),
            ("/100%25zz", "/100%25zz", "/100%zz"),
            ("/...a/..b/.well-known", "/...a/..b/.well-known", "/...a/..b/.well-known"),
            ("/@me:x", "/@me:x", "/@me:x"),
            ("/{city}", "/%7Bcity%7D", "/{city}"),
        ] {
            assert_eq!(read(raw), Ok((sent.into(), matched.into())), "{raw}");
        }
    }

    #[test]
    fn path_that_grows_too_long_by_its_escapes_is_refused() {
        let long = |count: usize| read(&format!("/{}", "é".repeat(count)));
        assert_eq!(long(341).unwrap().0.len(), 2_047);
        assert_eq!(long(342), Err(BadPath::TooLong));
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        use BadPath::*;
        for (raw, why) in [
            ("", Relative),
            ("a", Relative),
            ("http://host/a", Relative),
            ("*", Relative),
            ("//", EmptySegment),
            ("//a", EmptySegment),
            ("/a//b", EmptySegment),
            ("/a//", EmptySegment),
            ("///", EmptySegment),
            ("/.", Dots),
            ("/..", Dots),
            ("/../", Dots),
            ("/a/../b", Dots),
            ("/a/./b", Dots),
            ("/a/..", Dots),
            ("/%2e%2e/a", Dots),
            ("/.%2E/a", Dots),
            ("/%2e/a", Dots),
            ("/a/..;/b", Parameters),
            ("/a;x=1/b", Parameters),
            ("/a%3bx", Parameters),
            ("/a%2fb", Separator),
            ("/a%2Fb", Separator),
            ("/%2f", Separator),
            ("/..%2fa", Separator),
            ("/a\\b", Separator),
            ("/a%5cb", Separator),
            ("/..\\a", Separator),
            ("/a%00", Control),
            ("/a%0d%0aHost:x", Control),
            ("/a%7f", Control),
            ("/a%c2%85", Control),
            ("/a\tb", Control),
            ("/a.", Trailing),
            ("/a./b", Trailing),
            ("/a%2e", Trailing),
            ("/...", Trailing),
            ("/a%20", Trailing),
            ("/%20a", Trailing),
            ("/a/%C2%A0b", Trailing),
            ("/a /b", Trailing),
            ("/%252e%252e/a", EscapedTwice),
            ("/a%252fb", EscapedTwice),
            ("/a%25%32%66b", EscapedTwice),
            ("/%c0%ae%c0%ae/a", NotText),
            ("/%c0%af", NotText),
            ("/%ff", NotText),
            ("/%e0%80%ae", NotText),
            ("/%", Escape),
            ("/%4", Escape),
            ("/%zz", Escape),
            ("/%u002e", Escape),
            ("/%+1", Escape),
        ] {
            assert_eq!(read(raw), Err(why), "{raw:?}");
        }
        assert_eq!(read(&format!("/{}", "a".repeat(LONGEST))), Err(TooLong));
        assert!(read(&format!("/{}", "a".repeat(LONGEST - 1))).is_ok());
    }

    /// What servers have been seen to make of a path, all of it at once, twice.
    fn careless(path: &str) -> String {
        let mut path = path.to_owned();
        for _ in 0..2 {
            let mut bytes = Vec::new();
            let mut rest = path.as_bytes();
            while let [first, behind @ ..] = rest {
                let decoded = match behind {
                    [high, low, ..] if *first == b'%' => digit(*high).zip(digit(*low)),
                    _ => None,
                };
                match decoded {
                    Some((high, low)) => {
                        bytes.push((high << 4) | low);
                        rest = &behind[2..];
                    }
                    None => {
                        bytes.push(*first);
                        rest = behind;
                    }
                }
            }
            let text = String::from_utf8_lossy(&bytes).replace('\\', "/");
            let mut kept: Vec<&str> = Vec::new();
            for segment in text.split('/') {
                let segment = segment.split(';').next().unwrap_or_default();
                match segment {
                    ".." => drop(kept.pop()),
                    segment => kept
                        .extend(Some(segment.trim_end_matches(['.', ' '])).filter(|kept| !kept.is_empty())),
                }
            }
            path = format!("/{}", kept.join("/"));
        }
        path
    }

    proptest! {
        #[test]
        fn no_careless_server_reads_another_path(raw in "/([a-c/.%;\\\\ ]|%2[eEfF5]|%5c|%3b|%20|%61|\\.\\.|%25){0,12}") {
            if let Ok(path) = CleanPath::read(&raw) {
                prop_assert_eq!(careless(path.sent()), path.matched());
            }
        }

        #[test]
        fn what_passes_is_stable_and_the_url_parser_leaves_it_alone(raw in "/([a-zA-Z0-9._~%/\\\\;:@!$&'()*+,= \u{0}-\u{1f}é-]|%2[eEfF5]|%5c|\\.\\.){0,40}") {
            if let Ok(path) = CleanPath::read(&raw) {
                let again = CleanPath::read(path.sent()).unwrap();
                prop_assert_eq!(&again, &path);
                prop_assert!(path.sent().is_ascii());
                prop_assert!(!path.matched().contains("//"));
                prop_assert!(!path.matched().contains('\\'));
                prop_assert!(path.matched().split('/').all(|segment| segment != ".." && segment != "."));
                let mut url = url::Url::parse("http://host.example/").unwrap();
                url.set_path(path.sent());
                prop_assert_eq!(url.path(), path.sent());
            }
        }

        #[test]
        fn no_text_is_too_much(raw in "\\PC*") {
            let _ = CleanPath::read(&raw);
        }

        #[test]
        fn no_bytes_are_too_much(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let escaped = bytes.iter().fold(String::from("/"), |text, byte| format!("{text}%{byte:02x}"));
            if let Ok(path) = CleanPath::read(&escaped) {
                prop_assert_eq!(path.matched().as_bytes().strip_prefix(b"/"), Some(bytes.as_slice()));
            }
        }
    }
}
