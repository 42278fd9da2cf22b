//! Case by case: what is accepted, what is refused, and what the refusal says.

use std::collections::BTreeSet;
use std::path::PathBuf;

use bitcoin::Network;

use super::load::{Environment, all_keys, load, schema};
use super::settings::SETTINGS;
use super::*;

/// Loads `file` as the configuration of an otherwise empty data folder.
fn load_text(file: &str, variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("config.toml"), file).unwrap();
    let overrides = Overrides { data_dir: Some(folder.path().to_owned()), ..Overrides::default() };
    load(&overrides, &environment(variables))
}

fn environment(variables: &[(&str, &str)]) -> Environment {
    Environment::new(variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
}

/// The only problem of a file: its place without the folder, what, remedy.
fn problem(file: &str) -> (String, String, String) {
    let error = load_text(file, &[]).unwrap_err();
    assert_eq!(error.problems.len(), 1, "{error}");
    let problem = error.problems.into_iter().next().unwrap();
    let place = problem.place.rsplit('/').next().unwrap_or_default().to_owned();
    (place, problem.what, problem.remedy)
}

#[track_caller]
fn refused(file: &str, place: &str, what: &str, remedy: &str) {
    let found = problem(file);
    assert!(found.0 == place && found.1.contains(what) && found.2.contains(remedy), "{found:#?}");
}

#[test]
fn the_example_says_the_defaults() {
    let parsed: Config = toml::from_str(EXAMPLE).unwrap();
    assert_eq!(parsed, Config::default());
}

#[test]
fn the_example_and_the_remedies_name_every_key() {
    let keys: BTreeSet<_> = all_keys(&schema()).into_iter().collect();
    let example: toml::Table = toml::from_str(EXAMPLE).unwrap();
    assert_eq!(keys, all_keys(&example).into_iter().collect());
    assert_eq!(keys, SETTINGS.iter().map(|(key, _)| (*key).to_owned()).collect());
}

#[test]
fn every_key_of_the_example_is_explained() {
    let lines: Vec<_> = EXAMPLE.lines().collect();
    for section in lines.split(|line| line.starts_with('[')) {
        let first = section.iter().find(|line| !line.is_empty()).unwrap();
        assert!(first.starts_with('#'), "the section that begins with `{first}` begins without a why");
    }
}

#[test]
fn an_empty_file_and_no_file_give_the_defaults_filled_in() {
    let config = load_text("", &[]).unwrap();
    assert_eq!(config.http.public_url, "http://127.0.0.1:3000");
    assert_eq!(config.chain.esplora_url, "https://blockstream.info/api");
    assert_eq!(config.chain.bitcoind_port, 8332);
    assert_eq!(config.chain.rest_host, "127.0.0.1");
    let folder = tempfile::tempdir().unwrap();
    let overrides = Overrides { data_dir: Some(folder.path().to_owned()), ..Overrides::default() };
    let without = load(&overrides, &environment(&[])).unwrap();
    assert_eq!(without, Config { data_dir: folder.path().to_owned(), ..config });
}

#[test]
fn the_whole_example_loads() {
    assert!(load_text(EXAMPLE, &[]).is_ok());
}

#[test]
fn a_file_that_was_named_must_exist() {
    let overrides =
        Overrides { config_file: Some("/nonexistent/config.toml".into()), ..Overrides::default() };
    let error = load(&overrides, &environment(&[])).unwrap_err();
    assert_eq!(error.problems[0].place, "/nonexistent/config.toml");
    assert!(error.to_string().contains("help: give --config"));
}

#[test]
fn unknown_keys_are_refused_with_the_nearest_one() {
    refused(
        "[http]\n\nlistn = \"x\"",
        "config.toml:3",
        "no setting `http.listn`",
        "did you mean `http.listen`?",
    );
    refused("networ = \"signet\"", "config.toml:1", "no setting `networ`", "did you mean `network`?");
    refused("[htpp]\nlisten = 1\nfoo = 2", "config.toml:1", "no setting `htpp`", "did you mean `http`?");
    refused(
        "[node]\npublic_url = \"x\"",
        "config.toml:2",
        "node.public_url",
        "belongs into the section [http]",
    );
    refused("[gifts]\nsomething = 1", "config.toml:2", "gifts.something", "config.toml.example");
    refused("data_dir = \"x\"", "config.toml:1", "data_dir", "config.toml.example");
}

#[test]
fn all_unknown_keys_are_told_at_once() {
    let error = load_text("a = 1\n[http]\nb = 2\n", &[]).unwrap_err();
    assert_eq!(error.problems.len(), 2);
}

#[test]
fn wrong_types_are_refused_with_their_line() {
    refused("[http]\nlisten = 3000", "config.toml:2", "http.listen", "like \"127.0.0.1:3000\"");
    refused("[http]\nlisten = \"localhost\"", "config.toml:2", "http.listen", "address and a port");
    refused("[http]\nrate_limits = \"no\"", "config.toml:2", "http.rate_limits", "true or false");
    refused("[gifts]\n# why\nmin_sat = -1", "config.toml:3", "gifts.min_sat", "whole number of sat");
    refused("[gifts]\nmin_sat = 1.5", "config.toml:2", "gifts.min_sat", "whole number of sat");
    refused("[chain]\nsource = \"core\"", "config.toml:2", "chain.source", "\"bitcoind\"");
    refused("[chain]\nbitcoind_port = 70000", "config.toml:2", "chain.bitcoind_port", "port number");
    refused("network = \"mainnet\"", "config.toml:1", "\"mainnet\" is not a network", "\"bitcoin\"");
    refused("network = \"mainnet\"", "config.toml:1", "write bitcoin for the main network", "\"bitcoin\"");
    refused("network = \"testnet4\"", "config.toml:1", "testnet4 is not supported", "\"signet\"");
    refused("network = \"localhost\"", "config.toml:1", "write regtest", "\"regtest\"");
    refused(
        "[http]\ntrusted_proxies = [\"localhost\"]",
        "config.toml:2",
        "write \"127.0.0.0/8\", and \"::1\"",
        "list of IP networks",
    );
    refused("network = \"testnet4\"", "config.toml:1", "not a network", "\"signet\"");
    refused("http = 3", "config.toml:1", "http", "[name]");
    refused(
        "[http]\ntrusted_proxies = [\"10.0.0.0/99\"]",
        "config.toml:2",
        "10.0.0.0/99",
        "list of IP networks",
    );
    refused("[node]\nzero_conf_peers = [\"02ab\"]", "config.toml:2", "02ab", "66 hex digits");
    refused("[log]\nformat = \"xml\"", "config.toml:2", "log.format", "\"text\" or \"json\"");
}

#[test]
fn what_is_not_toml_is_refused_with_its_line() {
    refused("network = \"signet\"\n[http\n", "config.toml:2", "", "key = value");
    refused("network = signet", "config.toml:1", "", "quotes");
    refused("network = \"signet\"\nnetwork = \"regtest\"", "config.toml:2", "duplicate", "key = value");
}

#[test]
fn a_password_is_never_quoted() {
    let (_, what, _) = problem("[chain]\nbitcoind_password = 12345678");
    assert!(!what.contains("1234"), "{what}");
    let config = load_text("[chain]\nbitcoind_password = \"hunter2\"", &[]).unwrap();
    assert!(!format!("{config:?}").contains("hunter2"));
    assert!(!toml::to_string(&config).unwrap().contains("hunter2"));
}

#[test]
fn a_node_that_does_not_listen_has_no_name_and_no_address() {
    refused("[node]\nalias = \"a\"", "config.toml:2", "node.alias", "set node.listen");
    refused("[node]\nannounce = [\"a.b:1\"]", "config.toml:2", "node.announce", "set node.listen");
    assert!(
        load_text(
            "[node]\nalias = \"a\"\nlisten = [\"[::]:9735\"]\nannounce = [\"a.b:1\", \"[::1]:2\"]",
            &[]
        )
        .is_ok()
    );
}

#[test]
fn the_alias_has_at_most_32_bytes() {
    let file = |alias: &str| format!("[node]\nlisten = [\"0.0.0.0:9735\"]\nalias = \"{alias}\"");
    assert!(load_text(&file(&"a".repeat(32)), &[]).is_ok());
    refused(&file(&"ä".repeat(17)), "config.toml:3", "34 bytes", "at most 32 bytes");
}

#[test]
fn addresses_of_the_node_are_checked() {
    refused(
        "[node]\nlisten = [\"0.0.0.0:1\"]\nannounce = [\"a b:1\"]",
        "config.toml:3",
        "a b:1",
        "hosts with ports",
    );
    refused(
        "[node]\nlisten = [\"0.0.0.0:1\"]\nannounce = [\"a\"]",
        "config.toml:3",
        "not host:port",
        "hosts with ports",
    );
    refused(
        "[node]\nlisten = [\"127.0.0.1:3000\"]",
        "config.toml:2",
        "same address as http.listen",
        "different ports",
    );
    refused("[node]\nlisten = [\"0.0.0.0:1\", \"0.0.0.0:1\"]", "config.toml:2", "twice", "once");
}

#[test]
fn each_chain_source_asks_for_what_it_needs() {
    refused("network = \"regtest\"", "config.toml", "no public esplora", "chain.esplora_url");
    refused("[chain]\nsource = \"electrum\"", "config.toml:2", "electrum", "chain.electrum_url");
    refused(
        "[chain]\nsource = \"electrum\"\nelectrum_url = \"https://a\"",
        "config.toml:3",
        "not a server",
        "ssl://",
    );
    refused("[chain]\nesplora_url = \"ftp://a\"", "config.toml:2", "neither http", "base URL");
    let user = "[chain]\nsource = \"bitcoind\"\nbitcoind_user = \"u\"\n";
    refused(user, "config.toml", "chain.bitcoind_password", "SATCHEL_CHAIN_BITCOIND_PASSWORD");
    refused(
        "[chain]\nsource = \"bitcoind\"\nbitcoind_password = \"p\"\n",
        "config.toml",
        "chain.bitcoind_user",
        "rpcuser",
    );
    let rest = "[chain]\nsource = \"bitcoind_rest\"\nbitcoind_user = \"u\"\nbitcoind_password = \"p\"\n";
    refused(&format!("{rest}rest_host = \"http://a\""), "config.toml:5", "not a host", "without a port");
    let config = load_text(user, &[("SATCHEL_CHAIN_BITCOIND_PASSWORD", "p")]).unwrap();
    assert_eq!(config.chain.bitcoind_password.expose(), "p");
}

#[test]
fn mail_goes_out_protected_and_whole() {
    let mail = "[smtp]\nhost = \"mail.example\"\nfrom = \"Satchel <tips@example.com>\"\n";
    let config = load_text(mail, &[]).unwrap();
    assert_eq!((config.smtp.port, config.smtp.security), (587, SmtpSecurity::Starttls));
    let with = |more: &str| format!("{mail}{more}");
    assert_eq!(load_text(&with("security = \"tls\""), &[]).unwrap().smtp.port, 465);
    refused(&with("security = \"none\""), "config.toml:4", "smtp.security", "\"starttls\"");
    for host in ["localhost", "127.0.0.1", "::1"] {
        let file = with("security = \"none\"").replace("mail.example", host);
        assert_eq!(load_text(&file, &[]).unwrap().smtp.port, 25);
    }
    refused(&with("security = \"ssl\""), "config.toml:4", "smtp.security", "\"starttls\"");
    refused(&with("user = \"u\""), "config.toml", "smtp.password", "SATCHEL_SMTP_PASSWORD");
    let config = load_text(&with("user = \"u\""), &[("SATCHEL_SMTP_PASSWORD", "hunter2")]).unwrap();
    assert_eq!(config.smtp.password.expose(), "hunter2");
    assert!(!format!("{config:?}").contains("hunter2"));
    refused("[smtp]\nhost = \"mail.example\"", "config.toml", "smtp.from", "tips@example.com");
    refused("[smtp]\nhost = \"a:25\"\nfrom = \"a@b.c\"", "config.toml:2", "smtp.host", "without a port");
    refused("[smtp]\nfrom = \"a@b.c\"", "config.toml:2", "no mail server", "smtp.host");
    for bad in ["Satchel", "<>", "a@b.c, d@e.f", "Größe <a@b.c>", "a@b.c\\r\\nBcc: d@e.f", "x> <a@b.c>"] {
        let file = format!("[smtp]\nhost = \"mail.example\"\nfrom = \"{bad}\"");
        refused(&file, "config.toml:3", "smtp.from", "tips@example.com");
    }
    refused(&with("max_per_hour = 0"), "config.toml:4", "smtp.max_per_hour", "at least 1");
}

#[test]
fn rgs_needs_its_server() {
    refused("[node]\ngossip = \"rgs\"", "config.toml:2", "node.gossip", "node.rgs_url");
    refused("[node]\ngossip = \"rgs\"\nrgs_url = \"x\"", "config.toml:3", "node.rgs_url", "URL");
    assert!(load_text("[node]\ngossip = \"rgs\"\nrgs_url = \"https://a/b\"", &[]).is_ok());
}

#[test]
fn numbers_out_of_range_are_refused() {
    for (file, key) in [
        ("[gifts]\nmin_sat = 0", "gifts.min_sat"),
        ("[gifts]\nmin_sat = 10\nmax_sat = 9", "gifts.max_sat"),
        ("[gifts]\nmax_sat = 2_100_000_000_000_000", "gifts.max_sat"),
        ("[gifts]\ninvoice_expiry_secs = 1", "gifts.invoice_expiry_secs"),
        ("[gifts]\nverify_code_tries = 0", "gifts.verify_code_tries"),
        ("[http]\nmax_connections = 0", "http.max_connections"),
        ("[http]\nmax_body_bytes = 10", "http.max_body_bytes"),
        ("[http]\nheader_timeout_secs = 0", "http.header_timeout_secs"),
        ("[http]\nlisten = \"127.0.0.1:0\"", "http.listen"),
        ("[limits]\nwrite = 0", "limits.write"),
        ("[payouts]\nmax_fee_ppm = 1_000_001", "payouts.max_fee_ppm"),
        ("[payouts]\nin_flight_per_channel = 484", "payouts.in_flight_per_channel"),
        ("[webhooks]\ngive_up_after_days = 0", "webhooks.give_up_after_days"),
        ("[log]\nlevel = \"satchel=loud\"", "log.level"),
    ] {
        assert!(problem(file).1.starts_with(key), "{file}: {:?}", problem(file));
    }
}

#[test]
fn the_public_url_has_one_form() {
    let url =
        |text: &str| load_text(&format!("[http]\npublic_url = \"{text}\""), &[]).map(|c| c.http.public_url);
    assert_eq!(url("https://gifts.example.com/").unwrap(), "https://gifts.example.com");
    assert_eq!(url("https://example.com/satchel/").unwrap(), "https://example.com/satchel");
    assert_eq!(
        load_text("[http]\nlisten = \"0.0.0.0:81\"", &[]).unwrap().http.public_url,
        "http://127.0.0.1:81"
    );
    for bad in ["gifts.example.com", "ftp://a", "https://a?b", "https://a#b", "https://u:p@a", "https://"] {
        assert!(url(bad).is_err(), "{bad}");
    }
}

#[test]
fn the_environment_wins_over_the_file_and_flags_over_both() {
    let file = "network = \"signet\"\n[http]\nlisten = \"127.0.0.1:1\"\ntrusted_proxies = [\"10.0.0.1\"]";
    let variables = [
        ("SATCHEL_HTTP_LISTEN", "127.0.0.1:2"),
        ("SATCHEL_HTTP_TRUSTED_PROXIES", "127.0.0.1, 10.0.0.0/8"),
        ("SATCHEL_GIFTS_MAX_SAT", "1_000"),
        ("SATCHEL_HTTP_RATE_LIMITS", "false"),
        ("SATCHEL_LOG_LEVEL", ""),
        ("SATCHEL_ADMIN_KEY", "not a setting"),
    ];
    let config = load_text(file, &variables).unwrap();
    assert_eq!(config.network, Network::Signet);
    assert_eq!(config.http.listen.port(), 2);
    assert_eq!(config.http.trusted_proxies, ["127.0.0.1/32".parse().unwrap(), "10.0.0.0/8".parse().unwrap()]);
    assert_eq!((config.gifts.max_sat, config.http.rate_limits), (1_000, false));
    assert_eq!(config.log.level, "info");

    let overrides = Overrides {
        data_dir: Some("elsewhere".into()),
        network: Some(Network::Testnet),
        http_listen: Some("127.0.0.1:3".parse().unwrap()),
        log_level: Some("debug".into()),
        ..Overrides::default()
    };
    let config = load(&overrides, &environment(&variables)).unwrap();
    assert_eq!((config.network, config.http.listen.port()), (Network::Testnet, 3));
    assert_eq!((config.log.level.as_str(), config.data_dir), ("debug", PathBuf::from("elsewhere")));
}

#[test]
fn sections_within_sections_are_set_in_the_same_ways() {
    let file = "[l402]\ntoken_secs = 7_200\n[l402.proxy]\nmax_proxies = 7\nallow_hosts = [\"a:1\"]";
    let variables = [("SATCHEL_L402_PROXY_ALLOW_HOSTS", "localhost:8080, box.lan")];
    let config = load_text(file, &variables).unwrap();
    assert_eq!((config.l402.token_secs, config.l402.proxy.max_proxies), (7_200, 7));
    assert_eq!(config.l402.proxy.allow_hosts, ["localhost:8080", "box.lan"]);
    refused(
        "[l402.proxy]\nmax_proxys = 1",
        "config.toml:2",
        "max_proxys",
        "did you mean `l402.proxy.max_proxies`?",
    );
    refused("[l402.proxi]\nenabled = true", "config.toml:1", "l402.proxi", "");
    refused("[l402.proxy]\nmax_proxies = \"x\"", "config.toml:2", "l402.proxy.max_proxies", "whole number");
    refused("[l402.proxy]\nallow_hosts = [\"http://x\"]", "config.toml:2", "is not a host", "localhost:8080");
    refused("[l402.content]\nprice_sat = 0", "config.toml:2", "out of range", "");
    let dear = "[l402]\nmax_price_sat = 100\n[l402.content]\nbundle_price_sat = 101";
    refused(dear, "config.toml:4", "out of range", "");
    let error = load_text("", &[("SATCHEL_L402_PROXY_MAX_PROXIES", "many")]).unwrap_err();
    assert_eq!(error.problems[0].place, "SATCHEL_L402_PROXY_MAX_PROXIES");
}

#[test]
fn a_bad_variable_is_named() {
    let error = load_text("", &[("SATCHEL_HTTP_LISTEN", "here")]).unwrap_err();
    assert_eq!(error.problems[0].place, "SATCHEL_HTTP_LISTEN");
    assert!(error.to_string().contains("without quotes"), "{error}");
    let error = load_text("", &[("SATCHEL_GIFTS_MIN_SAT", "many"), ("SATCHEL_HTTP_LISTN", "x")]).unwrap_err();
    assert_eq!(error.problems.len(), 2, "{error}");
    let error = load_text("", &[("SATCHEL_GIFTS_MIN_SAT", "0")]).unwrap_err();
    assert_eq!(error.problems[0].place, "SATCHEL_GIFTS_MIN_SAT");
}

#[test]
fn the_data_folder_can_come_from_the_environment() {
    let config =
        load(&Overrides::default(), &environment(&[("SATCHEL_DATA_DIR", "/nonexistent/there")])).unwrap();
    assert_eq!(config.database_path(), PathBuf::from("/nonexistent/there/satchel.db"));
}

#[test]
fn only_regtest_has_rates_that_nobody_set() {
    let public = load_text("", &[]).unwrap().rates;
    assert_eq!((public.source, public.fixed.len()), (RatesFrom::Http, 0));
    let regtest = "network = \"regtest\"\n[chain]\nesplora_url = \"http://a\"\n[rates]\n";
    let plausible = load_text(regtest, &[]).unwrap().rates;
    assert_eq!((plausible.source, plausible.fixed.len()), (RatesFrom::Fixed, 10));
    let set = load_text(&format!("{regtest}fixed = [\"usd 50000.5\"]"), &[]).unwrap().rates;
    assert_eq!(set.fixed, [("USD".parse().unwrap(), "50000.5".parse().unwrap())]);
    let variables = [("SATCHEL_RATES_SOURCE", "fixed"), ("SATCHEL_RATES_FIXED", "USD 50000, EUR 45000")];
    assert_eq!(load_text("", &variables).unwrap().rates.fixed.len(), 2);
    refused("[rates]\nsource = \"fixed\"", "config.toml:2", "needs rates", "rates.fixed");
}

#[test]
fn bad_rates_are_refused() {
    for bad in ["USD", "50000", "USD -1", "USD 5,0", "BTC 1", "USD 1e99"] {
        refused(&format!("[rates]\nfixed = [\"{bad}\"]"), "config.toml:2", bad, "like [\"USD 60000\"");
    }
    for bad in ["0", "1000000000001", "0.000000001"] {
        refused(&format!("[rates]\nfixed = [\"EUR {bad}\"]"), "config.toml:2", "can't cost", "8 digits");
    }
    refused("[rates]\nfixed = [\"USD 1\", \"usd 2\"]", "config.toml:2", "twice", "once");
    refused("[rates]\nsource = \"magic\"", "config.toml:2", "rates.source", "\"http\"");
    refused("[rates]\nkraken_url = \"kraken\"", "config.toml:2", "rates.kraken_url", "base URL");
    refused("[rates]\nrefresh_secs = 200", "config.toml", "rates.max_age_secs", "twice");
    refused("[rates]\nrefresh_secs = 1", "config.toml:2", "out of range", "from 10");
    let none = "[rates]\nmempool_url = \"\"\ncoinbase_url = \"\"\nkraken_url = \"\"";
    refused(none, "config.toml", "somebody to ask", "at least one");
    let config = load_text("[rates]\nmempool_url = \"http://10.0.0.1:8999/\"", &[]).unwrap();
    assert_eq!(config.rates.mempool_url, "http://10.0.0.1:8999");
}

#[test]
fn shopify_shops_are_whole_and_named_once() {
    let good = "[[shop.shopify]]\nstore = \"mugs\"\ndomain = \"Example.myshopify.com\"\nclient_id = \"id\"\nclient_secret = \"hunter2\"\n";
    let config = load_text(good, &[]).unwrap();
    let shop = &config.shop.shopify[0];
    assert_eq!((shop.domain.as_str(), shop.sync_secs), ("example.myshopify.com", 300));
    assert_eq!(shop.client_secret.expose(), "hunter2");
    assert!(!format!("{config:?}").contains("hunter2"));
    assert!(!toml::to_string(&config).unwrap().contains("hunter2"));
    let other = good.replace("mugs", "cups").replace("Example", "other");
    assert_eq!(load_text(&format!("{good}{other}"), &[]).unwrap().shop.shopify.len(), 2);
    let refuse = |file: &str, what: &str, remedy: &str| refused(file, "config.toml:1", what, remedy);
    refuse(&format!("{good}{good}").replacen("Example", "other", 1), "named twice", "remove one");
    refuse(&format!("{good}{good}").replacen("mugs", "cups", 1), "named twice", "same pieces");
    refuse(&good.replace("mugs", "Mugs!"), "not the slug", "satchel store create");
    for bad in [
        "example.com",
        "https://example.myshopify.com",
        "a.b.myshopify.com",
        ".myshopify.com",
        "x.myshopify.com/",
    ] {
        refuse(&good.replace("Example.myshopify.com", bad), "is not the domain", "example.myshopify.com");
    }
    refuse(&good.replace("client_id = \"id\"\n", ""), "client_id is missing", "Dev Dashboard");
    refuse(
        &good.replace("client_secret = \"hunter2\"\n", ""),
        "client_secret is missing",
        "client_secret_file",
    );
    refuse(&format!("{good}sync_secs = 1"), "out of range", "from 5");
    refuse(&format!("{good}endpoint = \"http://127.0.0.1:1\""), "regtest alone", "remove endpoint");
    let regtest = "network = \"regtest\"\n[chain]\nesplora_url = \"http://a\"\n";
    assert!(load_text(&format!("{regtest}{good}endpoint = \"http://127.0.0.1:1\""), &[]).is_ok());
    let elsewhere = format!("{regtest}{good}endpoint = \"https://evil.example\"");
    assert!(problem(&elsewhere).1.contains("on this machine"), "{:?}", problem(&elsewhere));
    let (_, what, _) = problem(&format!("{good}secret = \"hunter3\""));
    assert!(!what.contains("hunter"), "{what}");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    let filed = good.replace(
        "client_secret = \"hunter2\"",
        &format!("client_secret_file = {:?}", path.display().to_string()),
    );
    refuse(&filed, "can't be read", "into that file");
    std::fs::write(&path, "shpss_abc\n").unwrap();
    assert_eq!(load_text(&filed, &[]).unwrap().shop.shopify[0].client_secret.expose(), "shpss_abc");
    std::fs::write(&path, "two words").unwrap();
    refuse(&filed, "does not hold one secret", "into that file");
    refuse(&format!("{good}client_secret_file = \"/x\""), "both given", "remove one");
}
