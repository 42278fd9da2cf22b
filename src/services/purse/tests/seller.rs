//! A service that asks for payment in any form, and services that cheat.

use ::l402::mpp::{self, challenge::ChargeDetails};
use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, LOCATION, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use lightning_invoice::Bolt11Invoice;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::test_app::sat;
use crate::core::ids::{PaymentHash, Preimage, from_hex};
use crate::ledger::charges::hash_of;
use crate::lightning::sim::Sim;

/// What everything costs.
pub(super) const PRICE: u64 = 7;

/// Bytes of an answer that is not kept.
const LARGE: usize = 300 * 1_024;

/// The forms in which it asks, by path, and whether a credential is good for more than one answer.
pub(super) const FORMS: [(&str, bool); 11] = [
    ("l402", true),
    ("spec", true),
    ("superset", true),
    ("lsat", true),
    ("two-lines", true),
    ("joined", true),
    ("with-draft", true),
    ("body", true),
    ("nested-body", true),
    ("draft", false),
    ("older", false),
];

struct Shared {
    sim: Arc<Sim>,
    asked: AtomicUsize,
    sold: Mutex<Vec<PaymentHash>>,
    used: Mutex<HashSet<PaymentHash>>,
    standing: Mutex<Option<Bolt11Invoice>>,
    broken: AtomicUsize,
}

pub(super) struct Seller {
    port: u16,
    shared: Arc<Shared>,
}

impl Seller {
    pub(super) async fn start(sim: Arc<Sim>) -> Self {
        let shared = Arc::new(Shared {
            sim,
            asked: AtomicUsize::new(0),
            sold: Mutex::default(),
            used: Mutex::default(),
            standing: Mutex::default(),
            broken: AtomicUsize::new(0),
        });
        let router = Router::new().fallback(serve).with_state(Arc::clone(&shared));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            crate::http::server::serve(listener, router, Default::default(), std::future::pending()).await;
        });
        Self { port, shared }
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}/{path}", self.port)
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Requests that came.
    pub(super) fn asked(&self) -> usize {
        self.shared.asked.load(Ordering::SeqCst)
    }

    /// Payments for which something was sold, each time.
    pub(super) fn sold(&self) -> Vec<PaymentHash> {
        self.shared.sold.lock().unwrap().clone()
    }

    /// Its next answers to who has paid are broken.
    pub(super) fn breaks(&self, times: usize) {
        self.shared.broken.store(times, Ordering::SeqCst);
    }
}

