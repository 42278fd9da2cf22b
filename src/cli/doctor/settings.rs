//! Settings that are valid but unwise.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use bitcoin::Network;
use reqwest::Url;

use super::Check;
use crate::config::{Config, is_this_machine};
use crate::outbound::guard::{is_inside, is_public};

pub fn look(config: &Config, file: Option<&Path>) -> Vec<Check> {
    let mut checks = vec![public_url(config)];
    let is_reached = !config.http.listen.ip().is_loopback() || !is_local(&config.http.public_url);
    if !config.http.rate_limits && is_reached {
        let remedy = "set http.rate_limits = true; without them a stranger can use up everything";
        checks.push(Check::warn("rate limits", "off, and others can connect", remedy));
    }
    if let Some(address) = config.admin.listen.filter(|address| !address.ip().is_loopback()) {
        let remedy =
            "set admin.listen to an address of this machine, or make sure that only your network reaches it";
        checks.push(Check::warn("operator's API", format!("listens on {address}"), remedy));
    }
    if config.http.public_url.starts_with("https") && config.http.trusted_proxies.is_empty() {
        let remedy = "set http.trusted_proxies to the addresses of the reverse proxy that speaks TLS, like [\"127.0.0.1\"]";
        checks.push(Check::warn(
            "reverse proxy",
            "none is trusted, so all visitors share one rate limit",
            remedy,
        ));
    }
    checks.extend(inner_targets(config));
    let passwords = [&config.chain.bitcoind_password, &config.smtp.password, &config.alerts.webhook_secret];
    let has_password = passwords.iter().any(|password| !password.expose().is_empty());
    if let Some(file) = file {
        checks.extend(writable_by_others(file));
        checks.extend(readable_by_others(file).filter(|_| has_password));
    }
    checks
}

/// Hosts and networks behind the address guard: what strangers name as a webhook or a proxy's target may be asked there.
fn inner_targets(config: &Config) -> Option<Check> {
    if config.network == Network::Regtest {
        return None;
    }
    let (webhooks, proxies) = (&config.webhooks, &config.l402.proxy);
    let lists = [
        ("webhooks", &webhooks.allow_hosts, &webhooks.allow_networks),
        ("l402.proxy", &proxies.allow_hosts, &proxies.allow_networks),
    ];
    let mut open = Vec::new();
    for (section, hosts, networks) in lists {
        let inner =
            hosts.iter().filter(|host| is_inner(host)).map(|host| format!("{section}.allow_hosts {host}"));
        open.extend(inner);
        let inner = networks.iter().filter(|network| !is_public(network.network()));
        open.extend(inner.map(|network| format!("{section}.allow_networks {network}")));
    }
    let says = format!("strangers' webhooks, addresses and proxies may lead inside: {}", open.join(", "));
    let remedy = "name single hosts with their port in l402.proxy.allow_hosts, and nothing that answers without a password";
    (!open.is_empty()).then(|| Check::warn("address guard", says, remedy))
}

/// Whether a host of a list leads inside by its name alone, and with no port that is meant.
fn is_inner(host: &str) -> bool {
    Url::parse(&format!("http://{host}")).is_ok_and(|url| url.port().is_none() && is_inside(&url))
}

fn is_local(public_url: &str) -> bool {
    Url::parse(public_url).is_ok_and(|url| url.host_str().is_some_and(is_this_machine))
}

/// Who can write the settings can send money elsewhere.
fn writable_by_others(file: &Path) -> Option<Check> {
    let mode = std::fs::metadata(file).ok()?.permissions().mode();
    let remedy = format!("chmod go-w {}", file.display());
    (mode & 0o022 != 0)
        .then(|| Check::warn("settings", format!("others can change {}", file.display()), remedy))
}

fn public_url(config: &Config) -> Check {
    const NAME: &str = "public URL";
    let text = &config.http.public_url;
    let Ok(url) = Url::parse(text) else {
        return Check::fail(NAME, format!("{text} is not a URL"), "set http.public_url");
    };
    let host = url.host_str().unwrap_or_default();
    if is_this_machine(host) {
        if config.network == Network::Regtest {
            return Check::ok(NAME, text.as_str());
        }
        let remedy = "set http.public_url to the https address that people reach this server at";
        return Check::warn(NAME, format!("{text}: links work on this machine only"), remedy);
    }
    if url.scheme() != "https" && !host.ends_with(".onion") {
        let remedy = "put a proxy that speaks TLS in front and set http.public_url to its https address";
        return Check::warn(NAME, format!("{text}: wallets refuse http"), remedy);
    }
    Check::ok(NAME, text.as_str())
}

