//! Whether the mail server takes letters.

use bitcoin::Network;

use super::Check;
use crate::config::Config;
use crate::outbound::mail::Mailer;

const NAME: &str = "mail";

/// On a network of play money nothing to say if none is set.
pub async fn look(config: &Config) -> Option<Check> {
    let smtp = &config.smtp;
    let server = format!("{}:{}", smtp.host, smtp.port);
    let remedy = "check [smtp]: host, port, security, user and password";
    match Mailer::new(smtp) {
        Ok(None) => (config.network != Network::Regtest).then(none),
        Ok(Some(mailer)) => Some(match mailer.greet().await {
            Ok(()) => Check::ok(NAME, format!("{server} takes letters")),
            Err(why) => Check::fail(NAME, format!("{server}: {why}"), remedy),
        }),
        Err(error) => Some(Check::fail(NAME, error.to_string(), remedy)),
    }
}

fn none() -> Check {
    let says = "no server is set: nobody can log in by mail, and no reminders and receipts are sent";
    Check::warn(NAME, says, "set [smtp], if any of that is wanted")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::Level;
    use crate::config::Smtp;
    use crate::outbound::mail::post_office::PostOffice;

    #[tokio::test]
    async fn a_server_is_asked_and_no_letter_is_sent() {
        let on = |network: Network, smtp: Smtp| Config { network, smtp, ..Config::default() };
        assert_eq!(look(&on(Network::Regtest, Smtp::default())).await, None);
        assert_eq!(look(&on(Network::Bitcoin, Smtp::default())).await.unwrap().level, Level::Warn);
        let look = async |smtp: &Smtp| look(&on(Network::Bitcoin, smtp.clone())).await;
        let office = PostOffice::open().await;
        assert_eq!(look(&office.settings()).await.map(|check| check.level), Some(Level::Ok));
        let nobody = Smtp { port: 1, ..office.settings() };
        let check = look(&nobody).await.unwrap();
        assert_eq!(check.level, Level::Fail);
        assert!(check.says.starts_with("127.0.0.1:1: ") && check.remedy.is_some(), "{}", check.says);
        assert!(office.received().is_empty());
    }
}
