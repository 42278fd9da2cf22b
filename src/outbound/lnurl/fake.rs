//! Lightning addresses of a simulated network and a name server, for tests.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::Query;
use axum::routing::get;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use lightning_invoice::Bolt11Invoice;
use serde_json::Value;
use tokio::net::TcpListener;

use crate::core::money::Msat;
use crate::lightning::sim::Sim;
use crate::vouchers::returns::Resolve;

/// Lightning addresses, which give invoices of the simulated network until they are told to refuse.
pub(crate) struct FakeAddresses {
    pub(crate) sim: Arc<Sim>,
    pub(crate) refuse: AtomicBool,
    pub(crate) asked: Mutex<Vec<(String, u64)>>,
}

impl FakeAddresses {
    pub(crate) fn new(sim: Arc<Sim>) -> Self {
        Self { sim, refuse: AtomicBool::new(false), asked: Mutex::default() }
    }

    /// What amounts, in sat, were asked for since the last look.
    pub(crate) fn asked_for(&self) -> Vec<u64> {
        self.asked.lock().unwrap().drain(..).map(|(_, sat)| sat).collect()
    }
}

impl Resolve for FakeAddresses {
    fn invoice<'a>(&'a self, address: &'a str, amount: Msat) -> BoxFuture<'a, Result<Bolt11Invoice, String>> {
        async move {
            self.asked.lock().unwrap().push((address.to_owned(), amount.sat_floor()));
            if self.refuse.load(Ordering::SeqCst) {
                return Err("out of range".into());
            }
            let (invoice, _) = self.sim.invoice(amount, Duration::from_secs(3_600));
            Ok(invoice)
        }
        .boxed()
    }
}

/// A DNS answer: the text of the first of these names that is asked for, or none.
pub(crate) fn dns_answer(question: &[u8], names: &[(&str, &str)]) -> Vec<u8> {
    let is_asked = |name: &str| {
        let label = [&[u8::try_from(name.len()).unwrap()], name.as_bytes()].concat();
        question.windows(label.len()).any(|bytes| bytes == label)
    };
    let found = names.iter().find(|(name, _)| is_asked(name));
    let mut message = question.to_vec();
    // One question, no answer yet, nothing else; what the question says of itself beyond that is cut off.
    let end = 12 + question[12..].iter().position(|byte| *byte == 0).unwrap() + 5;
    message.truncate(end);
    message[2..12].copy_from_slice(&[0x81, 0x80, 0, 1, 0, u8::from(found.is_some()), 0, 0, 0, 0]);
    if let Some((_, text)) = found {
        let data: Vec<u8> = text
            .as_bytes()
            .chunks(255)
            .flat_map(|part| [vec![u8::try_from(part.len()).unwrap()], part.to_vec()].concat())
            .collect();
        message.extend_from_slice(&[0xc0, 12, 0, 16, 0, 1, 0, 0, 0, 60]);
        message.extend_from_slice(&u16::try_from(data.len()).unwrap().to_be_bytes());
        message.extend(data);
    }
    message
}

/// A name server on loopback that knows these names: its URL.
pub(crate) async fn name_server(names: Vec<(&'static str, String)>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/dns-query", listener.local_addr().unwrap());
    let answer = move |Query(query): Query<Value>| {
        let question = URL_SAFE_NO_PAD.decode(query["dns"].as_str().unwrap()).unwrap();
        let names: Vec<_> = names.iter().map(|(name, text)| (*name, text.as_str())).collect();
        std::future::ready(dns_answer(&question, &names))
    };
    let router = Router::new().route("/dns-query", get(answer));
    tokio::spawn(async move {
        crate::http::server::serve(listener, router, Default::default(), std::future::pending()).await;
    });
    url
}
