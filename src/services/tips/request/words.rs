//! Whom a tip is for and what it says, with the blanks of a group's templates filled in.

use serde_json::Value;

use super::fields::{Field, Fields, Invalid, check_len};
use super::{NAME_LEN, NOTE_LEN};

/// In a note of a group: the name of the tippee.
const NAME_BLANK: &str = "{{name}}";

/// In the only one of the names: the number of the tip, from 1.
const INDEX_BLANK: &str = "{{index}}";

/// Who has no name.
const NOBODY: &str = "Anon";

const NOTE: Field = Field::new("note", "NOTE_INVALID");
const TIPPEE_NAME: Field = Field::new("tippeeName", "TIPPEE_NAME_INVALID");
const TIPPEE_NAMES: Field = Field::new("tippeeNames", "TIPPEE_NAMES_INVALID");

/// The name and the note of one tip.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TipWords {
    /// Who gets it, as the tipper calls them.
    pub tippee_name: Option<String>,
    /// What they are told.
    pub note: Option<String>,
    /// The same with marks around the name, where a group's template had a blank for it.
    pub marked: Option<String>,
}

/// Around a name that was filled in, in the note as it is stored. They are no characters of any text.
const NAME_MARKS: [char; 2] = ['\u{fdd0}', '\u{fdd1}'];

/// What is shown in place of a name.
const NAMELESS: &str = "…";

impl TipWords {
    /// The note as it is stored.
    pub fn stored_note(&self) -> Option<&str> {
        self.marked.as_deref().or(self.note.as_deref())
    }
}

/// A note as its tipper wrote it, of a stored one.
pub fn note_of(stored: &str) -> String {
    stored.replace(NAME_MARKS, "")
}

/// A note that doesn't tell the name that was filled in, of a stored one; `None` if none was.
///
/// Notes of before have no marks: the name is left out of them where it stands as a word.
pub fn note_without_name(stored: &str, name: Option<&str>) -> Option<String> {
    let mut parts = stored.split(NAME_MARKS[0]);
    let mut note = parts.next().unwrap_or_default().to_owned();
    let mut marked = false;
    for part in parts {
        marked = true;
        note.push_str(NAMELESS);
        note.push_str(part.split_once(NAME_MARKS[1]).map_or("", |(_, rest)| rest));
    }
    if marked { Some(note) } else { name.and_then(|name| without_word(stored, name)) }
}

fn without_word(text: &str, word: &str) -> Option<String> {
    if word.is_empty() {
        return None;
    }
    let (mut done, mut rest, mut found) = (String::new(), text, false);
    while let Some((before, after)) = rest.split_once(word) {
        done.push_str(before);
        let joins = |next: Option<char>| next.is_some_and(char::is_alphanumeric);
        if joins(done.chars().next_back()) || joins(after.chars().next()) {
            done.push_str(word);
        } else {
            done.push_str(NAMELESS);
            found = true;
        }
        rest = after;
    }
    done.push_str(rest);
    found.then_some(done)
}

/// Whether a single tip is spoken of or a group of so many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One tip by itself.
    Single,
    /// A group, and how many tips are in it.
    Group(u32),
}

/// The words of each tip, in the order of the group; one for a single tip.
///
/// Blanks are filled in groups only: a single tip says what it says.
pub(super) fn read(fields: Fields<'_>, kind: Kind) -> Result<Vec<TipWords>, Invalid> {
    let note = fields.short_text(NOTE, NOTE_LEN)?.map(|note| note_of(&note));
    let quantity = match kind {
        Kind::Single => {
            let tippee_name = fields.short_text(TIPPEE_NAME, NAME_LEN)?;
            return Ok(vec![TipWords { tippee_name, note, marked: None }]);
        }
        Kind::Group(quantity) => quantity,
    };
    let names = names(fields)?;
    (0..quantity)
        .map(|index| {
            let tippee_name = match names.as_slice() {
                [] => None,
                [template] => template.map(|name| name.replace(INDEX_BLANK, &(index + 1).to_string())),
                each => {
                    usize::try_from(index).ok().and_then(|index| each.get(index).copied()?).map(str::to_owned)
                }
            };
            let name = tippee_name.as_deref().unwrap_or(NOBODY);
            let template = note.as_ref();
            let note = template.map(|note| note.replace(NAME_BLANK, name));
            let [begin, end] = NAME_MARKS;
            let marked = template.filter(|note| tippee_name.is_some() && note.contains(NAME_BLANK));
            let marked =
                marked.map(|note| note.replace(NAME_BLANK, &format!("{begin}{}{end}", note_of(name))));
            if let Some(note) = &note {
                check_len(NOTE, note, NOTE_LEN).map_err(|_| {
                    NOTE.broken(format!("must have at most {NOTE_LEN} characters with every name filled in"))
                })?;
            }
            Ok(TipWords { tippee_name, note, marked })
        })
        .collect()
}

/// The names as they were given; an empty one is none.
fn names(fields: Fields<'_>) -> Result<Vec<Option<&str>>, Invalid> {
    let wrong = || TIPPEE_NAMES.broken("must be a list of texts");
    let names = match fields.get(TIPPEE_NAMES) {
        None => return Ok(Vec::new()),
        Some(Value::Array(names)) => names,
        Some(_) => return Err(wrong()),
    };
    names
        .iter()
        .map(|name| match name {
            Value::Null => Ok(None),
            Value::String(name) => {
                let rule = || TIPPEE_NAMES.broken(format!("must have at most {NAME_LEN} characters each"));
                check_len(TIPPEE_NAMES, name, NAME_LEN).map_err(|_| rule())?;
                Ok(Some(name.as_str()).filter(|name| !name.is_empty()))
            }
            _ => Err(wrong()),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_the_name_that_was_filled_in_is_left_out() {
        let asked = json!({ "note": "Will you come, {{name}}? Willow wood {{name}}!", "tippeeNames": ["Will", null] });
        let words = read(Fields(asked.as_object().unwrap()), Kind::Group(2)).unwrap();
        let stored = words[0].stored_note().unwrap();
        assert_eq!(note_of(stored), "Will you come, Will? Willow wood Will!");
        assert_eq!(Some(note_of(stored)), words[0].note);
        let without = note_without_name(stored, Some("Will"));
        assert_eq!(without.as_deref(), Some("Will you come, …? Willow wood …!"));
        // Nobody's name tells nothing.
        let anon = words[1].stored_note().unwrap();
        assert_eq!((note_without_name(anon, None), note_of(anon)), (None, words[1].note.clone().unwrap()));
        // Of before: as a word alone.
        let old = note_without_name("Hi Will, willow and Willow are trees", Some("Will"));
        assert_eq!(old.as_deref(), Some("Hi …, willow and Willow are trees"));
        assert_eq!(note_without_name("Willow", Some("Will")), None);
        // Marks of somebody's own hide nothing.
        let asked = json!({ "note": "a\u{fdd0}b\u{fdd1}c {{name}}", "tippeeNames": ["D\u{fdd1}e"] });
        let words = read(Fields(asked.as_object().unwrap()), Kind::Group(1)).unwrap();
        let stored = words[0].stored_note().unwrap();
        assert_eq!(note_without_name(stored, Some("De")).as_deref(), Some("abc …"));
        assert_eq!(note_of(stored), "abc De");
    }
}
