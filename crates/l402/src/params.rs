//! Parameters of authentication schemes (RFC 9110, section 11): `name=token` or `name="quoted"`, in lists that
//! several challenges may share.

/// One challenge of a list: a scheme and its parameters, as they stand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scheme {
    /// As it was written; compare it without regard to case.
    pub name: String,
    /// Names in lower case, values without quotes.
    pub params: Vec<(String, String)>,
}

impl Scheme {
    /// The value of a parameter. Of one given twice the first counts: whoever forwards a header can only append.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }
}

/// The challenges of a header, whose lines may have been joined by commas. What can't be read is left out.
pub fn challenges(header: &str) -> Vec<Scheme> {
    let mut found: Vec<Scheme> = Vec::new();
    for element in elements(header) {
        let param = match param(element) {
            Some(param) => Some(param),
            None => {
                let (name, rest) = element.split_once([' ', '\t']).unwrap_or((element, ""));
                found.push(Scheme { name: name.to_owned(), params: Vec::new() });
                param(rest.trim())
            }
        };
        if let (Some(scheme), Some(param)) = (found.last_mut(), param) {
            scheme.params.push(param);
        }
    }
    found
}

/// The parameters behind one scheme.
pub fn of_one(text: &str) -> Scheme {
    Scheme { name: String::new(), params: elements(text).filter_map(param).collect() }
}

/// A value between quotes, or `None` for what no header may hold.
pub fn quoted(value: &str) -> Option<String> {
    if value.chars().any(|character| character.is_control() && character != '\t') {
        return None;
    }
    Some(format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"")))
}

/// What stands between commas that no quotes surround; nothing at all is left out.
fn elements(text: &str) -> impl Iterator<Item = &str> {
    let (mut inside, mut escaped) = (false, false);
    text.split(move |character| {
        match character {
            _ if escaped => escaped = false,
            '\\' if inside => escaped = true,
            '"' => inside = !inside,
            ',' => return !inside,
            _ => {}
        }
        false
    })
    .map(str::trim)
    .filter(|element| !element.is_empty())
}

fn param(element: &str) -> Option<(String, String)> {
    let (name, value) = element.split_once('=')?;
    let (name, value) = (name.trim_end(), value.trim_start());
    let is_token = !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte));
    if !is_token {
        return None;
    }
    let value = match value.strip_prefix('"') {
        Some(quoted) => unquoted(quoted)?,
        None => value.to_owned(),
    };
    Some((name.to_ascii_lowercase(), value))
}

/// What stands before the closing quote, behind which nothing may follow.
fn unquoted(text: &str) -> Option<String> {
    let mut value = String::with_capacity(text.len());
    let mut characters = text.chars();
    loop {
        match characters.next()? {
            '"' => return characters.as_str().is_empty().then_some(value),
            '\\' => value.push(characters.next()?),
            character => value.push(character),
        }
    }
}
