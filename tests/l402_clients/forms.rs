//! Servers that ask for payment in other words than satchel does, each with satchel's own invoices and tokens. One
//! kind sells by satchel's challenges and lets in whom its verify lets in; the other stands before satchel's proxy,
//! changes the words in which that asks, and passes on the rest.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Path, State};
use axum::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Client;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::common::{SOON, Scene};

/// What such a server takes, in sat.
const PRICE: u64 = 3;

/// How a challenge is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `L402 macaroon, invoice`
    Old,
    /// `L402 version, token, invoice`, as the specification has it.
    Spec,
    /// `L402 version, token, macaroon, invoice`
    SpecFirst,
    /// `L402 macaroon, invoice, version, token`: satchel's own line.
    Own,
    /// A line of `LSAT`, then one of `L402`, as Aperture does.
    Aperture,
    /// Satchel's own line, then one of `Payment`: what satchel sends.
    Satchel,
    /// The same in one line, as what stands between may make of it.
    Joined,
    /// The same, `Payment` first.
    PaymentFirst,
    /// `Payment` of the draft, alone.
    Payment,
    /// `Payment` as it was before the draft, alone.
    LegacyPayment,
}

impl Form {
    pub const ALL: [Self; 10] = [
        Self::Old,
        Self::Spec,
        Self::SpecFirst,
        Self::Own,
        Self::Aperture,
        Self::Satchel,
        Self::Joined,
        Self::PaymentFirst,
        Self::Payment,
        Self::LegacyPayment,
    ];

