use std::time::{Duration, Instant};

use super::decimal;
use super::server::{
    Answer, COINBASE, KRAKEN, MEMPOOL, NOW, Server, coinbase_says, kraken_says, mempool_says,
};
use crate::core::time::Clock;
use crate::rates::{Currency, RateUnavailable, Rates, RatesSettings, When};

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
        if absurd.starts_with("670") {
            // Who is wrong about the dollar is believed in nothing.
            quoted(&rates, Currency::Eur, "61727.5", "coinbase, kraken");
        } else {
            quoted(&rates, Currency::Eur, "61723.2", "mempool, coinbase, kraken");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lone_word_is_held_against_what_was_agreed() {
    let server = Server::start().await;
    let (rates, clock) = server.rates(PATIENCE);
    rates.refresh().await;
    let agreed = rates.quote(Currency::Usd).unwrap().rate;
    assert_eq!(agreed.to_string(), "67000.1");
    server.set(MEMPOOL, Answer::Status(500));
    server.set(COINBASE, Answer::Status(500));
    clock.advance(Duration::from_secs(301));
    let says = async |price: &str| {
        server.set(KRAKEN, kraken_says("XXBTZUSD", price));
        rates.refresh().await;
        rates.quote(Currency::Usd).map(|quote| quote.rate.to_string())
    };
    let doubt = Err(RateUnavailable::Doubtful(Currency::Usd));
    for absurd in ["670.00000", "1.00000", "6700000.00000", "50000.00000", "83751.00000"] {
        assert_eq!(says(absurd).await, doubt, "{absurd}");
    }
    for price in ["50251", "83750"] {
        assert_eq!(says(price).await, Ok(price.into()));
    }
    // Not even in steps, as long as the others are remembered.
    assert_eq!(says("100000").await, doubt);
    // After a long absence there is nothing to hold it against.
    clock.advance(Duration::from_secs(24 * 3_600 + 1));
    assert_eq!(says("200000").await, Ok("200000".into()));
    // Then against what was believed of one.
    assert_eq!(says("251000").await, doubt);
    assert_eq!(says("249000").await, Ok("249000".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_currency_that_one_source_has_is_bound_by_its_dollar() {
    let server = Server::start().await;
    let (rates, clock) = server.rates(PATIENCE);
    let says = async |usd: &str, inr: &str| {
        server.set(COINBASE, coinbase_says(&format!(r#""USD":"{usd}","INR":"{inr}""#)));
        rates.refresh().await;
        rates.quote(Currency::Inr).map(|quote| quote.rate.to_string())
    };
    let doubt = Err(RateUnavailable::Doubtful(Currency::Inr));
    assert_eq!(says("67000", "5600000").await, Ok("5600000".into()));
    // Its rupee alone goes mad.
    for absurd in ["56000", "4000000", "7100000"] {
        assert_eq!(says("67000", absurd).await, doubt, "{absurd}");
    }
    // Its dollar goes mad: it is believed in nothing.
    assert_eq!(says("670", "56000").await, Err(RateUnavailable::Stale(Currency::Inr)));
    // Its dollar is silent, while others have one.
    server.set(COINBASE, coinbase_says(r#""INR":"5600000""#));
    rates.refresh().await;
    assert_eq!(rates.quote(Currency::Inr), Err(RateUnavailable::Doubtful(Currency::Inr)));
    // Bitcoin doubles, for everybody.
    server.set(MEMPOOL, mempool_says(0, r#""USD":134000"#));
    server.set(KRAKEN, kraken_says("XXBTZUSD", "134100.0"));
    assert_eq!(says("134050", "11200000").await, Ok("11200000".into()));
    // And alone, its own dollar must be near.
    server.set(MEMPOOL, Answer::Status(500));
    server.set(KRAKEN, Answer::Status(500));
    clock.advance(Duration::from_secs(301));
    assert_eq!(says("67000", "5600000").await, doubt);
    assert_eq!(says("130000", "10900000").await, Ok("10900000".into()));
    clock.advance(Duration::from_secs(24 * 3_600 + 1));
    assert_eq!(says("67000", "2000000").await, Ok("2000000".into()));
}

#[test]
fn a_word_from_the_future_is_of_unknown_age() {
    let limit = Duration::from_secs(300);
    let fresh = |at: i64| When::At(NOW + at).fresh(NOW, limit).is_some();
    assert!(fresh(0) && fresh(-300_000) && fresh(5_000));
    assert!(!fresh(-300_001) && !fresh(5_001) && !fresh(86_400_000));
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
