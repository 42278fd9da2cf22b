//! The line that asks for payment.

/// A `WWW-Authenticate` value of the L402 scheme. The order matters: clients look for `macaroon` right behind the
/// scheme and for `invoice` right behind that; newer ones read `version` and `token`.
pub fn line(macaroon: &str, invoice: &str) -> String {
    format!(r#"L402 macaroon="{macaroon}", invoice="{invoice}", version="0", token="{macaroon}""#)
}
