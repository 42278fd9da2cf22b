//! Hosts that answer as hosts do, on loopback.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use serde_json::json;
use tokio::net::TcpListener;

use super::*;
use crate::core::time::Clock;
use crate::lightning::sim::Sim;
use crate::outbound::guard::GuardSettings;

struct Host {
    port: u16,
    addresses: Addresses,
}

async fn host() -> Host {
    let clock = Clock::system();
    let sim = Arc::new(Sim::new(clock.clone()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let request = move |least: serde_json::Value, kind: &str| {
        let callback = format!(" http://127.0.0.1:{port}/callback/{kind}\n");
        json!({ "tag": "payRequest", "callback": callback, "minSendable": least, "maxSendable": 1e9, "metadata": "[]" })
            .to_string()
    };
    let callback = |State(sim): State<Arc<Sim>>,
                    axum::extract::Path(kind): axum::extract::Path<String>,
                    Query(query): Query<serde_json::Value>| async move {
        let msat = query["amount"].as_str().unwrap().parse().unwrap();
        let (invoice, _) = sim.invoice(Msat::new(msat).unwrap(), Duration::from_secs(600));
        let text = invoice.to_string();
        let pr = match kind.as_str() {
            "scheme" => format!("lightning:{text}"),
            "blanks" => format!(" {}\n{} ", &text[..30], &text[30..]),
            "upper" => format!("LIGHTNING:{}", text.to_uppercase()),
            _ => text,
        };
        json!({ "pr": pr, "routes": [] }).to_string()
    };
    let at = |name: &str| format!("/.well-known/lnurlp/{name}");
    let refusal = |reason: &str| json!({ "status": "error", "reason": reason }).to_string();
    let long = "x".repeat(5_000);
    let router = Router::new()
        .route("/callback/{kind}", get(callback))
        .route(&at("float"), get(move || async move { request(json!(1000.0), "plain") }))
        .route(&at("text"), get(move || async move { request(json!("1000"), "scheme") }))
        .route(&at("fraction"), get(move || async move { request(json!(1000.5), "plain") }))
        .route(&at("blanks"), get(move || async move { request(json!(1000), "blanks") }))
        .route(
            &at("missing"),
            get(move || async move { (StatusCode::NOT_FOUND, request(json!(1000), "upper")) }),
        )
        .route(&at("moved"), get(|| async { Redirect::permanent("/.well-known/lnurlp/float") }))
        .route(&at("inside"), get(|| async { Redirect::temporary("http://10.1.2.3/x") }))
        .route(&at("round"), get(|| async { Redirect::temporary("/.well-known/lnurlp/round") }))
        .route(
            &at("closed"),
            get(move || async move {
                let body = refusal("no such user\u{1b}[2J\n\u{202e}here");
                (StatusCode::NOT_FOUND, body).into_response()
            }),
        )
        .route(
            &at("long"),
            get(move || async move {
                let body = refusal(&long);
                Response::new(axum::body::Body::from(body))
            }),
        )
        .with_state(sim);
    tokio::spawn(async move {
        crate::http::server::serve(listener, router, Default::default(), std::future::pending()).await;
    });
    let settings =
        GuardSettings { allow_networks: vec!["127.0.0.0/8".parse().unwrap()], ..GuardSettings::default() };
    let client = Guard::new(settings).client(Duration::from_secs(5)).unwrap();
    let addresses = Addresses { client, network: Network::Regtest, clock, comment: String::new() };
    Host { port, addresses }
}

impl Host {
    async fn ask(&self, name: &str) -> Result<u64, PayError> {
        let address = format!("{name}@127.0.0.1:{}", self.port);
        let invoice = self.addresses.ask(&address, Msat::new(5_000).unwrap()).await?;
        Ok(invoice.amount_milli_satoshis().unwrap())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_understood_as_hosts_give_them() {
    let host = host().await;
    for name in ["float", "text", "blanks", "missing", "moved"] {
        assert_eq!(host.ask(name).await, Ok(5_000), "{name}");
    }
    assert_eq!(host.ask("fraction").await, Err(PayError::Nonsense("no limits")));
}

#[tokio::test(flavor = "multi_thread")]
async fn redirect_leads_nowhere_where_the_guard_does_not_let_it() {
    let host = host().await;
    assert_eq!(host.ask("inside").await, Err(PayError::Fetch(FetchError::Url(BadUrl::Refused))));
    assert_eq!(host.ask("round").await, Err(PayError::Fetch(FetchError::Redirects)));
}

#[tokio::test(flavor = "multi_thread")]
async fn host_s_reason_is_passed_on_and_forges_nothing() {
    let host = host().await;
    let refused = host.ask("closed").await.unwrap_err();
    assert_eq!(refused.to_string(), "the address refused: no such user [2J here");
    let long = host.ask("long").await.unwrap_err().to_string();
    assert_eq!(long.len(), "the address refused: ".len() + LONGEST_REASON);
}

#[test]
fn what_can_never_be_paid_is_refused_with_the_true_reason() {
    let guard = Guard::offline(GuardSettings::default());
    let check = |text: &str| check_target(&guard, text);
    assert_eq!(check(" lightning:Me@Example.com\n").as_deref(), Ok("me@example.com"));
    assert_eq!(check("me@example.com:8443").as_deref(), Ok("me@example.com:8443"));
    for (text, why) in [
        ("me@router.local", NotPayable::LocalName),
        ("me@localhost", NotPayable::LocalName),
        ("me@nas.lan", NotPayable::LocalName),
        ("me@abc.onion", NotPayable::Onion),
        ("lnurlp://abc.onion/pay", NotPayable::Onion),
        ("me@10.0.0.1", NotPayable::PrivateAddress),
        ("me@127.0.0.1:3000", NotPayable::PrivateAddress),
        ("me@example.com:22", NotPayable::Port),
        ("₿me@example.com", NotPayable::DnsName),
        ("me@", NotPayable::Unreadable),
        ("lno1qcp4256ypq", NotPayable::Offer),
        ("bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080", NotPayable::Onchain),
    ] {
        assert_eq!(check(text), Err(why), "{text}");
    }
}
