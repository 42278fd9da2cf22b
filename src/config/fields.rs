//! How single values are read and written where serde's own way would be too lax or too terse.

/// A network, by one of the four names.
pub mod network {
    use bitcoin::Network;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    /// Its name.
    pub fn serialize<S: Serializer>(network: &Network, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(network)
    }

    /// From one of the four names.
    ///
    /// # Errors
    /// Another name, with a hint if it is known what is meant.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Network, D::Error> {
        let name = String::deserialize(deserializer)?;
        parse(&name).ok_or_else(|| {
            let hint = hint(&name).map(|hint| format!(": {hint}")).unwrap_or_default();
            D::Error::custom(format!("\"{name}\" is not a network{hint}"))
        })
    }

    /// What is meant by names that others use.
    pub fn hint(name: &str) -> Option<&'static str> {
        match name.trim().to_ascii_lowercase().as_str() {
            "mainnet" | "main" | "mainnet-beta" | "livenet" | "btc" | "bitcoin" => {
                Some("write bitcoin for the main network")
            }
            "testnet3" | "test" => Some("write testnet"),
            "testnet4" => Some("testnet4 is not supported; signet is the test network to use instead"),
            "mutinynet" => Some("write signet, and name its servers in [chain]"),
            "localhost" | "local" | "reg" | "simnet" => Some("write regtest for a network of your own"),
            _ => None,
        }
    }

    /// The node runs on these four only.
    pub fn parse(name: &str) -> Option<Network> {
        match name {
            "bitcoin" => Some(Network::Bitcoin),
            "testnet" => Some(Network::Testnet),
            "signet" => Some(Network::Signet),
            "regtest" => Some(Network::Regtest),
            _ => None,
        }
    }
}

/// An address with a port; an empty text is none.
pub mod optional_address {
    use std::net::SocketAddr;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(address: &Option<SocketAddr>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&address.map(|address| address.to_string()).unwrap_or_default())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SocketAddr>, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.is_empty() {
            return Ok(None);
        }
        let address =
            text.parse().map_err(|_| D::Error::custom(format!("\"{text}\" is no address with a port")));
        address.map(Some)
    }
}

/// IP networks like `10.0.0.0/8`; a bare address is a network of one.
pub mod networks {
    use std::net::IpAddr;

    use ipnet::IpNet;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(networks: &[IpNet], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(networks.iter().map(ToString::to_string))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<IpNet>, D::Error> {
        let texts = Vec::<String>::deserialize(deserializer)?;
        let parse = |text: &String| {
            let network = text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
            let is_local = text.trim().eq_ignore_ascii_case("localhost");
            let hint = if is_local { ": write \"127.0.0.0/8\", and \"::1\" for IPv6" } else { "" };
            network.ok_or_else(|| D::Error::custom(format!("\"{text}\" is not an IP network{hint}")))
        };
        texts.iter().map(parse).collect()
    }
}

/// Node ids: 66 hex digits of a public key.
pub mod node_ids {
    use bitcoin::secp256k1::PublicKey;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(ids: &[PublicKey], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(ids.iter().map(ToString::to_string))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<PublicKey>, D::Error> {
        let texts = Vec::<String>::deserialize(deserializer)?;
        let parse = |text: &String| {
            text.parse().map_err(|_| D::Error::custom(format!("\"{text}\" is not a node id")))
        };
        texts.iter().map(parse).collect()
    }
}

/// Rates like `USD 60000`: a currency, and units of it for one bitcoin.
pub mod rates {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    use crate::core::currency::Currency;
    use crate::core::decimal::Decimal;

    type Rate = (Currency, Decimal);

    pub fn serialize<S: Serializer>(rates: &[Rate], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(rates.iter().map(|(currency, rate)| format!("{currency} {rate}")))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Rate>, D::Error> {
        let texts = Vec::<String>::deserialize(deserializer)?;
        let parse = |text: &String| {
            read(text)
                .ok_or_else(|| D::Error::custom(format!("\"{text}\" is not the rate of a currency we know")))
        };
        texts.iter().map(parse).collect()
    }

    fn read(text: &str) -> Option<Rate> {
        let (currency, rate) = text.split_once(' ')?;
        Some((currency.parse().ok()?, rate.trim().parse().ok()?))
    }
}

/// A secret: a mistake in it is never quoted, and it is never written.
pub mod secret {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    use crate::core::ids::Secret;

    pub fn serialize<S: Serializer>(_: &Secret, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("")
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
        let text =
            String::deserialize(deserializer).map_err(|_| D::Error::custom("it must be a text in quotes"))?;
        Ok(Secret::new(text))
    }
}
