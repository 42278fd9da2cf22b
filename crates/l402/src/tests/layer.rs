//! A price on a service.

use std::cell::Cell;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::routing::get;
use axum::{Extension, Router};
use http::header::AUTHORIZATION;
use http::{HeaderMap, Request, Response, StatusCode};
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::mpp::Challenge;
use crate::{
    Admitted, Challenger, Invoice, InvoiceRequest, LeaseId, LeaseStore, MemoryLeaseStore, PaymentHash,
    PaymentLease, Paywall, PaywallSettings, Preimage, Price, Unavailable, b64, params,
};

const NOON: i64 = 1_800_000_000;

thread_local! {
    static NOW: Cell<i64> = const { Cell::new(NOON) };
}

/// Makes invoices that hold their preimage, until it is out of order.
#[derive(Clone, Default)]
struct Wallet(Arc<Mutex<Made>>);

#[derive(Default)]
struct Made {
    requests: Vec<InvoiceRequest>,
    broken: bool,
}

#[derive(Debug, thiserror::Error)]
#[error("no channel")]
struct NoChannel;

impl Challenger for Wallet {
    type Error = NoChannel;

    async fn create_invoice(&self, request: InvoiceRequest) -> Result<Invoice, NoChannel> {
        let mut made = self.0.lock().unwrap();
        if made.broken {
            return Err(NoChannel);
        }
        made.requests.push(request);
        let preimage = Preimage([u8::try_from(made.requests.len()).unwrap(); 32]);
        Ok(Invoice { payment_hash: preimage.payment_hash(), bolt11: format!("ln{preimage}") })
    }
}

fn settings() -> PaywallSettings {
    PaywallSettings { secret: [7; 32], realm: "shop.example".into(), network: "regtest".into() }
}

struct Shop {
    router: Router,
    wallet: Wallet,
    broken: Arc<Mutex<bool>>,
}

/// What was bought: the two credentials of one payment.
struct Bought {
    token: String,
    payment: String,
}

impl Shop {
    fn new() -> Self {
        let (wallet, broken) = (Wallet::default(), Arc::new(Mutex::new(false)));
        let paywall = Paywall::with_clock(settings(), wallet.clone(), MemoryLeaseStore::new(), || NOW.get());
        let breaks = Arc::clone(&broken);
        let weather = get(move |paid: Option<Extension<Admitted>>| {
            let broken = *breaks.lock().unwrap();
            async move {
                if broken {
                    return Err(StatusCode::BAD_GATEWAY);
                }
                Ok(format!("{:?}", paid.map(|Extension(paid)| paid.amount_sat)))
            }
        });
        let price = Price::sat(5).description("The weather");
        let all = Price::sat(50).resource("everything").lifetime(Duration::from_secs(60));
        let router = Router::new()
            .route("/weather/{town}", weather.layer(paywall.priced(price.clone())))
            .route(
                "/dear",
                get(async || "dear").layer(paywall.priced(Price::sat(6).resource("/weather/ulm"))),
            )
            .route("/all", get(async || "all").layer(paywall.priced(all)))
            .route("/one", get(async || "one").layer(paywall.priced(price.clone().bundle("everything"))))
            .route("/slow", get(std::future::pending::<&str>).layer(paywall.priced(price)));
        Self { router, wallet, broken }
    }

    async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Response<Body> {
        let request = Request::builder().method(method).uri(path);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let sent: Result<_, Infallible> =
            self.router.clone().oneshot(request.body(Body::empty()).unwrap()).await;
        sent.unwrap()
    }

    async fn show(&self, path: &str, credential: &str) -> (u16, String) {
        let response = self.send("GET", path, &[("authorization", credential)]).await;
        let status = response.status().as_u16();
        let bytes = to_bytes(response.into_body(), 10_000).await.unwrap();
        (status, String::from_utf8(bytes.to_vec()).unwrap())
    }

    /// Shows a credential that is refused, and says why it was.
    async fn refusal(&self, path: &str, credential: &str) -> String {
        let (status, text) = self.show(path, credential).await;
        assert_eq!(status, 402, "{text}");
        let body: Value = serde_json::from_str(&text).unwrap();
        body["type"].as_str().unwrap().strip_prefix("https://paymentauth.org/problems/").unwrap().to_owned()
    }

    async fn buy(&self, path: &str) -> Bought {
        Bought::with(self.send("GET", path, &[]).await.headers())
    }
}

impl Bought {
    /// Pays what a response asks for.
    fn with(asked: &HeaderMap) -> Self {
        let lines = asked.get_all("www-authenticate").iter().map(|value| value.to_str().unwrap());
        let lines = lines.collect::<Vec<_>>().join(", ");
        let schemes = params::challenges(&lines);
        let preimage = schemes[0].get("invoice").unwrap().strip_prefix("ln").unwrap();
        let token = format!("L402 {}:{preimage}", schemes[0].get("macaroon").unwrap());
        let challenge = Challenge::read_all(&lines).remove(0);
        let shown = json!({ "challenge": challenge, "payload": { "preimage": preimage } });
        Self { token, payment: format!("Payment {}", b64::url(shown.to_string().as_bytes())) }
    }
}

