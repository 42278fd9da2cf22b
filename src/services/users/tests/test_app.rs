//! An app around the service: the real store, keys and routes; browsers with a cookie jar; wallets that sign.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Method, Request};
use bitcoin::secp256k1::ecdsa::Signature;
use bitcoin::secp256k1::{Message, PublicKey, Secp256k1, SecretKey};
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::core::ids::{from_hex, to_hex};
use crate::core::time::Clock;
use crate::http::client::Proxies;
use crate::http::keys::{Keys, Scope};
use crate::http::limits::{Budget, LimitSettings, Limits};
use crate::outbound::mail::Mailer;
use crate::services::users::{Parts, Users, api, prune};
use crate::storage::{Store, StoreError};

pub(super) const NOON: i64 = 1_800_000_000_000;
pub(super) const PUBLIC_URL: &str = "https://tips.example";
pub(super) const DAY: Duration = Duration::from_secs(24 * 60 * 60);

pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) text: String,
}

impl Answer {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("not JSON: {}", self.text))
    }

    #[track_caller]
    pub(super) fn ok(self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text);
        self.json()
    }

    /// An error in the family's shape.
    #[track_caller]
    pub(super) fn is_error(&self, status: u16, code: &str) {
        let body = self.json();
        assert_eq!((self.status, body["code"].as_str()), (status, Some(code)), "{}", self.text);
        assert!(body["errorMessage"].as_str().is_some_and(|text| !text.is_empty()));
        assert_eq!(body.as_object().unwrap().len(), 2);
        assert_eq!(self.headers["cache-control"], "no-store");
    }

    #[track_caller]
    pub(super) fn is_wallet_error(&self, reason: &str) {
        let expected = format!(r#"{{"status":"ERROR","reason":"{reason}"}}"#);
        assert_eq!((self.status, self.text.as_str()), (200, expected.as_str()));
    }

    pub(super) fn cookies(&self) -> Vec<&str> {
        self.headers.get_all("set-cookie").iter().map(|line| line.to_str().unwrap()).collect()
    }
}

pub(super) struct TestApp {
    pub(super) users: Users,
    pub(super) store: Store,
    pub(super) keys: Keys,
    pub(super) clock: Clock,
    router: Router,
    _folder: tempfile::TempDir,
}

impl TestApp {
    pub(super) fn new() -> Self {
        Self::with(PUBLIC_URL, false)
    }

    pub(super) fn with(public_url: &str, limited: bool) -> Self {
        Self::build(public_url, limited, None)
    }

    pub(super) fn with_mail(mailer: Mailer) -> Self {
        Self::build(PUBLIC_URL, false, Some(mailer))
    }

    pub(super) fn build(public_url: &str, limited: bool, mail: Option<Mailer>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open_without_sync(&folder.path().join("satchel.db")).unwrap();
        Self::on(folder, store, public_url, limited, mail)
    }

    /// The same people, with another mail server.
    pub(super) fn with_another_mailer(self, mailer: Mailer) -> Self {
        Self::on(self._folder, self.store, PUBLIC_URL, false, Some(mailer))
    }

    fn on(
        folder: tempfile::TempDir,
        store: Store,
        public_url: &str,
        limited: bool,
        mail: Option<Mailer>,
    ) -> Self {
        let (keys, clock) = (Keys::new(store.clone()), Clock::manual(NOON));
        let users = Users::new(Parts {
            store: store.clone(),
            clock: clock.clone(),
            keys: keys.clone(),
            public_url: public_url.into(),
            mail,
            guard: crate::outbound::guard::Guard::offline(Default::default()),
            newcomers: Budget::per_minute(u32::from(limited)),
        });
        let settings = LimitSettings {
            enabled: limited,
            window: Duration::from_secs(900),
            write: 2,
            read: 3,
            key_write: 0,
            key_read: 0,
        };
        let limits = Arc::new(Limits::new(settings));
        let (router, _) = api::router(users.clone(), &limits, &Arc::new(Proxies::default()));
        Self { users, store, keys, clock, router, _folder: folder }
    }

    pub(super) async fn key(&self, scopes: &[Scope], account: &str) -> String {
        self.keys.create("test", scopes, Some(account)).await.unwrap().1.expose().to_owned()
    }

