//! Why a command failed, how that is told, and with which exit code the process ends.

use serde_json::{Value, json};

use crate::config::ConfigError;

/// Refused, or tried and failed.
pub const FAILED: u8 = 1;
/// The command line or the configuration is wrong.
pub const USAGE: u8 = 2;
/// Satchel, or the node in it, isn't there.
pub const UNREACHABLE: u8 = 3;
/// Something looked at is not in order.
pub const PROBLEMS: u8 = 4;

/// A command's failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CliError {
    /// The exit code.
    pub code: u8,
    /// A word for programs.
    pub kind: String,
    /// What is wrong.
    pub message: String,
    /// What to do, if there is something to say that the message doesn't.
    pub help: Option<String>,
}

impl CliError {
    /// Refused or failed.
    pub fn failed(message: impl Into<String>) -> Self {
        Self { code: FAILED, kind: "failed".into(), message: message.into(), help: None }
    }

    /// Bad usage or configuration.
    pub fn usage(message: impl Into<String>) -> Self {
        Self { code: USAGE, kind: "usage".into(), message: message.into(), help: None }
    }

    /// Nobody there.
    pub fn unreachable(message: impl Into<String>) -> Self {
        Self { code: UNREACHABLE, kind: "unreachable".into(), message: message.into(), help: None }
    }

    /// With what to do.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// For people.
    pub fn to_text(&self) -> String {
        match &self.help {
            Some(help) => format!("error: {}\n  help: {help}", self.message),
            None => format!("error: {}", self.message),
        }
    }

    /// For programs.
    pub fn to_json(&self) -> Value {
        let mut error = json!({ "code": self.kind, "message": self.message });
        if let (Some(help), Some(fields)) = (&self.help, error.as_object_mut()) {
            fields.insert("help".into(), json!(help));
        }
        json!({ "error": error })
    }
}

impl From<ConfigError> for CliError {
    fn from(error: ConfigError) -> Self {
        let mut problems = error.problems.iter();
        let mut failure = Self { kind: "config".into(), ..Self::usage("the configuration is not valid") };
        if let Some(first) = problems.next() {
            failure.message = first.to_string();
            failure.help = Some(first.remedy.clone());
        }
        for more in problems {
            let help = failure.help.take().unwrap_or_default();
            failure.help = Some(format!("{help}\nerror: {more}\n  help: {}", more.remedy));
        }
        failure
    }
}

impl From<clap::Error> for CliError {
    fn from(error: clap::Error) -> Self {
        let text = error.render().to_string();
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let first = lines.next().unwrap_or("wrong usage");
        let message = first.strip_prefix("error: ").unwrap_or(first).to_owned();
        let rest: Vec<_> = lines.collect();
        Self::usage(message).help(rest.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_told_in_both_ways() {
        let error = CliError::unreachable("nobody there").help("start it");
        assert_eq!(error.to_text(), "error: nobody there\n  help: start it");
        let told =
            json!({ "error": { "code": "unreachable", "message": "nobody there", "help": "start it" } });
        assert_eq!(error.to_json(), told);
        assert_eq!(CliError::failed("x").to_json(), json!({ "error": { "code": "failed", "message": "x" } }));
    }
}