#[tokio::test]
async fn token_is_good_for_its_path_alone() {
    let shop = Shop::new();
    let bought = shop.buy("/weather/ulm?day=1").await;
    for _ in 0..2 {
        assert_eq!(shop.show("/weather/ulm?day=2", &bought.token).await, (200, "Some(5)".into()));
    }
    assert_eq!(shop.refusal("/weather/bonn", &bought.token).await, "invalid-challenge");
    assert_eq!(shop.refusal("/weather/bonn", &bought.payment).await, "invalid-challenge");
    let requests = shop.wallet.0.lock().unwrap().requests.clone();
    assert_eq!(
        requests[0],
        InvoiceRequest { amount_sat: 5, description: "The weather".into(), expiry: Duration::from_secs(600) }
    );
    assert!(requests.iter().all(|request| request.description == "The weather"));
}

#[tokio::test]
async fn payment_is_used_by_a_response_and_released_by_a_server_error() {
    let shop = Shop::new();
    let bought = shop.buy("/weather/ulm").await;
    *shop.broken.lock().unwrap() = true;
    for _ in 0..2 {
        assert_eq!(shop.show("/weather/ulm", &bought.payment).await.0, 502);
    }
    *shop.broken.lock().unwrap() = false;
    assert_eq!(shop.show("/weather/ulm", &bought.payment).await.0, 200);
    assert_eq!(shop.refusal("/weather/ulm", &bought.payment).await, "lightning/unknown-challenge");
}

#[tokio::test]
async fn payment_of_a_client_that_hangs_up_is_released() {
    let shop = Shop::new();
    let bought = shop.buy("/slow").await;
    for _ in 0..2 {
        let asking = tokio::time::timeout(Duration::from_millis(50), shop.show("/slow", &bought.payment));
        assert!(asking.await.is_err(), "it was admitted, and hung up");
    }
}

#[tokio::test]
async fn bundle_opens_its_parts_and_no_part_opens_the_bundle() {
    let shop = Shop::new();
    let all = shop.buy("/all").await;
    for path in ["/all", "/one"] {
        assert_eq!(shop.show(path, &all.token).await.0, 200);
    }
    assert_eq!(shop.show("/one", &all.payment).await, (200, "one".into()));
    let one = shop.buy("/one").await;
    assert_eq!(shop.refusal("/all", &one.token).await, "invalid-challenge");
    assert_eq!(shop.refusal("/all", &one.payment).await, "invalid-challenge");
}

#[tokio::test]
async fn credential_for_a_lower_price_is_refused() {
    let shop = Shop::new();
    let bought = shop.buy("/weather/ulm").await;
    assert_eq!(shop.refusal("/dear", &bought.token).await, "invalid-challenge");
    assert_eq!(shop.refusal("/dear", &bought.payment).await, "invalid-challenge");
}

#[tokio::test]
async fn credentials_end_with_their_lifetime() {
    let shop = Shop::new();
    let all = shop.buy("/all").await;
    NOW.set(NOON + 59);
    assert_eq!(shop.show("/all", &all.token).await.0, 200);
    NOW.set(NOON + 60);
    assert_eq!(shop.refusal("/all", &all.token).await, "lightning/expired-invoice");
    assert_eq!(shop.refusal("/all", &all.payment).await, "lightning/expired-invoice");
    NOW.set(NOON);
    assert_eq!(shop.wallet.0.lock().unwrap().requests[0].expiry, Duration::from_secs(30));
}

