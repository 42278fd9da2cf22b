//! One document: what its file says of it, and what is sold.
//!
//! A file may begin with lines between two of `---`, each `key: value`: `slug`, `title`, `description`, `price` (in
//! sat). A JSON file may have them as members of its object instead. What is missing follows from the file's name and
//! the configuration.

use serde_json::Value;

/// Characters of a slug.
const SLUG_LEN: usize = 100;

/// Characters of a title, and of a description.
const TEXT_LEN: usize = 500;

/// The most that a document may cost, in sat: one bitcoin.
const MOST_SATS: u64 = 100_000_000;

/// The name of all documents together.
pub(super) const BUNDLE: &str = "bundle";

const FENCE: &str = "---";

/// What is sold.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// Markdown, as it stands in the file.
    Markdown(String),
    /// JSON.
    Json(Value),
}

/// A document.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// What its path ends in.
    pub slug: String,
    /// For people.
    pub title: String,
    /// For people.
    pub description: Option<String>,
    /// What it costs, in sat, if it says so.
    pub price_sat: Option<u64>,
    /// What is sold.
    pub body: Body,
}

/// Why a file is no document. The text is for the operator's log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadDocument {
    /// Neither `.md`, `.markdown` nor `.json`.
    #[error("its name does not end in .md or .json")]
    Kind,
    /// Its bytes are no text.
    #[error("it is not UTF-8")]
    NotText,
    /// The lines at its beginning don't end.
    #[error("its front matter does not end with ---")]
    Endless,
    /// A line that is not `key: value`, by its number.
    #[error("line {0} is not `key: value`")]
    Line(usize),
    /// Its slug would be no plain segment of a path.
    #[error("its slug must be of letters, digits, - and _, and not \"bundle\"")]
    Slug,
    /// Its price is none.
    #[error("its price must be a whole number of sats, from 1 to 100000000")]
    Price,
    /// A title or description that is too long.
    #[error("its title or description is too long")]
    TooLong,
    /// It is not JSON.
    #[error("it is not JSON")]
    NotJson,
}

#[derive(Default)]
struct Front {
    slug: Option<String>,
    title: Option<String>,
    description: Option<String>,
    price: Option<String>,
}

impl Document {
    /// Reads a file.
    ///
    /// # Errors
    /// [`BadDocument`].
    pub fn read(name: &str, bytes: &[u8]) -> Result<Self, BadDocument> {
        let (stem, kind) = name.rsplit_once('.').ok_or(BadDocument::Kind)?;
        let text = str::from_utf8(bytes).map_err(|_| BadDocument::NotText)?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let (mut front, rest) = split(text)?;
        let body = match kind.to_ascii_lowercase().as_str() {
            "md" | "markdown" => Body::Markdown(rest.to_owned()),
            "json" => {
                let value = serde_json::from_str(rest).map_err(|_| BadDocument::NotJson)?;
                front.fill_in(&value);
                Body::Json(value)
            }
            _ => return Err(BadDocument::Kind),
        };
        let slug = front.slug.unwrap_or_else(|| stem.to_ascii_lowercase());
        if !is_slug(&slug) {
            return Err(BadDocument::Slug);
        }
        let title = front.title.unwrap_or_else(|| stem.to_owned());
        let long = |text: &str| text.chars().count() > TEXT_LEN;
        if long(&title) || front.description.as_deref().is_some_and(long) {
            return Err(BadDocument::TooLong);
        }
        let price_sat = front.price.map(|text| price(&text).ok_or(BadDocument::Price)).transpose()?;
        Ok(Self { slug, title, description: front.description, price_sat, body })
    }
}

impl Front {
    fn set(&mut self, name: &str, value: &str) {
        let field = match name {
            "slug" => &mut self.slug,
            "title" => &mut self.title,
            "description" => &mut self.description,
            "price" => &mut self.price,
            // Other tools have keys of their own.
            _ => return,
        };
        *field = Some(value.to_owned()).filter(|value| !value.is_empty());
    }

    /// From the members of a JSON file, where no line said it.
    fn fill_in(&mut self, value: &Value) {
        let text = |name: &str| match value.get(name) {
            Some(Value::String(text)) => Some(text.clone()),
            Some(Value::Number(number)) => Some(number.to_string()),
            _ => None,
        };
        self.slug = self.slug.take().or_else(|| text("slug"));
        self.title = self.title.take().or_else(|| text("title"));
        self.description = self.description.take().or_else(|| text("description"));
        self.price = self.price.take().or_else(|| text("price"));
    }
}

