//! Free loopback ports and random secrets for the things a network starts.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use anyhow::{Result, anyhow, bail};

/// Ports are taken from below the range from which Linux serves outgoing connections (32768 and up), so that a
/// service that is stopped for a while finds its port free when it comes back.
const FIRST_PORT: u16 = 10_000;
const PORT_COUNT: u16 = 22_000;
const ATTEMPTS: usize = 200;

/// A loopback address whose port nobody listens on now.
pub(crate) fn free_address() -> Result<SocketAddr> {
    Ok(free_listener()?.local_addr()?)
}

/// Listens on such an address. To ask for the address and listen there afterwards may fail: a child that another
/// thread starts in between holds the first socket until it runs its program.
pub(crate) fn free_listener() -> Result<TcpListener> {
    for _ in 0..ATTEMPTS {
        let random = u16::from_be_bytes(random_bytes::<2>()?);
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, FIRST_PORT + random % PORT_COUNT));
        if let Ok(listener) = TcpListener::bind(address) {
            return Ok(listener);
        }
    }
    bail!("found no free port on 127.0.0.1 in {ATTEMPTS} attempts")
}

/// Bytes from the system's random source.
pub(crate) fn random_bytes<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| anyhow!("the system gives no random bytes: {error}"))?;
    Ok(bytes)
}

/// A random 128-bit secret in hex.
pub(crate) fn random_secret() -> Result<String> {
    Ok(hex(&random_bytes::<16>()?))
}

/// Lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String can't fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Exactly 32 bytes from hex of either case.
pub(crate) fn hex32(text: &str) -> Option<[u8; 32]> {
    use ldk_node::bitcoin::hex::FromHex;
    <[u8; 32]>::from_hex(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_ports_stay_below_the_ephemeral_range() {
        for _ in 0..20 {
            assert!((FIRST_PORT..32_000).contains(&free_address().unwrap().port()));
        }
    }

    #[test]
    fn hex_goes_both_ways() {
        let bytes = random_bytes::<32>().unwrap();
        assert_eq!(hex32(&hex(&bytes)), Some(bytes));
        assert_eq!(hex32(&hex(&bytes).to_uppercase()), Some(bytes));
        assert_eq!(hex32("00"), None);
        assert_eq!(hex32(&"zz".repeat(32)), None);
    }
}
