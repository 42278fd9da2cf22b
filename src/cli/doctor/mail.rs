//! Whether the mail server takes letters.

use super::Check;
use crate::config::Smtp;
use crate::mail::Mailer;

const NAME: &str = "mail";

/// Nothing to say if none is set.
pub async fn look(smtp: &Smtp) -> Option<Check> {
    let server = format!("{}:{}", smtp.host, smtp.port);
    let remedy = "check [smtp]: host, port, security, user and password";
    match Mailer::new(smtp) {
        Ok(None) => None,
        Ok(Some(mailer)) => Some(match mailer.greet().await {
            Ok(()) => Check::ok(NAME, format!("{server} takes letters")),
            Err(why) => Check::fail(NAME, format!("{server}: {why}"), remedy),
        }),
        Err(error) => Some(Check::fail(NAME, error.to_string(), remedy)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::Level;
    use crate::mail::post_office::PostOffice;

    #[tokio::test]
    async fn a_server_is_asked_and_no_letter_is_sent() {
        assert_eq!(look(&Smtp::default()).await, None);
        let office = PostOffice::open().await;
        assert_eq!(look(&office.settings()).await.map(|check| check.level), Some(Level::Ok));
        let nobody = Smtp { port: 1, ..office.settings() };
        let check = look(&nobody).await.unwrap();
        assert_eq!(check.level, Level::Fail);
        assert!(check.says.starts_with("127.0.0.1:1: ") && check.remedy.is_some(), "{}", check.says);
        assert!(office.received().is_empty());
    }
}