    /// The values of `WWW-Authenticate` that ask for a challenge of satchel's.
    fn lines(self, made: &Value) -> Vec<String> {
        let text = |name: &str| made[name].as_str().unwrap();
        let (macaroon, invoice, payment) =
            (text("macaroon"), text("invoice"), text("mppChallenge").to_owned());
        let old = format!(r#"macaroon="{macaroon}", invoice="{invoice}""#);
        let own = format!(r#"L402 {old}, version="0", token="{macaroon}""#);
        match self {
            Self::Old => vec![format!("L402 {old}")],
            Self::Spec => vec![format!(r#"L402 version="0", token="{macaroon}", invoice="{invoice}""#)],
            Self::SpecFirst => vec![format!(r#"L402 version="0", token="{macaroon}", {old}"#)],
            Self::Own => vec![own],
            Self::Aperture => vec![format!("LSAT {old}"), format!("L402 {old}")],
            Self::Satchel => vec![own, payment],
            Self::Joined => vec![format!("{own}, {payment}")],
            Self::PaymentFirst => vec![payment, own],
            Self::Payment => vec![payment],
            Self::LegacyPayment => {
                let rest = format!(r#"invoice="{invoice}", amount="{PRICE}", currency="sat""#);
                vec![format!(r#"Payment realm="test", method="lightning", {rest}"#)]
            }
        }
    }
}

/// Who looks at what is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// A producer's server, which asks satchel's verify.
    Verify,
    /// Satchel's proxy itself.
    Proxy,
}

impl Check {
    pub const BOTH: [Self; 2] = [Self::Verify, Self::Proxy];
}

/// What became of one client at one server.
#[derive(Clone, Debug, Default)]
pub struct Visit {
    /// The invoices it was shown.
    pub invoices: Vec<String>,
    /// The first word of the credential that was accepted.
    pub shown: Option<String>,
    /// What it showed that did not.
    pub refused: Vec<String>,
}

/// All of them, behind one address: `/{door}.{client}/{form}`. The first part of a path tells them apart, as there are
/// clients that keep what they paid for by that.
pub struct Servers {
    pub url: String,
    visits: Arc<Mutex<HashMap<String, Visit>>>,
}

#[derive(Clone)]
struct Parts {
    satchel: String,
    /// The proxy's address.
    proxy: String,
    key: String,
    client: Client,
    visits: Arc<Mutex<HashMap<String, Visit>>>,
}

/// The service behind the proxy, for [`Servers::open`].
pub async fn service() -> SocketAddr {
    serve(Router::new().fallback(|path: Uri| async move { sold(path.path()) })).await
}

/// Serves on a free port of this machine.
pub async fn serve(router: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

/// What whoever has paid gets.
pub fn sold(resource: &str) -> String {
    format!("sold: {resource}")
}

/// Where a client meets a form of challenge.
pub fn resource(check: Check, client: &str, form: Form) -> String {
    format!("/{door:?}.{client}/{form:?}")
}

impl Servers {
    pub async fn open(scene: &Scene, service: SocketAddr) -> Self {
        let satchel = &scene.network.satchel;
        let made = satchel.command_json("key", &["create", "forms", "--scope", "l402"]).await.unwrap();
        let (target, price) = (format!("http://localhost:{}", service.port()), PRICE.to_string());
        let add = ["add", &target, "--price", &price, "--name", "forms"];
        let proxy = satchel.command_json("proxy", &add).await.unwrap();
        let parts = Parts {
            satchel: scene.api.url.clone(),
            proxy: format!("{}/l402/proxy/{}", scene.api.url, proxy["proxyId"].as_str().unwrap()),
            key: made["key"].as_str().unwrap().to_owned(),
            client: Client::builder().timeout(SOON).build().unwrap(),
            visits: Arc::default(),
        };
        let visits = Arc::clone(&parts.visits);
        let address = serve(Router::new().route("/{who}/{form}", get(answer)).with_state(parts)).await;
        Self { url: format!("http://{address}"), visits }
    }

    pub fn visit(&self, resource: &str) -> Visit {
        self.visits.lock().unwrap().get(resource).cloned().unwrap_or_default()
    }
}

impl Parts {
    async fn ask(&self, path: &str, body: &Value) -> Value {
        let request = self.client.post(format!("{}{path}", self.satchel)).header("x-api-key", &self.key);
        let answer = request.json(body).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 200, "{path}");
        answer.json().await.unwrap()
    }

    fn note(&self, resource: &str, note: impl FnOnce(&mut Visit)) {
        note(self.visits.lock().unwrap().entry(resource.to_owned()).or_default());
    }

    /// A challenge of satchel's, in the shape in which producers get one.
    async fn challenge(&self, check: Check, resource: &str) -> Value {
        if check == Check::Verify {
            let asked = json!({ "resource": resource, "priceSats": PRICE });
            return self.ask("/api/l402/challenges", &asked).await;
        }
        let answer = self.client.get(format!("{}{resource}", self.proxy)).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 402);
        let lines: Vec<_> = answer.headers().get_all("www-authenticate").iter().cloned().collect();
        let body: Value = answer.json().await.unwrap();
        let (macaroon, invoice) = (&body["l402"]["macaroon"], &body["l402"]["invoice"]);
        json!({ "macaroon": macaroon, "invoice": invoice, "mppChallenge": lines[1].to_str().unwrap() })
    }

    /// What is to be had for a credential; nothing if it is none.
    async fn open(&self, check: Check, resource: &str, shown: &str) -> Option<String> {
        if check == Check::Verify {
            let question = question(shown, resource)?;
            let verdict = self.ask("/api/l402/challenges/verify", &question).await;
            return (verdict["valid"] == true).then(|| sold(resource));
        }
        let request = self.client.get(format!("{}{resource}", self.proxy)).header("authorization", shown);
        let answer = request.send().await.unwrap();
        if answer.status().as_u16() != 200 {
            assert_eq!(answer.status().as_u16(), 402, "{resource}: {shown}");
            return None;
        }
        Some(answer.text().await.unwrap())
    }
}

async fn answer(
    State(parts): State<Parts>,
    Path((who, form)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    let resource = format!("/{who}/{form}");
    let check = *Check::BOTH.iter().find(|check| who.starts_with(&format!("{door:?}."))).unwrap();
    let form = *Form::ALL.iter().find(|known| format!("{known:?}") == form).unwrap();
    let Some(shown) = headers.get(AUTHORIZATION) else {
        let made = parts.challenge(check, &resource).await;
        parts.note(&resource, |visit| visit.invoices.push(made["invoice"].as_str().unwrap().to_owned()));
        let mut answer = (StatusCode::PAYMENT_REQUIRED, "pay first").into_response();
        for line in form.lines(&made) {
            answer.headers_mut().append(WWW_AUTHENTICATE, HeaderValue::from_str(&line).unwrap());
        }
        return answer;
    };
    let shown = shown.to_str().unwrap().to_owned();
    let Some(body) = parts.open(check, &resource, &shown).await else {
        parts.note(&resource, |visit| visit.refused.push(shown));
        // Not 402: there are clients that would pay again, for ever.
        return (StatusCode::FORBIDDEN, "not with this").into_response();
    };
    let scheme = shown.split(' ').next().map(str::to_owned);
    parts.note(&resource, |visit| visit.shown = scheme);
    body.into_response()
}

/// What satchel is asked about a credential, if it is one.
fn question(shown: &str, resource: &str) -> Option<Value> {
    let (scheme, rest) = shown.split_once(' ')?;
    let (macaroon, preimage) = match scheme {
        "L402" | "LSAT" => {
            let (macaroon, preimage) = rest.split_once(':')?;
            (Some(macaroon), preimage.to_owned())
        }
        "Payment" => match URL_SAFE_NO_PAD.decode(rest) {
            Ok(credential) => {
                let credential: Value = serde_json::from_slice(&credential).ok()?;
                (None, credential["payload"]["preimage"].as_str()?.to_owned())
            }
            // Before the draft it was a list of parameters.
            Err(_) => (None, rest.split("preimage=\"").nth(1)?.split('"').next()?.to_owned()),
        },
        _ => return None,
    };
    let mut question = json!({ "preimage": preimage, "resource": resource, "amountSats": PRICE });
    if let Some(macaroon) = macaroon {
        question["macaroon"] = macaroon.into();
    }
    Some(question)
}
