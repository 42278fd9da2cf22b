use super::decimal;
use super::server::{
    Answer, COINBASE, KRAKEN, MEMPOOL, NOW, Server, coinbase_says, kraken_says, mempool_says,
};
use crate::rates::sources::{Kind, coinbase, kraken, mempool};
use crate::rates::{Currency, Prices, SourceError, When};

/// The rates of an answer, as texts.
fn shown(prices: &Prices) -> Vec<(&'static str, String)> {
    prices.rates.iter().map(|(currency, rate)| (currency.code(), rate.to_string())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_source_is_read_to_the_last_digit() {
    let server = Server::start().await;
    let said = server.source(mempool::KIND).fetch().await.unwrap();
    assert_eq!(said.when, When::At(NOW - 20_000));
    assert_eq!(said.rates.len(), 7);
    assert_eq!(said.rates[0], (Currency::Usd, decimal("67010")));

    let said = server.source(coinbase::KIND).fetch().await.unwrap();
    assert_eq!((said.when, said.rates.len()), (When::Now, Currency::ALL.len()));
    assert!(said.rates.contains(&(Currency::Jpy, decimal("10131234.5678"))));

    let said = server.source(kraken::KIND).fetch().await.unwrap();
    let expected = [("EUR", "61731.8".into()), ("GBP", "52795.5".into()), ("USD", "67000.1".into())];
    assert_eq!((said.when, shown(&said)), (When::Now, expected.to_vec()));

    assert_eq!(
        server.asked(),
        ["/api/v1/prices", "/v2/exchange-rates?currency=BTC", "/0/public/Ticker?pair=XBTUSD,XBTEUR,XBTGBP"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_price_that_is_none_is_left_out_and_the_others_stay() {
    let server = Server::start().await;
    server.set(MEMPOOL, mempool_says(0, r#""USD":-1,"EUR":61700.5,"GBP":null,"JPY":[1],"new":{"a":1}"#));
    assert_eq!(shown(&server.source(mempool::KIND).fetch().await.unwrap()), [("EUR", "61700.5".into())]);
    server.set(COINBASE, coinbase_says(r#""USD":"NaN","EUR":61723.25,"GBP":"","X\u0059Z":"1""#));
    assert_eq!(shown(&server.source(coinbase::KIND).fetch().await.unwrap()), [("EUR", "61723.25".into())]);
    server.set(KRAKEN, kraken_says("XBTCHF", "60000.10000"));
    assert_eq!(shown(&server.source(kraken::KIND).fetch().await.unwrap()), [("CHF", "60000.1".into())]);
    server.set(KRAKEN, kraken_says("XETHZUSD", "3000.10000"));
    assert_eq!(shown(&server.source(kraken::KIND).fetch().await.unwrap()), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_to_fail_has_its_name_and_ends() {
    let server = Server::start().await;
    // A redirect that was followed would find a good answer.
    server.set("/elsewhere", mempool_says(0, r#""USD":67000"#));
    let documented = || SourceError::Nonsense("not the JSON that is documented");
    let sources: [(&'static str, Kind); 3] =
        [(MEMPOOL, mempool::KIND), (COINBASE, coinbase::KIND), (KRAKEN, kraken::KIND)];
    for (path, kind) in sources {
        for (answer, error) in [
            (Answer::Status(500), SourceError::Status(500)),
            (Answer::Status(429), SourceError::Status(429)),
            (Answer::Redirect, SourceError::Status(307)),
            (Answer::Endless, SourceError::TooLarge),
            (Answer::Cut, SourceError::Unreachable),
            (Answer::Slow, SourceError::TimedOut),
            ("".into(), documented()),
            ("<html>maintenance</html>".into(), documented()),
            ("[]".into(), documented()),
            ("{}".into(), documented()),
            ("\u{0}\u{ff}".into(), documented()),
        ] {
            server.set(path, answer);
            assert_eq!(server.source(kind).fetch().await, Err(error), "{}", kind.name);
        }
    }
    server.set(KRAKEN, r#"{"error":["EQuery:Unknown asset pair"]}"#);
    let refused = SourceError::Refused("EQuery:Unknown asset pair".into());
    assert_eq!(server.source(kraken::KIND).fetch().await, Err(refused));
    server.set(COINBASE, r#"{"data":{"currency":"ETH","rates":{"USD":"3000"}}}"#);
    let other = SourceError::Nonsense("rates of something else than bitcoin");
    assert_eq!(server.source(coinbase::KIND).fetch().await, Err(other));
}