/// The lines at the beginning, and the rest.
fn split(text: &str) -> Result<(Front, &str), BadDocument> {
    let mut front = Front::default();
    let mut lines = text.split_inclusive('\n').enumerate();
    if lines.next().is_none_or(|(_, line)| line.trim_end() != FENCE) {
        return Ok((front, text));
    }
    let mut rest = text.split_once('\n').map_or("", |(_, rest)| rest);
    for (number, line) in lines {
        rest = rest.get(line.len()..).unwrap_or_default();
        let line = line.trim();
        if line == FENCE {
            return Ok((front, rest));
        }
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, value) = line.split_once(':').ok_or(BadDocument::Line(number + 1))?;
        front.set(name.trim(), unquoted(value.trim()));
    }
    Err(BadDocument::Endless)
}

fn unquoted(value: &str) -> &str {
    let inside = |quote: char| value.strip_prefix(quote)?.strip_suffix(quote);
    inside('"').or_else(|| inside('\'')).unwrap_or(value)
}

fn is_slug(slug: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=SLUG_LEN).contains(&slug.len()) && slug.bytes().all(plain) && slug != BUNDLE
}

fn price(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|sats| digits && (1..=MOST_SATS).contains(sats))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_markdown_file_says_what_it_is_in_its_first_lines() {
        let file = "---\nslug: my-article\ntitle: \"A title: with a colon\"\n# a note\n\nprice: 25\nauthor: me\n---\n# Hello\n";
        let document = Document::read("x.md", file.as_bytes()).unwrap();
        assert_eq!(document.slug, "my-article");
        assert_eq!(document.title, "A title: with a colon");
        assert_eq!(document.price_sat, Some(25));
        assert_eq!(document.body, Body::Markdown("# Hello\n".into()));
        let windows = Document::read("x.md", file.replace('\n', "\r\n").as_bytes()).unwrap();
        assert_eq!((windows.slug, windows.body), (document.slug, Body::Markdown("# Hello\r\n".into())));
    }

    #[test]
    fn what_is_missing_follows_from_the_name() {
        let document = Document::read("Some-Notes.md", b"just text\n---\n").unwrap();
        assert_eq!((document.slug.as_str(), document.title.as_str()), ("some-notes", "Some-Notes"));
        assert_eq!(document.price_sat, None);
        assert_eq!(document.body, Body::Markdown("just text\n---\n".into()));
    }

    #[test]
    fn a_json_file_says_it_in_either_way() {
        let inside = br#"{"slug":"data","title":"Data","price":7,"rows":[1]}"#;
        let document = Document::read("x.json", inside).unwrap();
        assert_eq!((document.slug.as_str(), document.price_sat), ("data", Some(7)));
        let before = Document::read("x.json", b"---\nslug: list\nprice: 3\n---\n[1,2]").unwrap();
        assert_eq!((before.slug.as_str(), before.price_sat), ("list", Some(3)));
        assert_eq!(before.body, Body::Json(json!([1, 2])));
    }

    #[test]
    fn what_can_t_be_sold_is_refused_with_its_reason() {
        for (name, file, why) in [
            ("x.txt", "", BadDocument::Kind),
            ("x", "", BadDocument::Kind),
            ("x.md", "---\ntitle: x\n", BadDocument::Endless),
            ("x.md", "---\ntitle: x\nnonsense\n---\n", BadDocument::Line(3)),
            ("a b.md", "", BadDocument::Slug),
            ("bundle.md", "", BadDocument::Slug),
            ("x.md", "---\nslug: ../x\n---\n", BadDocument::Slug),
            ("x.md", "---\nprice: free\n---\n", BadDocument::Price),
            ("x.md", "---\nprice: 0\n---\n", BadDocument::Price),
            ("x.md", "---\nprice: +5\n---\n", BadDocument::Price),
            ("x.json", "{", BadDocument::NotJson),
        ] {
            assert_eq!(Document::read(name, file.as_bytes()).unwrap_err(), why, "{name} {file:?}");
        }
        assert_eq!(Document::read("x.md", &[0xff]).unwrap_err(), BadDocument::NotText);
    }
}