    pub(super) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        Answer { status, headers, text: String::from_utf8(bytes.to_vec()).unwrap() }
    }

    pub(super) async fn get(&self, path: &str, headers: &[(&'static str, &str)]) -> Answer {
        let request =
            headers.iter().fold(Request::get(path), |request, (name, value)| request.header(*name, *value));
        self.send(request.body(Body::empty()).unwrap()).await
    }

    pub(super) fn browser(&self) -> Browser<'_> {
        Browser { app: self, jar: Mutex::default() }
    }

    /// Rows of a table.
    pub(super) async fn count(&self, table: &'static str) -> i64 {
        let counted = self.store.read(move |connection| -> Result<i64, StoreError> {
            Ok(connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0))?)
        });
        counted.await.unwrap()
    }

    pub(super) async fn execute(&self, sql: &'static str) {
        let done = self.store.write(move |tx| -> Result<(), StoreError> { Ok(tx.execute_batch(sql)?) });
        done.await.unwrap();
    }

    /// What was queued for writing is written.
    pub(super) async fn written(&self) {
        self.execute("").await;
    }

    pub(super) async fn prune(&self) {
        let now = self.clock.now();
        while self.store.write(move |tx| prune(tx, now)).await.unwrap() {}
    }

    /// What a wallet hears that brings a signature.
    pub(super) async fn call_back(&self, k1: &str, (signature, key): &(String, String)) -> Answer {
        let query = format!("tag=login&k1={k1}&sig={signature}&key={key}");
        self.get(&format!("/api/auth/lnurl/do-login?{query}"), &[]).await
    }
}

/// A browser: keeps cookies as it is told to.
pub(super) struct Browser<'a> {
    pub(super) app: &'a TestApp,
    pub(super) jar: Mutex<BTreeMap<String, (String, String)>>,
}

impl Browser<'_> {
    pub(super) async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        let shown: Vec<_> = self
            .jar
            .lock()
            .unwrap()
            .iter()
            .filter(|(_, (_, scope))| path.starts_with(scope.as_str()))
            .map(|(name, (value, _))| format!("{name}={value}"))
            .collect();
        if !shown.is_empty() {
            request = request.header("cookie", format!("other=1; {}", shown.join("; ")));
        }
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        request = request.header("sec-fetch-site", "same-origin");
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        let answer = self.app.send(request.body(body).unwrap()).await;
        self.keep(&answer);
        answer
    }

    fn keep(&self, answer: &Answer) {
        for line in answer.cookies() {
            let (name, rest) = line.split_once('=').unwrap();
            let (value, attributes) = rest.split_once("; Path=").unwrap();
            let path = attributes.split(';').next().unwrap();
            let mut jar = self.jar.lock().unwrap();
            if attributes.contains("Max-Age=0;") {
                jar.remove(name);
            } else {
                jar.insert(name.into(), (value.into(), path.into()));
            }
        }
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path, None).await
    }

    pub(super) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.ask(Method::POST, path, Some(body)).await
    }

    pub(super) async fn guest(&self) -> String {
        let made = self.ask(Method::POST, "/api/auth/guest", None).await.ok();
        made["id"].as_str().unwrap().to_owned()
    }

    /// Whose id the session has.
    pub(super) async fn who(&self) -> Option<String> {
        self.get("/api/auth/session").await.ok()["id"].as_str().map(str::to_owned)
    }

    /// A new challenge, to log in or to link.
    pub(super) async fn challenge(&self, link: bool) -> String {
        let query = if link { "?linkExistingAccount=true" } else { "" };
        let begun = self.get(&format!("/api/auth/lnurl/generate-secret{query}")).await.ok();
        begun["k1"].as_str().unwrap().to_owned()
    }

    pub(super) async fn finish(&self, k1: &str) -> Answer {
        self.post("/api/auth/lnurl/session", &json!({ "k1": k1 })).await
    }

    /// All of a login with a wallet.
    pub(super) async fn log_in(&self, wallet: u8, link: bool) -> Answer {
        let k1 = self.challenge(link).await;
        assert_eq!(self.app.call_back(&k1, &sign(&k1, wallet)).await.text, r#"{"status":"OK"}"#);
        self.finish(&k1).await
    }
}

fn secret(wallet: u8) -> SecretKey {
    SecretKey::from_slice(&[wallet; 32]).unwrap()
}

fn signed(k1: &str, wallet: u8) -> (Signature, String) {
    let curve = Secp256k1::new();
    let message = Message::from_digest(from_hex(k1).unwrap());
    let key = PublicKey::from_secret_key(&curve, &secret(wallet));
    (curve.sign_ecdsa(&message, &secret(wallet)), to_hex(&key.serialize()))
}

/// A wallet's signature and key.
pub(super) fn sign(k1: &str, wallet: u8) -> (String, String) {
    let (signature, key) = signed(k1, wallet);
    (to_hex(&signature.serialize_der()), key)
}

/// The same with the other of the two values of S, as some wallets send it.
pub(super) fn sign_high(k1: &str, wallet: u8) -> (String, String) {
    let (signature, key) = signed(k1, wallet);
    let mut compact = signature.serialize_compact();
    let negated = SecretKey::from_slice(&compact[32..]).unwrap().negate();
    compact[32..].copy_from_slice(&negated.secret_bytes());
    let high = Signature::from_compact(&compact).unwrap();
    assert_ne!(high, signature);
    (to_hex(&high.serialize_der()), key)
}
