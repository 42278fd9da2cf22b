//! What a service asks for with status 402, in every form that services use: `L402` and `LSAT` headers, the `Payment`
//! scheme and its older form, and the same in a JSON body.
//!
//! All of it comes from a stranger: it is bounded in size, and a sum that it names is compared with the invoice.

use ::l402::params::{self, Scheme};
use ::l402::{Identifier, Macaroon, b64, mpp};
use axum::http::HeaderMap;
use axum::http::header::WWW_AUTHENTICATE;
use serde_json::Value;

use super::credential::Proof;
use crate::core::ids::PaymentHash;
use crate::core::money::Msat;

/// Bytes of a macaroon, or of a whole challenge of the `Payment` scheme, as text.
const LONGEST: usize = 8_192;

/// Bytes of an invoice.
const LONGEST_INVOICE: usize = 8_192;

/// Names of an invoice in JSON bodies.
const INVOICE: [&str; 5] = ["invoice", "paymentRequest", "payment_request", "bolt11", "pr"];

/// Names of a macaroon in JSON bodies.
const MACAROON: [&str; 3] = ["macaroon", "macaroonBase64", "token"];

/// Names of a price in sat in JSON bodies.
const AMOUNT: [&str; 6] = ["amount_sats", "amountSats", "amount_sat", "priceSats", "price_sats", "totalSats"];

/// Members of a JSON body that may hold the challenge.
const INSIDE: [&str; 4] = ["l402", "lsat", "L402", "challenge"];

/// What a service asks for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Demand {
    /// BOLT11, not yet read.
    pub(crate) invoice: String,
    /// What it says that it costs, wherever it says so.
    pub(crate) told: Vec<Msat>,
    /// What the credential is made of.
    pub(crate) proof: Proof,
}

impl Demand {
    /// Whether its macaroon is for another payment than this: then the service would not take what is paid.
    pub(crate) fn is_for_another(&self, hash: PaymentHash) -> bool {
        let Proof::Token { macaroon, .. } = &self.proof else { return false };
        let first = macaroon.split(',').next().unwrap_or_default();
        let read = b64::read_any(first).and_then(|bytes| Macaroon::read(&bytes).ok());
        let named = read.and_then(|macaroon| Identifier::read(macaroon.identifier()));
        named.is_some_and(|identifier| identifier.payment_hash != hash.into())
    }
}

/// Reads what an answer with status 402 asks for; `None` if nothing in it can be paid over Lightning. A token, which
/// is good for more than one answer, is preferred.
pub(crate) fn read(headers: &HeaderMap, body: &[u8]) -> Option<Demand> {
    let lines = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
    let mut schemes: Vec<Scheme> = lines.flat_map(params::challenges).collect();
    let json: Option<Value> = serde_json::from_slice(body).ok();
    let objects = json.as_ref().map(objects).unwrap_or_default();
    if let Some(line) = objects.iter().find_map(|object| object.get("mppChallenge")?.as_str()) {
        schemes.extend(params::challenges(line));
    }
    let from_body = objects.iter().find_map(|object| text_of(object, &INVOICE));
    let token = schemes.iter().find_map(|scheme| token(scheme, from_body));
    let found = token
        .or_else(|| objects.iter().find_map(|object| token_in_body(object, from_body)))
        .or_else(|| schemes.iter().find_map(payment))
        .or_else(|| schemes.iter().find_map(older_payment));
    let mut demand = found.filter(|demand| demand.invoice.len() <= LONGEST_INVOICE)?;
    // Whoever names a sum for this invoice must mean what the invoice asks for.
    for object in &objects {
        if text_of(object, &INVOICE).is_none_or(|invoice| invoice.eq_ignore_ascii_case(&demand.invoice)) {
            demand.told.extend(amount_of(object));
        }
    }
    Some(demand)
}

/// The body, and what in it may hold the challenge.
fn objects(body: &Value) -> Vec<&Value> {
    let inside = INSIDE.iter().filter_map(|name| body.get(name));
    std::iter::once(body).chain(inside).filter(|value| value.is_object()).collect()
}

fn text_of<'a>(object: &'a Value, names: &[&str]) -> Option<&'a str> {
    names.iter().find_map(|name| object.get(name)?.as_str()).filter(|text| !text.is_empty())
}

fn amount_of(object: &Value) -> Option<Msat> {
    AMOUNT.iter().find_map(|name| object.get(name)?.as_u64()).and_then(Msat::from_sat)
}

