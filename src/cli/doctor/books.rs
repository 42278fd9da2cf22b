//! The books, as the running satchel audits them.

use serde_json::Value;

use super::Check;
use crate::cli::client::Client;
use crate::cli::show::{items, yes};

const NAME: &str = "books";

pub async fn look(client: &Client) -> Check {
    match client.get("audit").await {
        Ok(audit) => judge(&audit),
        Err(error) => {
            Check::warn(NAME, format!("could not be looked at: {}", error.message), "try again in a moment")
        }
    }
}

fn judge(audit: &Value) -> Check {
    let list = |name| items(audit, name).filter_map(Value::as_str).collect::<Vec<_>>().join("; ");
    let (problems, warnings) = (list("problems"), list("warnings"));
    if !yes(audit, "clean") {
        let says = if problems.is_empty() { "are not right".to_owned() } else { problems };
        return Check::fail(
            NAME,
            says,
            "stop taking payments, keep the data folder as it is, and report this",
        );
    }
    if !warnings.is_empty() {
        return Check::warn(NAME, warnings, "see `satchel audit`");
    }
    Check::ok(NAME, "are right")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cli::doctor::Level;

    #[test]
    fn wrong_books_are_the_worst_news() {
        assert_eq!(judge(&json!({ "clean": true, "problems": [], "warnings": [] })).level, Level::Ok);
        assert_eq!(judge(&json!({ "clean": true, "warnings": ["thin"] })).level, Level::Warn);
        let bad = judge(&json!({ "clean": false, "problems": ["a", "b"] }));
        assert_eq!((bad.level, bad.says.as_str()), (Level::Fail, "a; b"));
    }
}
