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
    let note = fields.short_text(NOTE, NOTE_LEN)?;
    let quantity = match kind {
        Kind::Single => {
            let tippee_name = fields.short_text(TIPPEE_NAME, NAME_LEN)?;
            return Ok(vec![TipWords { tippee_name, note }]);
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
            let note = note.as_ref().map(|note| note.replace(NAME_BLANK, name));
            if let Some(note) = &note {
                check_len(NOTE, note, NOTE_LEN).map_err(|_| {
                    NOTE.broken(format!("must have at most {NOTE_LEN} characters with every name filled in"))
                })?;
            }
            Ok(TipWords { tippee_name, note })
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
