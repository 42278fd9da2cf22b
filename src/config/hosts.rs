//! What the host of an address says about where it leads.

use std::net::IpAddr;

/// Whether `host` is this machine: `localhost` or a loopback address, IPv6 with or without the brackets that URLs need.
pub fn is_this_machine(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    host.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_this_machine_with_and_without_brackets() {
        for host in ["localhost", "LOCALHOST", "127.0.0.1", "127.8.0.1", "::1", "[::1]"] {
            assert!(is_this_machine(host), "{host}");
        }
        for host in ["", "[", "[::1", "::1]", "10.0.0.1", "[fe80::1]", "localhost.example.com", "example.com"]
        {
            assert!(!is_this_machine(host), "{host}");
        }
    }
}
