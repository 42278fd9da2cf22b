//! Settings that are valid but unwise.

use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use bitcoin::Network;
use reqwest::Url;

use super::Check;
use crate::config::Config;

pub fn look(config: &Config, file: Option<&Path>) -> Vec<Check> {
    let mut checks = vec![public_url(config)];
    if !config.http.rate_limits && !config.http.listen.ip().is_loopback() {
        let remedy = "set http.rate_limits = true, or http.listen to an address of this machine alone";
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
    let passwords = [&config.chain.bitcoind_password, &config.smtp.password];
    let has_password = passwords.iter().any(|password| !password.expose().is_empty());
    if let Some(file) = file.filter(|_| has_password) {
        checks.extend(readable_by_others(file));
    }
    checks
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

fn is_this_machine(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
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

    #[test]
    fn a_password_in_a_readable_file_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.toml");
        crate::data_dir::write_private(&file, "x").unwrap();
        assert_eq!(readable_by_others(&file), None);
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(readable_by_others(&file).is_some());
    }
}
