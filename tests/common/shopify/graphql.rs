//! As much of GraphQL as queries need: they are parsed, checked against the schema, and answered with what they select.

use serde_json::{Map, Value, json};

use super::schema::{ARGUMENTS, ENUMS, INPUTS, TYPES};

/// A field that is selected.
#[derive(Clone, Debug)]
pub struct Field {
    pub alias: String,
    pub name: String,
    pub arguments: Map<String, Value>,
    /// The type that it is wanted of, in `... on Type`.
    pub on: Option<String>,
    pub fields: Vec<Field>,
}

/// An operation: what it selects.
pub struct Operation {
    pub fields: Vec<Field>,
}

struct Parser<'a> {
    tokens: Vec<String>,
    at: usize,
    variables: &'a Map<String, Value>,
}

/// Reads an operation. A variable that is missing is null.
pub fn parse(text: &str, variables: &Map<String, Value>) -> Result<Operation, String> {
    let mut parser = Parser { tokens: tokens(text), at: 0, variables };
    let root = match parser.next()?.as_str() {
        "query" => "Query",
        "mutation" => "Mutation",
        other => return Err(format!("unexpected {other}")),
    };
    while parser.peek() != Some("{") {
        if parser.peek() == Some("$") {
            parser.next()?;
            parser.declaration()?;
        } else {
            parser.next()?;
        }
    }
    let fields = parser.selection(root, None)?;
    Ok(Operation { fields })
}

fn tokens(text: &str) -> Vec<String> {
    let (mut all, mut word, mut letters) = (Vec::new(), String::new(), text.chars().peekable());
    while let Some(letter) = letters.next() {
        if letter.is_alphanumeric() || letter == '_' {
            word.push(letter);
            continue;
        }
        if !word.is_empty() {
            all.push(std::mem::take(&mut word));
        }
        match letter {
            '"' => {
                let text: String = letters.by_ref().take_while(|letter| *letter != '"').collect();
                all.push(format!("\"{text}"));
            }
            '.' => {
                letters.next();
                letters.next();
                all.push("...".into());
            }
            letter if letter.is_whitespace() || letter == ',' => {}
            letter => all.push(letter.to_string()),
        }
    }
    all
}

impl Parser<'_> {
    fn peek(&self) -> Option<&str> {
        self.tokens.get(self.at).map(String::as_str)
    }

    fn next(&mut self) -> Result<String, String> {
        let token = self.tokens.get(self.at).cloned().ok_or("the query breaks off")?;
        self.at += 1;
        Ok(token)
    }

    fn expect(&mut self, wanted: &str) -> Result<(), String> {
        let token = self.next()?;
        if token == wanted { Ok(()) } else { Err(format!("{wanted} is expected, and {token} found")) }
    }

    /// `name: Type!` behind a `$`: what was given must be of that type.
    fn declaration(&mut self) -> Result<(), String> {
        let name = self.next()?;
        self.expect(":")?;
        let mut kind = String::new();
        while let Some(token) = self.peek().filter(|token| *token != "$" && *token != ")") {
            kind.push_str(token);
            self.next()?;
        }
        let kind = match kind.strip_prefix('[').and_then(|rest| rest.trim_end_matches('!').strip_suffix(']'))
        {
            Some(inner) => format!("[]{inner}"),
            None => kind,
        };
        let value = self.variables.get(&name).unwrap_or(&Value::Null);
        check(&kind, value, &name)
    }

    fn selection(&mut self, of: &str, on: Option<&str>) -> Result<Vec<Field>, String> {
        self.expect("{")?;
        let mut fields = Vec::new();
        while self.peek() != Some("}") {
            let first = self.next()?;
            if first == "..." {
                self.expect("on")?;
                let kind = self.next()?;
                fields.extend(self.selection(&kind, Some(&kind))?);
                continue;
            }
            let (alias, name) = if self.peek() == Some(":") {
                self.next()?;
                (first, self.next()?)
            } else {
                (first.clone(), first)
            };
            let kind = field_type(of, &name).ok_or(format!("Field '{name}' doesn't exist on type '{of}'"))?;
            let arguments = if self.peek() == Some("(") { self.arguments(&name)? } else { Map::new() };
            let known = ARGUMENTS
                .iter()
                .find(|(field, _)| *field == format!("{of}.{name}"))
                .map_or(&[][..], |(_, known)| *known);
            for argument in arguments.keys() {
                if !known.iter().any(|known| known.trim_end_matches('!') == argument) {
                    return Err(format!("Field '{name}' doesn't accept argument '{argument}'"));
                }
            }
            for needed in known.iter().filter_map(|known| known.strip_suffix('!')) {
                if arguments.get(needed).is_none_or(Value::is_null) {
                    return Err(format!("Field '{name}' is missing required arguments: {needed}"));
                }
            }
            let kind = kind.trim_start_matches("[]");
            let inner = match (kind.is_empty(), self.peek() == Some("{")) {
                (true, false) => Vec::new(),
                (false, true) => self.selection(kind, None)?,
                _ => return Err(format!("the selection of '{name}' does not fit its type")),
            };
            fields.push(Field { alias, name, arguments, on: on.map(ToOwned::to_owned), fields: inner });
        }
        self.expect("}")?;
        Ok(fields)
    }

    fn arguments(&mut self, _of: &str) -> Result<Map<String, Value>, String> {
        self.expect("(")?;
        let mut all = Map::new();
        while self.peek() != Some(")") {
            let name = self.next()?;
            self.expect(":")?;
            all.insert(name, self.value()?);
        }
        self.expect(")")?;
        Ok(all)
    }

    fn value(&mut self) -> Result<Value, String> {
        let token = self.next()?;
        Ok(match token.as_str() {
            "$" => {
                let name = self.next()?;
                self.variables.get(&name).cloned().unwrap_or(Value::Null)
            }
            "{" => {
                let mut all = Map::new();
                while self.peek() != Some("}") {
                    let name = self.next()?;
                    self.expect(":")?;
                    all.insert(name, self.value()?);
                }
                self.expect("}")?;
                Value::Object(all)
            }
            "true" => json!(true),
            "false" => json!(false),
            "null" => Value::Null,
            text => match (text.strip_prefix('"'), text.parse::<i64>()) {
                (Some(text), _) => json!(text),
                (None, Ok(number)) => json!(number),
                (None, Err(_)) => json!(text),
            },
        })
    }
}