/// An `L402` or `LSAT` challenge; its invoice may stand in the body.
fn token(scheme: &Scheme, from_body: Option<&str>) -> Option<Demand> {
    let name = ["L402", "LSAT"].into_iter().find(|name| scheme.name.eq_ignore_ascii_case(name))?;
    let macaroon = scheme.get("macaroon").or_else(|| scheme.get("token"))?;
    let invoice = scheme.get("invoice").or(from_body)?;
    demand_of(name, macaroon, invoice)
}

fn token_in_body(object: &Value, invoice: Option<&str>) -> Option<Demand> {
    demand_of("L402", text_of(object, &MACAROON)?, text_of(object, &INVOICE).or(invoice)?)
}

fn demand_of(scheme: &str, macaroon: &str, invoice: &str) -> Option<Demand> {
    let fits = !macaroon.is_empty()
        && macaroon.len() <= LONGEST
        && macaroon.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/=-_,.~".contains(&byte));
    let proof = Proof::Token { scheme: scheme.to_owned(), macaroon: macaroon.to_owned() };
    fits.then(|| Demand { invoice: invoice.trim().to_owned(), told: Vec::new(), proof })
}

/// A complete challenge of the `Payment` scheme for one payment over Lightning.
fn payment(scheme: &Scheme) -> Option<Demand> {
    let challenge = payment_challenge(scheme)?;
    let ours = challenge.method.eq_ignore_ascii_case(mpp::METHOD)
        && challenge.intent.eq_ignore_ascii_case(mpp::INTENT);
    let size = serde_json::to_string(&challenge).map_or(usize::MAX, |text| text.len());
    if !ours || size > LONGEST {
        return None;
    }
    let charge = mpp::Charge::read(&challenge.request)?;
    let told = told(&charge.amount, &charge.currency)?;
    let proof = Proof::Payment(Box::new(challenge));
    Some(Demand { invoice: charge.details.invoice, told: vec![told], proof })
}

fn payment_challenge(scheme: &Scheme) -> Option<mpp::Challenge> {
    if !scheme.name.eq_ignore_ascii_case("Payment") {
        return None;
    }
    let text = |name: &str| scheme.get(name).map(str::to_owned);
    Some(mpp::Challenge {
        id: text("id")?,
        realm: text("realm")?,
        method: text("method")?,
        intent: text("intent")?,
        request: text("request")?,
        expires: text("expires"),
        digest: text("digest"),
        description: text("description"),
        opaque: text("opaque"),
    })
}

/// The older form: method, invoice, amount and currency in the header.
fn older_payment(scheme: &Scheme) -> Option<Demand> {
    let ours = scheme.name.eq_ignore_ascii_case("Payment")
        && scheme.get("method").is_some_and(|method| method.eq_ignore_ascii_case(mpp::METHOD));
    let invoice = scheme.get("invoice").filter(|_| ours)?;
    let told = match scheme.get("amount") {
        Some(amount) => vec![told(amount, scheme.get("currency").unwrap_or("sat"))?],
        None => Vec::new(),
    };
    Some(Demand { invoice: invoice.trim().to_owned(), told, proof: Proof::Preimage })
}

