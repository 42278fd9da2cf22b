//! Brings file, environment and flags together, strongest last.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::{Table, Value};

use super::error::{ConfigError, Problem};
use super::places::Places;
use super::sections::{default_bitcoind_port, default_esplora_url};
use super::settings::expects;
use super::{Config, DEFAULT_DATA_DIR, Overrides, check};

/// The variables of the environment that begin with `SATCHEL_`. An empty one counts as not set, because
/// that is how service managers and container files pass "nothing".
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    pub fn of_process() -> Self {
        Self::new(
            std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))),
        )
    }

    pub fn new(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        let ours = |(name, value): &(String, String)| name.starts_with("SATCHEL_") && !value.is_empty();
        Self(variables.into_iter().filter(ours).collect())
    }

    fn path(&self, name: &str) -> Option<PathBuf> {
        self.0.get(name).map(PathBuf::from)
    }
}

/// Who set a key: what a complaint about it names as its place.
pub struct Origins {
    file: Option<PathBuf>,
    places: Places,
    outside: BTreeMap<String, String>,
}

impl Origins {
    fn place_of(&self, key: &str) -> String {
        if let Some(name) = self.outside.get(key) {
            return name.clone();
        }
        match (&self.file, self.places.line_of(key)) {
            (Some(file), Some(line)) => format!("{}:{line}", file.display()),
            (Some(file), None) => file.display().to_string(),
            (None, _) => "configuration".into(),
        }
    }
}

pub fn data_dir(overrides: &Overrides, environment: &Environment) -> PathBuf {
    let given = overrides.data_dir.clone().or_else(|| environment.path("SATCHEL_DATA_DIR"));
    given.unwrap_or_else(|| PathBuf::from(DEFAULT_DATA_DIR))
}

pub fn config_file(overrides: &Overrides, environment: &Environment) -> Option<PathBuf> {
    let named = overrides.config_file.clone().or_else(|| environment.path("SATCHEL_CONFIG"));
    named.or_else(|| Some(data_dir(overrides, environment).join("config.toml")).filter(|path| path.exists()))
}

/// All sources together, checked.
pub fn load(overrides: &Overrides, environment: &Environment) -> Result<Config, ConfigError> {
    let (mut config, origins) = read(overrides, environment)?;
    let problems = check::check(&mut config);
    if problems.is_empty() {
        return Ok(config);
    }
    let place = |found: check::Found| Problem {
        place: origins.place_of(found.key),
        what: format!("{}: {}", found.key, found.what),
        remedy: found
            .remedy
            .unwrap_or_else(|| expects(found.key).unwrap_or("see config.toml.example").into()),
    };
    Err(ConfigError { problems: problems.into_iter().map(place).collect() })
}

/// All sources together, each value readable by itself, and where each came from.
pub fn read(overrides: &Overrides, environment: &Environment) -> Result<(Config, Origins), ConfigError> {
    let file = config_file(overrides, environment);
    let text = match &file {
        Some(path) => std::fs::read_to_string(path).map_err(|error| {
            let remedy = "give --config the path of a readable file, or write one from config.toml.example";
            ConfigError::one(path.display().to_string(), format!("can't be read: {error}"), remedy)
        })?,
        None => String::new(),
    };
    let mut origins = Origins { file, places: Places::of(&text), outside: BTreeMap::new() };
    let mut table = read_file(&text, &origins)?;
    apply_environment(&mut table, environment, &mut origins)?;
    apply_flags(&mut table, overrides, &mut origins);
    let mut config = Config::deserialize(table).map_err(|error| {
        ConfigError::one(origins.place_of(""), error.message(), "see config.toml.example")
    })?;
    config.data_dir = data_dir(overrides, environment);
    fill_in(&mut config);
    Ok((config, origins))
}

/// A file's text by itself, and whether all of it makes sense together.
#[cfg(any(test, feature = "fuzzing"))]
pub fn of_text(text: &str) -> Result<(Config, bool), ConfigError> {
    let origins = Origins { file: None, places: Places::of(text), outside: BTreeMap::new() };
    let table = read_file(text, &origins)?;
    let mut config = Config::deserialize(table).map_err(|error| {
        ConfigError::one(origins.place_of(""), error.message(), "see config.toml.example")
    })?;
    fill_in(&mut config);
    let fits = check::check(&mut config).is_empty();
    Ok((config, fits))
}

