//! The configuration that satchel gets on a test network.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use toml::{Table, Value};

use crate::ChainSource;

/// What the configuration says about where satchel listens.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Addresses {
    /// For HTTP.
    pub(crate) http: SocketAddr,
    /// For the operator.
    pub(crate) admin: SocketAddr,
    /// For Lightning peers.
    pub(crate) p2p: SocketAddr,
}

/// A configuration for regtest: no rate limits, and past the address guard loopback, and only that.
pub(crate) fn generate(addresses: &Addresses, chain: &ChainSource) -> Table {
    let Addresses { http, admin, p2p } = addresses;
    let text = |text: &str| Value::String(text.to_owned());
    let list = |items: &[&str]| Value::Array(items.iter().map(|item| text(item)).collect());
    let table = |entries: Vec<(&str, Value)>| -> Table {
        entries.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    };
    table(vec![
        ("network", text("regtest")),
        (
            "http",
            Value::Table(table(vec![
                ("listen", text(&http.to_string())),
                ("public_url", text(&format!("http://{http}"))),
                ("rate_limits", Value::Boolean(false)),
            ])),
        ),
        ("admin", Value::Table(table(vec![("listen", text(&admin.to_string()))]))),
        (
            "node",
            Value::Table(table(vec![
                ("listen", list(&[&p2p.to_string()])),
                ("alias", text("satchel-regtest")),
            ])),
        ),
        (
            "chain",
            Value::Table(table(vec![
                ("source", text("bitcoind")),
                ("bitcoind_host", text("127.0.0.1")),
                ("bitcoind_port", Value::Integer(chain.port.into())),
                ("bitcoind_user", text(&chain.user)),
                ("bitcoind_password", text(&chain.password)),
            ])),
        ),
        ("webhooks", Value::Table(table(vec![("allow_networks", list(&["127.0.0.0/8", "::1/128"]))]))),
    ])
}

/// Lays `over` on top of `base`: tables are merged, anything else is replaced.
pub(crate) fn merge(base: &mut Table, over: Table) {
    for (name, value) in over {
        match (base.get_mut(&name), value) {
            (Some(Value::Table(below)), Value::Table(above)) => merge(below, above),
            (_, value) => {
                base.insert(name, value);
            }
        }
    }
}

/// Where a satchel with this configuration listens.
///
/// # Errors
/// An override took an address away or made it something else.
pub(crate) fn addresses(config: &Table) -> Result<Addresses> {
    let section = |name: &str| config.get(name).and_then(Value::as_table);
    let listen = |name: &str| section(name).and_then(|table| table.get("listen")).and_then(Value::as_str);
    let (http, admin) = (listen("http"), listen("admin"));
    let p2p = section("node")
        .and_then(|node| node.get("listen"))
        .and_then(Value::as_array)
        .and_then(|list| list.first())
        .and_then(Value::as_str);
    let parse = |text: Option<&str>, name: &str| -> Result<SocketAddr> {
        let text = text.with_context(|| format!("the configuration has no {name}"))?;
        text.parse().with_context(|| format!("{name} isn't an address: {text}"))
    };
    let (http, admin) = (parse(http, "http.listen")?, parse(admin, "admin.listen")?);
    Ok(Addresses { http, admin, p2p: parse(p2p, "node.listen")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generated() -> Table {
        let chain = ChainSource { port: 3, user: "u".into(), password: "p".into() };
        let at = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
        generate(&Addresses { http: at(1), admin: at(4), p2p: at(2) }, &chain)
    }

    #[test]
    fn generates_what_satchel_reads() {
        let expected = r#"
            network = "regtest"
            [http]
            listen = "127.0.0.1:1"
            public_url = "http://127.0.0.1:1"
            rate_limits = false
            [admin]
            listen = "127.0.0.1:4"
            [node]
            listen = ["127.0.0.1:2"]
            alias = "satchel-regtest"
            [chain]
            source = "bitcoind"
            bitcoind_host = "127.0.0.1"
            bitcoind_port = 3
            bitcoind_user = "u"
            bitcoind_password = "p"
            [webhooks]
            allow_networks = ["127.0.0.0/8", "::1/128"]
        "#;
        assert_eq!(generated(), expected.parse::<Table>().unwrap());
        assert_eq!(toml::to_string(&generated()).unwrap().parse::<Table>().unwrap(), generated());
    }

    #[test]
    fn overrides_are_merged_deeply() {
        let mut config = generated();
        merge(
            &mut config,
            "[http]\nrate_limits = true\n[gifts]\nfee_ppm = 5\n[node]\nlisten = [\"127.0.0.1:9\"]"
                .parse()
                .unwrap(),
        );
        assert_eq!(config["http"]["rate_limits"].as_bool(), Some(true));
        assert_eq!(config["http"]["listen"].as_str(), Some("127.0.0.1:1"));
        assert_eq!(config["gifts"]["fee_ppm"].as_integer(), Some(5));
        assert_eq!(addresses(&config).unwrap().p2p, "127.0.0.1:9".parse().unwrap());
    }

    #[test]
    fn an_override_without_addresses_is_refused() {
        let mut config = generated();
        merge(&mut config, "[node]\nlisten = []".parse().unwrap());
        assert!(addresses(&config).unwrap_err().to_string().contains("node.listen"));
    }
}
