//! A server that is mempool, Coinbase and Kraken in one, each of which can be made to misbehave.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Redirect, Response};
use tokio::net::TcpListener;

use crate::core::time::{Clock, UnixMillis};
use crate::rates::sources::{Kind, coinbase, kraken, mempool, over_http};
use crate::rates::{RateSource, Rates, RatesSettings};

/// When the tests begin.
pub const NOW: UnixMillis = 1_790_000_000_000;

/// How a source answers.
#[derive(Clone)]
pub enum Answer {
    Body(String),
    Status(u16),
    /// To another place, where a good answer is.
    Redirect,
    /// Bytes without end.
    Endless,
    /// Half an answer, and then the line is dead.
    Cut,
    /// Nothing for a minute.
    Slow,
}

impl From<&str> for Answer {
    fn from(body: &str) -> Self {
        Self::Body(body.into())
    }
}

#[derive(Clone, Default)]
struct Shared {
    answers: Arc<Mutex<HashMap<&'static str, Answer>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

pub struct Server {
    shared: Shared,
    base: String,
}

/// The three sources, by the path they are asked at.
pub const MEMPOOL: &str = "/api/v1/prices";
pub const COINBASE: &str = "/v2/exchange-rates";
pub const KRAKEN: &str = "/0/public/Ticker";

/// What mempool says, `age` seconds after it made its prices.
pub fn mempool_says(age: i64, prices: &str) -> Answer {
    Answer::Body(format!("{{\"time\":{},{prices}}}", NOW / 1_000 - age))
}

pub fn coinbase_says(rates: &str) -> Answer {
    Answer::Body(format!("{{\"data\":{{\"currency\":\"BTC\",\"rates\":{{{rates}}}}}}}"))
}

/// Kraken's whole answer for one market with this last trade.
pub fn kraken_says(market: &str, price: &str) -> Answer {
    Answer::Body(format!(
        r#"{{"error":[],"result":{{"{market}":{{"a":["{price}","1","1.000"],"b":["{price}","2","2.000"],
        "c":["{price}","0.00149000"],"v":["719.03","2340.56"],"p":["66500.4","66213.1"],"t":[18543,58320],
        "l":["65500.0","65300.0"],"h":["67200.0","67300.0"],"o":"66120.00000"}}}}}}"#
    ))
}

impl Server {
    /// Starts it, with all three in their right mind.
    pub async fn start() -> Self {
        let shared = Shared::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(answer).with_state(shared.clone());
        tokio::spawn(crate::http::server::serve(
            listener,
            router,
            Default::default(),
            std::future::pending(),
        ));
        let server = Self { shared, base };
        server.set(
            MEMPOOL,
            mempool_says(
                20,
                r#""USD":67010,"EUR":61700,"GBP":52750,"CAD":91500,"CHF":60100,"AUD":101500,"JPY":10120000"#,
            ),
        );
        server.set(
            COINBASE,
            coinbase_says(
                r#""AED":"246042.67","AUD":"101300.5","BRL":"338012.345","BTC":"1.0","CAD":"91600.25","CHF":"60050.1",
                "CNY":"482300.77","ETH":"26.1","EUR":"61723.2","GBP":"52790.955","INR":"5590412.88",
                "JPY":"10131234.5678","USD":"66990.105","00":"798722.04""#,
            ),
        );
        server.set(
            KRAKEN,
            Answer::Body(
                r#"{"error":[],"result":{
                "XXBTZEUR":{"a":["61731.90000","3","3.000"],"b":["61731.80000","1","1.000"],"c":["61731.80000","0.01000000"],"o":"61000.0"},
                "XXBTZGBP":{"a":["52801.00000","1","1.000"],"b":["52790.00000","1","1.000"],"c":["52795.50000","0.02000000"],"o":"52000.0"},
                "XXBTZUSD":{"a":["67000.10000","1","1.000"],"b":["67000.00000","5","5.000"],"c":["67000.10000","0.00149000"],"o":"66120.0"}
                }}"#
                .into(),
            ),
        );
        server
    }

    pub fn set(&self, source: &'static str, answer: impl Into<Answer>) {
        self.shared.answers.lock().unwrap().insert(source, answer.into());
    }

    /// The paths that were asked for, queries included.
    pub fn asked(&self) -> Vec<String> {
        self.shared.asked.lock().unwrap().clone()
    }

    pub fn source(&self, kind: Kind) -> Arc<dyn RateSource> {
        self.sources(&[kind], Duration::from_millis(400)).remove(0)
    }

    fn sources(&self, kinds: &[Kind], timeout: Duration) -> Vec<Arc<dyn RateSource>> {
        let places: Vec<_> = kinds.iter().map(|kind| (*kind, self.base.as_str())).collect();
        over_http(&places, timeout).unwrap()
    }

    /// The rates of all three, none of them asked yet.
    pub fn rates(&self, timeout: Duration) -> (Rates, Clock) {
        let clock = Clock::manual(NOW);
        let sources = self.sources(&[mempool::KIND, coinbase::KIND, kraken::KIND], timeout);
        let settings = RatesSettings { timeout, ..RatesSettings::default() };
        (Rates::new(sources, settings, clock.clone()), clock)
    }
}

async fn answer(State(shared): State<Shared>, uri: Uri) -> Response {
    shared.asked.lock().unwrap().push(uri.to_string());
    let found = shared.answers.lock().unwrap().get(uri.path()).cloned();
    match found {
        None => StatusCode::NOT_FOUND.into_response(),
        Some(Answer::Body(body)) => body.into_response(),
        Some(Answer::Status(status)) => StatusCode::from_u16(status).unwrap().into_response(),
        Some(Answer::Redirect) => Redirect::temporary("/elsewhere").into_response(),
        Some(Answer::Endless) => {
            let chunks = futures_util::stream::repeat_with(|| Ok::<_, std::io::Error>(" ".repeat(10_000)));
            Body::from_stream(chunks).into_response()
        }
        Some(Answer::Cut) => {
            let chunks = [Ok("{\"time\":"), Err(std::io::Error::other("cut"))];
            Body::from_stream(futures_util::stream::iter(chunks)).into_response()
        }
        Some(Answer::Slow) => {
            tokio::time::sleep(Duration::from_secs(60)).await;
            StatusCode::OK.into_response()
        }
    }
}