/// Parses the file by itself, so that every mistake in it is reported with its line.
fn read_file(text: &str, origins: &Origins) -> Result<Table, ConfigError> {
    let schema = schema();
    let unknown = origins.places.keys().filter(|key| !is_known(&schema, key));
    // Inside an unknown table every key is unknown: the table is enough.
    let unknown =
        unknown.filter(|key| key.rsplit_once('.').is_none_or(|(parent, _)| is_known(&schema, parent)));
    let problems: Vec<_> = unknown
        .map(|key| Problem {
            place: origins.place_of(key),
            what: format!("there is no setting `{key}`"),
            remedy: suggestion(&schema, key),
        })
        .collect();
    if !problems.is_empty() {
        return Err(ConfigError { problems });
    }
    let complain = |error: toml::de::Error| {
        let offset = error.span().map_or(0, |span| span.start);
        let place = format!(
            "{}:{}",
            origins.file.as_deref().unwrap_or(Path::new("configuration")).display(),
            origins.places.line_at(offset)
        );
        match origins.places.key_at(offset) {
            Some(key) => {
                let remedy = expects(key).unwrap_or("write the section as [name], and its settings below it");
                ConfigError::one(place, format!("{key}: {}", error.message()), remedy)
            }
            None => {
                ConfigError::one(place, error.message(), "write each line as key = value; texts need quotes")
            }
        }
    };
    toml::from_str::<Config>(text).map_err(complain)?;
    toml::from_str::<Table>(text).map_err(complain)
}

/// Variables of the command line's options that begin as those of a section do.
const OPTIONS: [&str; 1] = ["SATCHEL_ADMIN_KEY"];

fn apply_environment(
    table: &mut Table,
    environment: &Environment,
    origins: &mut Origins,
) -> Result<(), ConfigError> {
    let schema = schema();
    let mut problems = Vec::new();
    for (name, text) in &environment.0 {
        let Some(key) = key_of_variable(&schema, name) else {
            if is_in_a_section(&schema, name) && !OPTIONS.contains(&name.as_str()) {
                problems.push(Problem {
                    place: name.clone(),
                    what: "this variable names no setting".into(),
                    remedy: "see config.toml.example: the variable is SATCHEL_<SECTION>_<KEY>".into(),
                });
            }
            continue;
        };
        let value = value_like(example_of(&schema, &key), text);
        let mut alone = Table::new();
        put(&mut alone, &key, value.clone());
        if let Err(error) = Config::deserialize(alone) {
            problems.push(Problem {
                place: name.clone(),
                what: error.message().trim().to_owned(),
                remedy: remedy_for_variable(&key),
            });
            continue;
        }
        put(table, &key, value);
        origins.outside.insert(key, name.clone());
    }
    if problems.is_empty() { Ok(()) } else { Err(ConfigError { problems }) }
}

fn apply_flags(table: &mut Table, overrides: &Overrides, origins: &mut Origins) {
    let flags = [
        ("network", "--network", overrides.network.map(|network| network.to_string())),
        ("http.listen", "--listen", overrides.http_listen.map(|address| address.to_string())),
        ("log.level", "--log", overrides.log_level.clone()),
    ];
    for (key, flag, text) in flags {
        if let Some(text) = text {
            put(table, key, Value::String(text));
            origins.outside.insert(key.into(), flag.into());
        }
    }
}

/// Fills in what follows from other settings.
fn fill_in(config: &mut Config) {
    if config.http.public_url.is_empty() {
        let mut listen = config.http.listen;
        if listen.ip().is_unspecified() {
            listen.set_ip(std::net::IpAddr::from([127, 0, 0, 1]));
        }
        config.http.public_url = format!("http://{listen}");
    }
    let chain = &mut config.chain;
    if chain.esplora_url.is_empty() {
        chain.esplora_url = default_esplora_url(config.network).unwrap_or_default().into();
    }
    if chain.bitcoind_port == 0 {
        chain.bitcoind_port = default_bitcoind_port(config.network);
    }
    if chain.rest_host.is_empty() {
        chain.rest_host.clone_from(&chain.bitcoind_host);
    }
    if chain.rest_port == 0 {
        chain.rest_port = chain.bitcoind_port;
    }
    if config.smtp.port == 0 {
        config.smtp.port = config.smtp.security.usual_port();
    }
    config.rates.fill_in(config.network);
    config.withdrawals.fill_in(config.network);
}

