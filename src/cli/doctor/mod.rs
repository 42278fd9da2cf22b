//! `satchel doctor`: looks at everything a satchel needs, with or without one running, and says what is
//! wrong and what to do about it. Changes nothing.

mod bitcoind;
mod books;
mod chain;
mod esplora;
mod exposure;
mod files;
mod mail;
mod node;
mod services;
mod settings;

use serde_json::{Value, json};

use super::args::Global;
use super::error::{CliError, PROBLEMS};
use super::report::Report;
use crate::config::Config;
use crate::config::data_dir::PassphraseSources;

/// How bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// As it should be.
    Ok,
    /// Works, but not as well or as safely as it could.
    Warn,
    /// Doesn't work.
    Fail,
}

impl Level {
    fn name(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Warn => "WARN",
            Self::Fail => "FAIL",
        }
    }
}

/// One thing looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    name: &'static str,
    level: Level,
    says: String,
    remedy: Option<String>,
}

impl Check {
    fn ok(name: &'static str, says: impl Into<String>) -> Self {
        Self { name, level: Level::Ok, says: says.into(), remedy: None }
    }

    fn warn(name: &'static str, says: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { name, level: Level::Warn, says: says.into(), remedy: Some(remedy.into()) }
    }

    fn fail(name: &'static str, says: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { name, level: Level::Fail, says: says.into(), remedy: Some(remedy.into()) }
    }
}

pub async fn run(global: &Global) -> Result<Report, CliError> {
    let overrides = global.overrides();
    let (config, mut checks) = match Config::load(&overrides) {
        Ok(config) => {
            let file = Config::file_for(&overrides);
            let says = file.map_or("no file, all defaults".into(), |file| file.display().to_string());
            (config, vec![Check::ok("configuration", says)])
        }
        Err(error) => {
            let problems = error.problems.iter();
            let checks =
                problems.map(|problem| Check::fail("configuration", problem.to_string(), &problem.remedy));
            let checks = checks.collect();
            // What can't even be read leaves nothing to look at.
            let Ok(config) = Config::load_unchecked(&overrides) else {
                return Ok(report(checks));
            };
            (config, checks)
        }
    };
    checks.extend(settings::look(&config, Config::file_for(&overrides).as_deref()));
    let passphrase = PassphraseSources::of_process(&config.node.seed_passphrase_file);
    checks.extend(files::look(&config, &passphrase));
    checks.extend(chain::look(&config).await);
    checks.extend(mail::look(&config).await);
    checks.extend(node::look(global, &config).await);
    Ok(report(checks))
}

fn report(checks: Vec<Check>) -> Report {
    let count = |level: Level| checks.iter().filter(|check| check.level == level).count();
    let (warnings, failures) = (count(Level::Warn), count(Level::Fail));
    let widest = checks.iter().map(|check| check.name.len()).max().unwrap_or_default();
    let mut text = String::new();
    for check in &checks {
        text.push_str(&format!("{:<4}  {:<widest$}  {}\n", check.level.name(), check.name, check.says));
        if let Some(remedy) = &check.remedy {
            text.push_str(&format!("      {:<widest$}  help: {remedy}\n", ""));
        }
    }
    text.push_str(&match (failures, warnings) {
        (0, 0) => "\nall is well".to_owned(),
        (0, _) => format!("\nworks, with {warnings} to look at"),
        _ => format!("\n{failures} wrong, {warnings} to look at"),
    });
    let list: Vec<Value> = checks.iter().map(to_json).collect();
    let json = json!({ "ok": failures == 0, "warnings": warnings, "failures": failures, "checks": list });
    Report { json, text, code: if failures == 0 { 0 } else { PROBLEMS } }
}

fn to_json(check: &Check) -> Value {
    json!({ "name": check.name, "status": check.level.name(), "message": check.says, "help": check.remedy })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_failure_makes_the_whole_fail() {
        let mut checks = vec![Check::ok("disk", "5 GB free"), Check::warn("channels", "none", "open one")];
        let fine = report(checks.clone());
        assert_eq!((fine.code, &fine.json["ok"], &fine.json["warnings"]), (0, &json!(true), &json!(1)));
        let expected = "OK    disk      5 GB free\nWARN  channels  none\n                help: open one\n\nworks, with 1 to look at";
        assert_eq!(fine.text, expected);
        checks.push(Check::fail("clock", "wrong", "set it"));
        let bad = report(checks);
        assert_eq!((bad.code, &bad.json["checks"][2]["status"]), (4, &json!("FAIL")));
        assert!(bad.text.ends_with("1 wrong, 1 to look at"), "{}", bad.text);
    }
}