fn field_type(of: &str, field: &str) -> Option<&'static str> {
    let (_, fields) = TYPES.iter().find(|(name, _)| *name == of)?;
    fields.iter().find(|(name, _)| *name == field).map(|(_, kind)| *kind)
}

/// Whether a value is of an input type.
pub fn check(kind: &str, value: &Value, at: &str) -> Result<(), String> {
    let (kind, needed) = match kind.strip_suffix('!') {
        Some(kind) => (kind, true),
        None => (kind, false),
    };
    if value.is_null() {
        return if needed { Err(format!("{at}: Expected value to not be null")) } else { Ok(()) };
    }
    if let Some(inner) = kind.strip_prefix("[]") {
        let all = value.as_array().ok_or(format!("{at}: Expected a list"))?;
        return all.iter().enumerate().try_for_each(|(n, value)| check(inner, value, &format!("{at}.{n}")));
    }
    if let Some((_, fields)) = INPUTS.iter().find(|(name, _)| *name == kind) {
        let given = value.as_object().ok_or(format!("{at}: Expected an object"))?;
        for name in given.keys() {
            if !fields.iter().any(|(known, _)| known == name) {
                return Err(format!("{at}.{name} (Field is not defined on {kind})"));
            }
        }
        let field = |(name, kind): &(&str, &str)| {
            check(kind, given.get(*name).unwrap_or(&Value::Null), &format!("{at}.{name}"))
        };
        return fields.iter().try_for_each(field);
    }
    if let Some((_, values)) = ENUMS.iter().find(|(name, _)| *name == kind) {
        let fits = value.as_str().is_some_and(|text| values.contains(&text));
        return if fits { Ok(()) } else { Err(format!("{at}: Expected {value} to be one of {kind}")) };
    }
    let fits = match kind {
        "Boolean" => value.is_boolean(),
        "Int" => value.as_i64().is_some_and(|number| i32::try_from(number).is_ok()),
        "Decimal" => value.as_str().is_some_and(|text| text.parse::<f64>().is_ok()),
        "ID" => value.as_str().is_some_and(|text| text.starts_with("gid://shopify/")),
        _ => value.is_string(),
    };
    if fits { Ok(()) } else { Err(format!("{at}: {value} is no {kind}")) }
}

/// What a selection takes of a value. Members that a lie has put there are given as they are.
pub fn project(value: &Value, fields: &[Field]) -> Value {
    match value {
        Value::Array(all) => Value::Array(all.iter().map(|value| project(value, fields)).collect()),
        Value::Object(members) => {
            let mut taken = Map::new();
            for field in fields {
                let member = members.get(&field.name).cloned().unwrap_or(Value::Null);
                taken.insert(field.alias.clone(), project(&member, &field.fields));
            }
            Value::Object(taken)
        }
        other => other.clone(),
    }
}
