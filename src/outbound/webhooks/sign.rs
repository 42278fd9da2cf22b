//! Signatures after the Standard Webhooks specification: HMAC-SHA256 over `id.timestamp.body`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bitcoin::hashes::{Hash, HashEngine, Hmac, HmacEngine, sha256};

use crate::core::ids::{NoRandomness, Secret, random_bytes};

/// Secrets in the specification's own form begin so; the rest is Base64.
const MARK: &str = "whsec_";

/// A new secret for an endpoint: 256 bits.
///
/// # Errors
/// [`NoRandomness`].
pub fn new_secret() -> Result<Secret, NoRandomness> {
    Ok(secret_of(&random_bytes::<32>()?))
}

/// These bytes as a secret in the specification's form.
pub fn secret_of(bytes: &[u8; 32]) -> Secret {
    Secret::new(format!("{MARK}{}", STANDARD.encode(bytes)))
}

/// The `webhook-signature` header of one message. A secret that is not of the form `whsec_<base64>` is used as the
/// bytes of its text: people choose their own.
pub fn signature(secret: &Secret, id: &str, timestamp: i64, body: &[u8]) -> String {
    let key = secret.expose().strip_prefix(MARK).and_then(|text| STANDARD.decode(text).ok());
    let key = key.unwrap_or_else(|| secret.expose().as_bytes().to_vec());
    let mut engine = HmacEngine::<sha256::Hash>::new(&key);
    engine.input(id.as_bytes());
    engine.input(b".");
    engine.input(timestamp.to_string().as_bytes());
    engine.input(b".");
    engine.input(body);
    format!("v1,{}", STANDARD.encode(Hmac::from_engine(engine).to_byte_array()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_specification_s_vector_holds() {
        let secret = Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let signed =
            signature(&secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn an_independent_implementation_agrees() {
        let program = r"
import base64, hashlib, hmac, sys
secret, id, timestamp, body = sys.argv[1:]
key = base64.b64decode(secret[6:]) if secret.startswith('whsec_') else secret.encode()
digest = hmac.new(key, f'{id}.{timestamp}.{body}'.encode(), hashlib.sha256).digest()
print('v1,' + base64.b64encode(digest).decode())";
        for secret in [new_secret().unwrap(), Secret::new("my own words"), Secret::new("")] {
            let body = r#"{"id":"gift","message":"für dich ⚡"}"#;
            let ours = signature(&secret, "msg_1", 1_700_000_000, body.as_bytes());
            let theirs = std::process::Command::new("python3")
                .args(["-c", program, secret.expose(), "msg_1", "1700000000", body])
                .output()
                .expect("this test needs Python: install the package python3");
            assert!(theirs.status.success(), "{}", String::from_utf8_lossy(&theirs.stderr));
            assert_eq!(ours, String::from_utf8(theirs.stdout).unwrap().trim());
        }
    }

    #[test]
    fn a_new_secret_is_of_the_specification_s_form() {
        let (one, two) = (new_secret().unwrap(), new_secret().unwrap());
        assert_ne!(one.expose(), two.expose());
        assert_eq!(STANDARD.decode(&one.expose()[MARK.len()..]).unwrap().len(), 32);
        assert_eq!(format!("{one:?}"), "Secret(..)");
    }
}
