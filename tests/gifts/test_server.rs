//! The HTTP server and its clients.

use std::time::{Duration, Instant};

use regtest::{InvoiceRequest, Network};
use reqwest::Client;
use serde_json::{Value, json};

/// A network and an HTTP client.
pub struct TestServer {
    pub network: Network,
    pub http: Client,
}

/// An answer, with its text as it came.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("not JSON: {}", self.text))
    }

    #[track_caller]
    pub fn ok(self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text);
        self.json()
    }

    #[track_caller]
    pub fn is_error(&self, status: u16, code: &str) {
        // Why, where there is more to say than the code, comes behind it.
        let expected = format!(r#"{{"statusCode":{status},"message":"{code}""#);
        let rest = self.text.strip_prefix(&expected).unwrap_or("?");
        let is_it = rest == "}" || rest.starts_with(r#","reason":""#) || rest.starts_with(r#","maxSat":"#);
        assert!(self.status == status && is_it, "{status} {code}: {} {}", self.status, self.text);
        assert_eq!(self.headers["access-control-allow-origin"], "*");
    }

    #[track_caller]
    pub fn is_lnurl_error(&self, code: &str) {
        let expected = format!(r#"{{"status":"ERROR","reason":"{code}"}}"#);
        assert_eq!((self.status, self.text.as_str()), (200, expected.as_str()));
        assert_eq!(self.headers["access-control-allow-origin"], "*");
    }
}

impl TestServer {
    pub async fn open() -> Self {
        let network = Network::builder().satchel_bin(env!("CARGO_BIN_EXE_satchel")).start().await.unwrap();
        let http = Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Self { network, http }
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.network.satchel.url())
    }

    pub async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Answer { status, headers, text: response.text().await.unwrap() }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.http.get(self.url(path))).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(self.http.post(self.url(path)).json(body)).await
    }

    pub async fn create(&self, body: Value) -> Value {
        self.post("/create", &body).await.ok()
    }

    /// Somebody pays for a gift; its order id, once it can be redeemed.
    pub async fn funded(&self, body: Value) -> String {
        let created = self.create(body).await;
        self.fund(&created).await;
        created["orderId"].as_str().unwrap().to_owned()
    }

    pub async fn fund(&self, created: &Value) {
        let payreq = created["lightningInvoice"]["payreq"].as_str().unwrap();
        self.network.wallets[0].pay(payreq).await.unwrap();
        let id = created["orderId"].as_str().unwrap();
        self.until(&format!("/status/{id}"), |status| status["status"] == "paid").await;
    }

    /// An invoice of a recipient's wallet.
    pub async fn invoice(&self, sat: u64) -> String {
        self.network.wallets[1].invoice(InvoiceRequest::sat(sat)).await.unwrap().invoice
    }

    pub async fn redeem(&self, id: &str, invoice: &str) -> Answer {
        self.post(&format!("/redeem/{id}"), &json!({ "invoice": invoice })).await
    }

    /// Asks again until the answer is as wanted.
    pub async fn until(&self, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let began = Instant::now();
        loop {
            let answer = self.get(path).await.ok();
            if wanted(&answer) {
                return answer;
            }
            assert!(began.elapsed() < Duration::from_secs(60), "{path} stays {answer}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until a gift is spent; the gift.
    pub async fn spent(&self, id: &str) -> Value {
        self.until(&format!("/gift/{id}"), |gift| gift["spent"] == true).await
    }
}

/// The keys of the outermost object, in the order of the text.
pub fn keys(text: &str) -> Vec<String> {
    let (mut keys, mut depth, mut at) = (Vec::new(), 0, 0);
    let bytes = text.as_bytes();
    while at < bytes.len() {
        match bytes[at] {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            b'"' => {
                let start = at + 1;
                at = start;
                while bytes[at] != b'"' {
                    at += 1 + usize::from(bytes[at] == b'\\');
                }
                if depth == 1 && bytes.get(at + 1) == Some(&b':') {
                    keys.push(text[start..at].to_owned());
                }
            }
            _ => {}
        }
        at += 1;
    }
    keys
}

/// These keys are there in this order; others may stand between them.
#[track_caller]
pub fn in_order(text: &str, wanted: &[&str]) {
    let found = keys(text);
    let places: Vec<_> = wanted.iter().map(|key| found.iter().position(|other| other == key)).collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{found:?} lacks the order {wanted:?}");
}