/// An amount as the `Payment` scheme writes it; `None` for what is no amount of sats.
fn told(amount: &str, currency: &str) -> Option<Msat> {
    let number: u64 = amount.parse().ok()?;
    match currency.to_ascii_lowercase().as_str() {
        "sat" | "sats" => Msat::from_sat(number),
        "msat" => Msat::new(number),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use serde_json::json;

    use super::*;

    fn headers(lines: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(WWW_AUTHENTICATE, HeaderValue::from_str(line).unwrap());
        }
        headers
    }

    fn token_of(demand: Option<Demand>) -> Option<(String, String, String)> {
        let demand = demand?;
        match demand.proof {
            Proof::Token { scheme, macaroon } => Some((scheme, macaroon, demand.invoice)),
            _ => None,
        }
    }

    fn draft(amount: &str) -> String {
        let charge = mpp::Charge {
            amount: amount.into(),
            currency: "sat".into(),
            description: None,
            details: mpp::challenge::ChargeDetails {
                invoice: "lnbc1".into(),
                payment_hash: None,
                network: None,
            },
        };
        mpp::IdKey::new(b"k")
            .charge("r", charge.to_request().unwrap(), "2030-01-01T00:00:00Z".into(), None, None)
            .header_value()
            .unwrap()
    }

    #[test]
    fn every_form_of_token_is_read() {
        let expected = |scheme: &str| Some((scheme.to_owned(), "AgEE==".to_owned(), "lnbc1".to_owned()));
        let lines: [(&[&str], &str); 8] = [
            (&[r#"L402 macaroon="AgEE==", invoice="lnbc1""#], "L402"),
            (&[r#"L402 version="0", token="AgEE==", invoice="lnbc1""#], "L402"),
            (&[r#"L402 version="0", token="AgEE==", macaroon="AgEE==", invoice="lnbc1""#], "L402"),
            (&[r#"L402 macaroon="AgEE==", invoice="lnbc1", version="0", token="AgEE==""#], "L402"),
            (
                &[r#"LSAT macaroon="AgEE==", invoice="lnbc1""#, r#"L402 macaroon="AgEE==", invoice="lnbc1""#],
                "LSAT",
            ),
            (
                &[r#"LSAT macaroon="AgEE==", invoice="lnbc1", L402 macaroon="AgEE==", invoice="lnbc1""#],
                "LSAT",
            ),
            (&["l402 macaroon=AgEE==, invoice=lnbc1"], "L402"),
            (
                &[
                    r#"Basic realm="a""#,
                    r#"Payment realm="x", method="lightning", invoice="lnbc9""#,
                    r#"L402 macaroon="AgEE==", invoice="lnbc1""#,
                ],
                "L402",
            ),
        ];
        for (lines, scheme) in lines {
            assert_eq!(token_of(read(&headers(lines), b"")), expected(scheme), "{lines:?}");
        }
        for body in [
            json!({ "invoice": "lnbc1", "macaroon": "AgEE==" }),
            json!({ "l402": { "invoice": "lnbc1", "macaroon": "AgEE==", "amount_sats": 3 } }),
            json!({ "orderId": "x", "invoice": "lnbc1", "macaroonBase64": "AgEE==", "totalSats": 3 }),
            json!({ "payment_request": "lnbc1", "token": "AgEE==" }),
        ] {
            assert_eq!(
                token_of(read(&HeaderMap::new(), body.to_string().as_bytes())),
                expected("L402"),
                "{body}"
            );
        }
        let split = read(&headers(&[r#"L402 macaroon="AgEE==""#]), br#"{"invoice":"lnbc1"}"#);
        assert_eq!(token_of(split), expected("L402"));
    }

    #[test]
    fn payment_challenges_are_read_where_there_is_no_token() {
        let demand = read(&headers(&[&draft("7")]), b"").unwrap();
        assert!(matches!(demand.proof, Proof::Payment(_)), "{demand:?}");
        assert_eq!((demand.invoice.as_str(), demand.told), ("lnbc1", vec![Msat::from_sat(7).unwrap()]));
        let both = [draft("7"), r#"L402 macaroon="AgEE", invoice="lnbc1""#.to_owned()];
        let demand = read(&headers(&[&both.join(", ")]), b"").unwrap();
        assert!(matches!(demand.proof, Proof::Token { .. }), "{demand:?}");
        let older = r#"Payment realm="x", method="lightning", invoice="lnbc1", amount="100", currency="sat""#;
        let demand = read(&headers(&[older]), b"").unwrap();
        assert_eq!((demand.proof, demand.told), (Proof::Preimage, vec![Msat::from_sat(100).unwrap()]));
        let body = json!({ "mppChallenge": draft("7") }).to_string();
        assert!(read(&HeaderMap::new(), body.as_bytes()).is_some());
    }

    #[test]
    fn prices_in_the_body_are_told_of_the_same_invoice_alone() {
        let lines = headers(&[r#"L402 macaroon="AgEE", invoice="lnbc1""#]);
        let told = |body: Value| read(&lines, body.to_string().as_bytes()).unwrap().told;
        assert_eq!(told(json!({ "priceSats": 5 })), [Msat::from_sat(5).unwrap()]);
        assert_eq!(
            told(json!({ "l402": { "invoice": "LNBC1", "amount_sats": 6 } })),
            [Msat::from_sat(6).unwrap()]
        );
        assert_eq!(told(json!({ "invoice": "lnbc2", "amount_sats": 6 })), Vec::<Msat>::new());
    }

    #[test]
    fn nonsense_asks_for_nothing() {
        let long = "A".repeat(LONGEST + 1);
        for line in [
            r#"Basic realm="x""#,
            "L402",
            r#"L402 macaroon="AgEE""#,
            r#"L402 macaroon="a b", invoice="lnbc1""#,
            r#"L402 macaroon="", invoice="lnbc1""#,
            r#"Payment method="card", invoice="lnbc1""#,
            r#"Payment method="lightning", invoice="lnbc1", amount="-1", currency="sat""#,
            &draft("a lot"),
            &format!(r#"L402 macaroon="{long}", invoice="lnbc1""#),
        ] {
            assert_eq!(read(&headers(&[line]), b"<html>"), None, "{line}");
        }
        assert_eq!(read(&HeaderMap::new(), br#"[{"invoice":"a","macaroon":"b"}]"#), None);
    }
}
