use std::time::{Duration, Instant};

use super::decimal;
use super::server::{
    Answer, COINBASE, KRAKEN, MEMPOOL, NOW, Server, coinbase_says, kraken_says, mempool_says,
};
use crate::clock::Clock;
use crate::rates::{Currency, RateUnavailable, Rates, RatesSettings};

const PATIENCE: Duration = Duration::from_millis(500);

#[track_caller]
fn quoted(rates: &Rates, currency: Currency, rate: &str, sources: &str) {
    let quote = rates.quote(currency).unwrap();
    assert_eq!((quote.rate.to_string().as_str(), quote.source().as_str()), (rate, sources), "{currency}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_median_of_all_who_know_a_currency_is_its_rate() {
    let server = Server::start().await;
    let (rates, _) = server.rates(PATIENCE);
    assert_eq!(rates.quote(Currency::Usd), Err(RateUnavailable::Stale(Currency::Usd)));
    assert!(rates.all().is_empty());
    assert!(rates.refresh().await);
    quoted(&rates, Currency::Usd, "67000.1", "coinbase, kraken, mempool");
    quoted(&rates, Currency::Gbp, "52790.955", "mempool, coinbase, kraken");
    quoted(&rates, Currency::Jpy, "10125617.2839", "mempool, coinbase");
    quoted(&rates, Currency::Inr, "5590412.88", "coinbase");
    let all: Vec<_> = rates.all().iter().map(|quote| quote.currency).collect();
    assert_eq!(all, Currency::ALL);
    // As old as the oldest word in it.
    assert_eq!(rates.quote(Currency::Usd).unwrap().at, NOW - 20_000);
    assert_eq!(rates.quote(Currency::Inr).unwrap().at, NOW);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_old_does_not_count_by_whoever_says_so() {
    let server = Server::start().await;
    let (rates, clock) = server.rates(PATIENCE);
    server.set(MEMPOOL, mempool_says(301, r#""USD":70000"#));
    rates.refresh().await;
    quoted(&rates, Currency::Usd, "66995.1025", "coinbase, kraken");

    // Within the limit when it was fetched; later it drops out by itself, and the younger ones stay.
    server.set(MEMPOOL, mempool_says(200, r#""USD":67010"#));
    rates.refresh().await;
    quoted(&rates, Currency::Usd, "67000.1", "coinbase, kraken, mempool");
    clock.advance(Duration::from_secs(101));
    quoted(&rates, Currency::Usd, "66995.1025", "coinbase, kraken");
    clock.advance(Duration::from_secs(200));
    assert_eq!(rates.quote(Currency::Usd), Err(RateUnavailable::Stale(Currency::Usd)));
    assert!(rates.all().is_empty());

    // A clock that is ahead gains nothing.
    server.set(MEMPOOL, mempool_says(-86_400, r#""USD":67010"#));
    rates.refresh().await;
    quoted(&rates, Currency::Usd, "67000.1", "coinbase, kraken, mempool");
    clock.advance(Duration::from_secs(301));
    assert_eq!(rates.quote(Currency::Usd), Err(RateUnavailable::Stale(Currency::Usd)));
}

#[tokio::test(flavor = "multi_thread")]
async fn absurd_prices_do_not_count() {
    let server = Server::start().await;
    let (rates, _) = server.rates(PATIENCE);
    for absurd in ["0", "-1", "1e13", "670", "670100", "1e-9", "\"\"", "1e999"] {
        server.set(MEMPOOL, mempool_says(0, &format!("\"USD\":{absurd},\"EUR\":61700")));
        rates.refresh().await;
        quoted(&rates, Currency::Usd, "66995.1025", "coinbase, kraken");
        quoted(&rates, Currency::Eur, "61723.2", "mempool, coinbase, kraken");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_that_contradict_each_other_give_no_rate_and_other_currencies_keep_theirs() {
    let server = Server::start().await;
    let (rates, _) = server.rates(PATIENCE);
    server.set(MEMPOOL, Answer::Status(503));
    server.set(COINBASE, coinbase_says(r#""USD":"74000","EUR":"61723.2""#));
    assert!(rates.refresh().await);
    assert_eq!(rates.quote(Currency::Usd), Err(RateUnavailable::Disputed(Currency::Usd)));
    quoted(&rates, Currency::Eur, "61727.5", "coinbase, kraken");
    server.set(COINBASE, coinbase_says(r#""USD":"67000""#));
    rates.refresh().await;
    quoted(&rates, Currency::Usd, "67000.05", "coinbase, kraken");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_fails_takes_nothing_from_the_others_and_comes_back() {
    let server = Server::start().await;
    let (rates, clock) = server.rates(PATIENCE);
    rates.refresh().await;
    // Its last word counts until it is old.
    for source in [MEMPOOL, COINBASE, KRAKEN] {
        server.set(source, Answer::Status(500));
    }
    assert!(!rates.refresh().await);
    quoted(&rates, Currency::Usd, "67000.1", "coinbase, kraken, mempool");
    clock.advance(Duration::from_secs(290));
    server.set(KRAKEN, kraken_says("XXBTZUSD", "68000.50000"));
    assert!(rates.refresh().await);
    quoted(&rates, Currency::Usd, "67495.3025", "coinbase, kraken");
    clock.advance(Duration::from_secs(20));
    quoted(&rates, Currency::Usd, "68000.5", "kraken");
    assert_eq!(rates.quote(Currency::Eur), Err(RateUnavailable::Stale(Currency::Eur)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_source_holds_nobody_up() {
    let server = Server::start().await;
    server.set(MEMPOOL, Answer::Slow);
    let (rates, _) = server.rates(Duration::from_secs(30));
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(rates.clone().keep_fresh(async { drop(stopped.await) }));
    let began = Instant::now();
    while rates.quote(Currency::Usd).is_err() || rates.quote(Currency::Usd).unwrap().sources.len() < 2 {
        assert!(began.elapsed() < Duration::from_secs(10), "the others' words wait for the slow one");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    quoted(&rates, Currency::Usd, "66995.1025", "coinbase, kraken");
    // And it does not hold up the end.
    stop.send(()).unwrap();
    tokio::time::timeout(Duration::from_secs(5), running).await.unwrap().unwrap();
}

#[tokio::test]
async fn what_the_operator_set_is_there_at_once_and_does_not_age() {
    let clock = Clock::manual(NOW);
    let set = [(Currency::Usd, decimal("39992")), (Currency::Eur, decimal("0"))];
    let rates = Rates::fixed(&set, RatesSettings::default(), clock.clone());
    clock.advance(Duration::from_secs(86_400));
    quoted(&rates, Currency::Usd, "39992", "fixed");
    assert_eq!(rates.quote(Currency::Usd).unwrap().at, clock.now());
    assert!(rates.refresh().await);
    assert_eq!(rates.all().len(), 1);
}
