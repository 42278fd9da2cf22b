//! What is wrong with a configuration, where, and what to do.

use std::fmt;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// File and line, environment variable, or flag.
    pub place: String,
    /// What is wrong, naming the key.
    pub what: String,
    /// What to do about it.
    pub remedy: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

/// The configuration can't be used. There is nothing to retry: it must be changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// Everything that is wrong, in the order of the file as far as known. Never empty.
    pub problems: Vec<Problem>,
}

impl ConfigError {
    pub(super) fn one(place: impl Into<String>, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { problems: vec![Problem { place: place.into(), what: what.into(), remedy: remedy.into() }] }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, problem) in self.problems.iter().enumerate() {
            if number > 0 {
                writeln!(f)?;
            }
            write!(f, "{problem}\n  help: {}", problem.remedy)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}