#[tokio::test]
async fn challenge_of_another_server_is_refused() {
    let shop = Shop::new();
    let bought = shop.buy("/weather/ulm").await;
    let text = bought.payment.strip_prefix("Payment ").unwrap();
    let shown: Value = serde_json::from_slice(&b64::read_url(text).unwrap()).unwrap();
    let opaque: Value =
        serde_json::from_slice(&b64::read_url(shown["challenge"]["opaque"].as_str().unwrap()).unwrap())
            .unwrap();
    assert_eq!(opaque["path"], "/weather/ulm");
    for (name, value) in [("realm", "other.example"), ("opaque", "e30"), ("expires", "2999-01-01T00:00:00Z")]
    {
        let mut changed = shown.clone();
        changed["challenge"][name] = value.into();
        let changed = format!("Payment {}", b64::url(changed.to_string().as_bytes()));
        assert_eq!(shop.refusal("/weather/ulm", &changed).await, "lightning/unknown-challenge", "{name}");
    }
    let mut other = shown.clone();
    other["payload"]["preimage"] = Preimage([9; 32]).to_string().into();
    let other = format!("Payment {}", b64::url(other.to_string().as_bytes()));
    assert_eq!(shop.refusal("/weather/ulm", &other).await, "lightning/invalid-preimage");
    let preimage = bought.token.rsplit_once(':').unwrap().1;
    let bare = format!(r#"Payment method="lightning", preimage="{preimage}""#);
    assert_eq!(shop.refusal("/weather/ulm", &bare).await, "lightning/malformed-credential");
    assert_eq!(shop.refusal("/weather/ulm", "Bearer key").await, "payment-required");
}

#[tokio::test]
async fn preflight_passes_and_other_options_requests_do_not() {
    let shop = Shop::new();
    let asked = [("access-control-request-method", "GET")];
    assert_eq!(shop.send("OPTIONS", "/weather/ulm", &asked).await.status(), 405, "the route's own answer");
    assert_eq!(shop.send("OPTIONS", "/weather/ulm", &[]).await.status(), 402);
}

#[tokio::test]
async fn path_of_any_length_is_sold() {
    let shop = Shop::new();
    let path = format!("/weather/{}", "a".repeat(3_000));
    let bought = shop.buy(&path).await;
    assert_eq!(shop.show(&path, &bought.token).await.0, 200);
    assert_eq!(shop.refusal(&format!("{path}b"), &bought.token).await, "invalid-challenge");
}

#[tokio::test]
async fn broken_wallet_is_503_and_tokens_stay_good() {
    let shop = Shop::new();
    let bought = shop.buy("/weather/ulm").await;
    shop.wallet.0.lock().unwrap().broken = true;
    let refused = shop.send("GET", "/weather/ulm", &[]).await;
    assert_eq!(refused.status(), 503);
    assert_eq!(refused.extensions().get::<Unavailable>().unwrap().0.to_string(), "no channel");
    let body = to_bytes(refused.into_body(), 10_000).await.unwrap();
    assert!(!String::from_utf8(body.to_vec()).unwrap().contains("channel"), "the client is not told");
    assert_eq!(shop.show("/weather/ulm", &bought.token).await.0, 200);
}

/// A store of leases that is out of order.
#[derive(Clone)]
struct BrokenStore;

impl LeaseStore for BrokenStore {
    type Error = NoChannel;

    async fn take(&self, _: Admitted, _: i64) -> Result<Option<PaymentLease<Self>>, NoChannel> {
        Err(NoChannel)
    }

    async fn release(&self, _: PaymentHash, _: LeaseId) {}

    fn release_later(&self, _: PaymentHash, _: LeaseId) {}

    fn mark_used(&self, _: PaymentHash, _: LeaseId) {}
}

#[tokio::test]
async fn broken_lease_store_is_503_and_asks_for_no_second_payment() {
    let wallet = Wallet::default();
    let paywall = Paywall::with_clock(settings(), wallet.clone(), BrokenStore, || NOW.get());
    let price = Price::sat(5);
    let asked = paywall.admit(&price, "/a", &HeaderMap::new()).await.unwrap_err();
    let bought = Bought::with(asked.headers());
    let shown = |credential: &str| HeaderMap::from_iter([(AUTHORIZATION, credential.parse().unwrap())]);
    let refused = paywall.admit(&price, "/a", &shown(&bought.payment)).await.unwrap_err();
    assert_eq!(
        (refused.status(), refused.headers().contains_key("www-authenticate")),
        (StatusCode::SERVICE_UNAVAILABLE, false)
    );
    assert_eq!(wallet.0.lock().unwrap().requests.len(), 1);
    assert!(paywall.admit(&price, "/a", &shown(&bought.token)).await.is_ok(), "a token needs no store");
}

#[test]
fn settings_do_not_print_the_secret() {
    let text = format!("{:?}", settings());
    assert!(text.contains("shop.example") && !text.contains("secret") && !text.contains('7'), "{text}");
}

/// Two services may share a secret, and must not take each other's payments.
#[tokio::test]
async fn challenge_of_another_realm_is_refused() {
    let shop = Shop::new();
    let other = PaywallSettings { realm: "other.example".into(), ..settings() };
    let other = Paywall::with_clock(other, Wallet::default(), MemoryLeaseStore::new(), || NOW.get());
    let asked = other.admit(&Price::sat(5), "/weather/ulm", &HeaderMap::new()).await.unwrap_err();
    let bought = Bought::with(asked.headers());
    assert_eq!(shop.refusal("/weather/ulm", &bought.payment).await, "lightning/unknown-challenge");
}

#[tokio::test]
async fn price_of_nothing_asks_for_one_sat() {
    let wallet = Wallet::default();
    let paywall = Paywall::with_clock(settings(), wallet.clone(), MemoryLeaseStore::new(), || NOW.get());
    paywall.admit(&Price::sat(0), "/a", &HeaderMap::new()).await.unwrap_err();
    assert_eq!(wallet.0.lock().unwrap().requests[0].amount_sat, 1);
}