/// Every key with its default value.
pub fn schema() -> Table {
    // Writing the defaults can't fail; if it did, the tests that read them back would.
    Table::try_from(Config::default()).unwrap_or_default()
}

fn is_known(schema: &Table, key: &str) -> bool {
    example_of(schema, key).is_some()
}

fn example_of<'a>(schema: &'a Table, key: &str) -> Option<&'a Value> {
    match key.split_once('.') {
        None => schema.get(key),
        Some((section, name)) => example_of(schema.get(section)?.as_table()?, name),
    }
}

/// All dotted keys of single settings.
pub fn all_keys(schema: &Table) -> Vec<String> {
    let mut keys = Vec::new();
    for (name, value) in schema {
        match value {
            Value::Table(section) => keys.extend(all_keys(section).iter().map(|key| format!("{name}.{key}"))),
            _ => keys.push(name.clone()),
        }
    }
    keys
}

fn variable_of(key: &str) -> String {
    format!("SATCHEL_{}", key.replace('.', "_").to_uppercase())
}

fn key_of_variable(schema: &Table, name: &str) -> Option<String> {
    all_keys(schema).into_iter().find(|key| variable_of(key) == name)
}

/// Whether a variable is meant for us: `SATCHEL_HTTP_…`. Others may belong to scripts.
fn is_in_a_section(schema: &Table, name: &str) -> bool {
    let sections = schema.iter().filter(|(_, value)| value.is_table());
    sections.map(|(section, _)| format!("{}_", variable_of(section))).any(|prefix| name.starts_with(&prefix))
}

/// Reads a variable's text as the kind of value that the setting has. What doesn't fit stays a text,
/// and is refused with the setting's remedy.
fn value_like(example: Option<&Value>, text: &str) -> Value {
    let text = text.trim();
    let parsed = match example {
        Some(Value::Boolean(_)) => text.parse().ok().map(Value::Boolean),
        Some(Value::Integer(_)) => text.replace('_', "").parse().ok().map(Value::Integer),
        Some(Value::Array(_)) => {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            Some(Value::Array(items.map(|item| Value::String(item.into())).collect()))
        }
        _ => None,
    };
    parsed.unwrap_or_else(|| Value::String(text.into()))
}

fn put(table: &mut Table, key: &str, value: Value) {
    match key.split_once('.') {
        None => {
            table.insert(key.into(), value);
        }
        Some((section, name)) => {
            let inner = table.entry(section).or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(inner) = inner {
                put(inner, name, value);
            }
        }
    }
}

fn remedy_for_variable(key: &str) -> String {
    let expects = expects(key).unwrap_or("see config.toml.example");
    format!("{expects} (in the environment: without quotes or brackets, lists separated by commas)")
}

/// The nearest key there is, for a key there isn't.
fn suggestion(schema: &Table, key: &str) -> String {
    let sections = schema.keys().cloned();
    let nearest = all_keys(schema)
        .into_iter()
        .chain(sections)
        .map(|known| (distance(key, &known), known))
        .min()
        .filter(|(distance, _)| *distance <= 3);
    if let Some((_, known)) = nearest {
        return format!("did you mean `{known}`?");
    }
    // The right name in the wrong section is the other common mistake.
    let name = key.rsplit('.').next().unwrap_or(key);
    let elsewhere = all_keys(schema).into_iter().find(|known| known.rsplit('.').next() == Some(name));
    match elsewhere.as_deref().and_then(|known| known.rsplit_once('.')) {
        Some((section, _)) => format!("`{name}` belongs into the section [{section}]"),
        None => "remove it; config.toml.example lists all settings".into(),
    }
}

/// Levenshtein's edit distance.
fn distance(left: &str, right: &str) -> usize {
    let mut row: Vec<usize> = (0..=right.chars().count()).collect();
    for (i, a) in left.chars().enumerate() {
        let mut diagonal = i;
        let mut before = i + 1;
        let mut next = vec![before];
        for (b, above) in right.chars().zip(row.iter().skip(1)) {
            before = (diagonal + usize::from(a != b)).min(above + 1).min(before + 1);
            diagonal = *above;
            next.push(before);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}