async fn serve(State(seller): State<Arc<Shared>>, request: Request) -> Response {
    seller.asked.fetch_add(1, Ordering::SeqCst);
    let path = request.uri().path().trim_matches('/').to_owned();
    let form = path.split('/').next().unwrap_or_default().to_owned();
    match form.as_str() {
        "free" => return "free".into_response(),
        "bytes" => return vec![0_u8, 159, 146, 150].into_response(),
        "echo" => {
            let (parts, body) = request.into_parts();
            let body = axum::body::to_bytes(body, 10_000).await.unwrap();
            let named = |name: &str| parts.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
            let seen = json!({ "method": parts.method.as_str(), "query": parts.uri.query(),
                "body": String::from_utf8_lossy(&body), "type": named("content-type"), "x": named("x-mine"),
                "host": named("host"), "agent": named("user-agent") });
            return seen.to_string().into_response();
        }
        "redirect" => {
            let mut response = StatusCode::FOUND.into_response();
            let inside = HeaderValue::from_static("http://169.254.169.254/latest/meta-data");
            response.headers_mut().insert(LOCATION, inside);
            return response;
        }
        "endless" => {
            let chunks = futures_util::stream::repeat_with(|| Ok::<_, std::io::Error>("x".repeat(1_000)));
            return Body::from_stream(chunks).into_response();
        }
        "slow" => {
            tokio::time::sleep(Duration::from_secs(60)).await;
            return "late".into_response();
        }
        "no-challenge" => return (StatusCode::PAYMENT_REQUIRED, "pay by card").into_response(),
        "nonsense" => {
            return asks(&[r#"L402 macaroon="AgEE", invoice="lnbcrt1nonsense""#.into()], &Value::Null);
        }
        _ => {}
    }
    if let Some(hash) = shown(request.headers()).filter(|_| form != "again" && form != "raised") {
        let single = form == "draft" || form == "older" || form == "once";
        let fresh = seller.used.lock().unwrap().insert(hash);
        if fresh || !single {
            if seller
                .broken
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1))
                .is_ok()
            {
                tokio::time::sleep(Duration::from_secs(60)).await;
            }
            seller.sold.lock().unwrap().push(hash);
            if path.ends_with("/large") {
                return "x".repeat(LARGE).into_response();
            }
            return format!("sold {path}").into_response();
        }
    }
    let standing = form == "standing";
    let raised = form == "raised" && request.headers().contains_key(AUTHORIZATION);
    let price = if raised { PRICE * 3 } else { PRICE };
    let fresh = || seller.sim.invoice(sat(price), Duration::from_secs(3_600)).0;
    let invoice =
        if standing { seller.standing.lock().unwrap().get_or_insert_with(fresh).clone() } else { fresh() };
    let hash = hash_of(&invoice);
    let (l402, lsat) = (
        format!(r#"L402 macaroon="{hash}", invoice="{invoice}""#),
        format!(r#"LSAT macaroon="{hash}", invoice="{invoice}""#),
    );
    match form.as_str() {
        "spec" => asks(&[format!(r#"L402 version="0", token="{hash}", invoice="{invoice}""#)], &Value::Null),
        "superset" => {
            let line = format!(r#"L402 macaroon="{hash}", invoice="{invoice}", version="0", token="{hash}""#);
            asks(&[line], &Value::Null)
        }
        "lsat" => asks(&[lsat], &Value::Null),
        "two-lines" => asks(&[lsat, l402], &Value::Null),
        "joined" => asks(&[format!("{lsat}, {l402}")], &Value::Null),
        "with-draft" => asks(&[l402, draft(&invoice, PRICE)], &Value::Null),
        "draft" => asks(&[draft(&invoice, PRICE)], &Value::Null),
        "draft-lies" => asks(&[draft(&invoice, 1)], &Value::Null),
        "older" => {
            let line = format!(
                r#"Payment realm="x", method="lightning", invoice="{invoice}", amount="{PRICE}", currency="sat""#
            );
            asks(&[line], &Value::Null)
        }
        "body" => asks(&[], &json!({ "invoice": invoice.to_string(), "macaroon": hash.to_string() })),
        "nested-body" => {
            let inside =
                json!({ "invoice": invoice.to_string(), "macaroon": hash.to_string(), "amount_sats": PRICE });
            asks(&[], &json!({ "error": "Payment Required", "l402": inside }))
        }
        "lies" => asks(&[l402], &json!({ "l402": { "invoice": invoice.to_string(), "amount_sats": 1 } })),
        _ => asks(&[l402], &Value::Null),
    }
}

fn asks(lines: &[String], body: &Value) -> Response {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let mut response = (StatusCode::PAYMENT_REQUIRED, body).into_response();
    for line in lines {
        response.headers_mut().append(WWW_AUTHENTICATE, HeaderValue::from_str(line).unwrap());
    }
    response
}

fn draft(invoice: &Bolt11Invoice, price: u64) -> String {
    let details = ChargeDetails {
        invoice: invoice.to_string(),
        payment_hash: Some(hash_of(invoice).into()),
        network: None,
    };
    let charge =
        mpp::Charge { amount: price.to_string(), currency: "sat".into(), description: None, details };
    let key = mpp::IdKey::new(b"seller");
    key.charge("seller", charge.to_request().unwrap(), "2030-01-01T00:00:00Z".into(), None, None)
        .header_value()
        .unwrap()
}

/// Which payment a request proves.
fn shown(headers: &HeaderMap) -> Option<PaymentHash> {
    let text = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, rest) = text.split_once(' ')?;
    match scheme {
        "L402" | "LSAT" => {
            let (macaroon, preimage) = rest.rsplit_once(':')?;
            let hash = Preimage(from_hex(preimage)?).payment_hash();
            (hash.to_string() == macaroon).then_some(hash)
        }
        "Payment" if rest.starts_with("method=") => {
            let preimage = rest.strip_prefix(r#"method="lightning", preimage=""#)?.strip_suffix('"')?;
            Some(Preimage(from_hex(preimage)?).payment_hash())
        }
        "Payment" => {
            let credential = mpp::Credential::read(rest)?;
            assert!(mpp::IdKey::new(b"seller").recognises(&credential.challenge));
            let hash = credential.preimage()?.payment_hash();
            let asked = mpp::Charge::read(&credential.challenge.request)?.details.payment_hash?;
            (hash == asked).then_some(hash.into())
        }
        _ => None,
    }
}