fn readable_by_others(file: &Path) -> Option<Check> {
    let mode = std::fs::metadata(file).ok()?.permissions().mode();
    let remedy = format!("chmod 600 {}", file.display());
    (mode & 0o077 != 0)
        .then(|| Check::warn("password", format!("others can read it in {}", file.display()), remedy))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::Level;

    fn level(network: Network, url: &str) -> Level {
        let mut config = Config { network, ..Config::default() };
        config.http.public_url = url.into();
        public_url(&config).level
    }

    #[test]
    fn wallets_want_https() {
        assert_eq!(level(Network::Bitcoin, "https://gifts.example.com"), Level::Ok);
        assert_eq!(level(Network::Bitcoin, "http://abc.onion"), Level::Ok);
        assert_eq!(level(Network::Bitcoin, "http://gifts.example.com"), Level::Warn);
        assert_eq!(level(Network::Bitcoin, "http://127.0.0.1:3000"), Level::Warn);
        assert_eq!(level(Network::Signet, "http://[::1]:3000"), Level::Warn);
        assert_eq!(level(Network::Regtest, "http://127.0.0.1:3000"), Level::Ok);
    }

    #[test]
    fn open_doors_need_limits() {
        let mut config = Config { network: Network::Regtest, ..Config::default() };
        config.http.public_url = "http://127.0.0.1:3000".into();
        config.http.rate_limits = false;
        assert_eq!(look(&config, None).len(), 1);
        config.http.listen = "0.0.0.0:3000".parse().unwrap();
        assert!(look(&config, None).iter().any(|check| check.name == "rate limits"));
    }

    fn told(config: &Config, name: &str) -> bool {
        look(config, None).iter().any(|check| check.name == name && check.level == Level::Warn)
    }

    #[test]
    fn limits_are_needed_behind_a_proxy_too() {
        let mut config = Config { network: Network::Bitcoin, ..Config::default() };
        config.http.public_url = "https://gifts.example.com".into();
        config.http.rate_limits = false;
        assert!(told(&config, "rate limits"));
        config.http.rate_limits = true;
        assert!(!told(&config, "rate limits"));
    }

    #[test]
    fn listener_of_the_operator_that_others_reach_is_told() {
        let mut config = Config::default();
        config.admin.listen = Some("0.0.0.0:3001".parse().unwrap());
        assert!(told(&config, "operator's API"));
        config.admin.listen = Some("127.0.0.1:3001".parse().unwrap());
        assert!(!told(&config, "operator's API"));
    }

    #[test]
    fn https_without_a_trusted_proxy_is_told() {
        let mut config = Config::default();
        config.http.public_url = "https://gifts.example.com".into();
        assert!(told(&config, "reverse proxy"));
        config.http.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
        assert!(!told(&config, "reverse proxy"));
    }

    #[test]
    fn guard_that_lets_strangers_inside_is_told() {
        let with = |change: fn(&mut Config)| {
            let mut config = Config { network: Network::Bitcoin, ..Config::default() };
            change(&mut config);
            told(&config, "address guard")
        };
        assert!(!with(|_| ()));
        assert!(with(|config| config.webhooks.allow_networks = vec!["10.0.0.0/8".parse().unwrap()]));
        assert!(with(|config| config.webhooks.allow_hosts = vec!["hooks.internal".into()]));
        assert!(with(|config| config.l402.proxy.allow_networks = vec!["127.0.0.0/8".parse().unwrap()]));
        assert!(with(|config| config.l402.proxy.allow_hosts = vec!["localhost".into()]));
        assert!(
            !with(|config| config.l402.proxy.allow_hosts = vec!["localhost:8080".into()]),
            "one port is meant"
        );
        assert!(!with(|config| config.webhooks.allow_networks = vec!["1.1.1.0/24".parse().unwrap()]));
        assert!(!with(|config| {
            config.network = Network::Regtest;
            config.webhooks.allow_networks = vec!["127.0.0.0/8".parse().unwrap()];
        }));
    }

    #[test]
    fn settings_that_others_can_change_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.toml");
        crate::config::data_dir::write_private(&file, "x").unwrap();
        let is_told = || look(&Config::default(), Some(&file)).iter().any(|check| check.name == "settings");
        assert!(!is_told());
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o664)).unwrap();
        assert!(is_told());
    }

    #[test]
    fn a_password_in_a_readable_file_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.toml");
        crate::config::data_dir::write_private(&file, "x").unwrap();
        assert_eq!(readable_by_others(&file), None);
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(readable_by_others(&file).is_some());
    }
}
