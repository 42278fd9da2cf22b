//! Texts for people.

use std::borrow::Cow;

/// The beginning of a text: all of it, or as many whole characters as fit into so many bytes.
pub fn beginning(text: &str, bytes: usize) -> &str {
    let mut end = text.len().min(bytes);
    while !text.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    text.get(..end).unwrap_or_default()
}

/// A text of a stranger's on one line: what controls a terminal or ends a line becomes a blank, and what turns the
/// direction of writing goes.
pub fn plain_line(text: &str) -> String {
    text.chars()
        .filter(|c| !is_format(*c))
        .map(|c| if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') { ' ' } else { c })
        .collect()
}

/// A text of a stranger's for a terminal, a log or a table: what would move the cursor, end a line, or turn the direction
/// of writing is shown as `\u001b`, the way JSON writes it. `keeps` names what may stay all the same.
pub fn escaped(text: &str, keeps: impl Fn(char) -> bool) -> Cow<'_, str> {
    let is_harmful =
        |c: char| (c.is_control() || is_format(c) || matches!(c, '\u{2028}' | '\u{2029}')) && !keeps(c);
    if !text.chars().any(is_harmful) {
        return Cow::Borrowed(text);
    }
    let mut clean = String::with_capacity(text.len().saturating_add(16));
    for c in text.chars() {
        match c {
            c if !is_harmful(c) => clean.push(c),
            '\n' => clean.push_str("\\n"),
            '\r' => clean.push_str("\\r"),
            '\t' => clean.push_str("\\t"),
            c => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    clean.push_str(&format!("\\u{unit:04x}"));
                }
            }
        }
    }
    Cow::Owned(clean)
}

/// Characters that show nothing and change how what stands around them is shown: directions, joiners, tags.
pub fn is_format(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_forges_a_line_is_shown_and_not_done() {
        let none = |_| false;
        assert_eq!(escaped("größer 日本 🎁", none), "größer 日本 🎁");
        assert_eq!(escaped("a\u{1b}[2Jb\nc\td\r", none), "a\\u001b[2Jb\\nc\\td\\r");
        assert_eq!(
            escaped("\u{9b}1A\u{202e}x\u{2028}\u{e0041}", none),
            "\\u009b1A\\u202ex\\u2028\\udb40\\udc41"
        );
        assert_eq!(escaped("a\nb\u{7}", |c| c == '\n'), "a\nb\\u0007");
        assert_eq!(plain_line("no\u{1b}[1A\r\nsuch\u{202e}\u{200b} user"), "no [1A  such user");
    }

    #[test]
    fn no_character_is_cut() {
        for (bytes, found) in [(0, ""), (1, "a"), (2, "a"), (3, "aß"), (4, "aßc"), (9, "aßc")] {
            assert_eq!(beginning("aßc", bytes), found);
        }
    }
}
