//! Tokens, scopes and the rate limit.

use std::time::{Duration, Instant};

use super::super::shopify_server::{SECRET, ShopifyServer, Trouble};
use super::{MUG, Pair};
use crate::services::shop::shopify::ShopifyError;

#[tokio::test(flavor = "multi_thread")]
async fn token_is_kept_renewed_ahead_of_its_end_and_after_a_refusal() {
    let pair = Pair::with_a_mug().await;
    pair.sync().await;
    assert_eq!(pair.server.shop().tokens, 1);
    pair.world.clock.advance(Duration::from_secs(85_000));
    pair.sync().await;
    assert_eq!(pair.server.shop().tokens, 1);
    // A quarter of an hour before its end.
    pair.world.clock.advance(Duration::from_secs(600));
    pair.sync().await;
    assert_eq!(pair.server.shop().tokens, 2);
    pair.server.next(Trouble::Unauthorised);
    pair.sync().await;
    assert_eq!(pair.server.shop().tokens, 3);
    // One that is never taken is an error, and not asked for without end.
    pair.server.trouble(Some(Trouble::Unauthorised));
    assert!(pair.refused().await.contains("client_id and client_secret"));
    assert_eq!(pair.server.shop().tokens, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_scopes_are_named_and_secrets_are_not() {
    let pair = Pair::with_a_mug().await;
    pair.world.clock.advance(Duration::from_secs(86_400));
    pair.server.shop().scopes = "read_products,write_orders,write_draft_orders".into();
    let told = pair.refused().await;
    assert!(told.contains("lacks the scope read_inventory"), "{told}");
    pair.server.shop().scopes = "write_products,read_inventory".into();
    assert!(pair.refused().await.contains("lacks the scope write_orders, write_draft_orders:"));
    pair.server.shop().scopes = "write_products,write_inventory,write_orders,write_draft_orders".into();
    pair.sync().await;
    // A shop that tells our secrets back gets them into no text.
    for secret in [SECRET.to_owned(), format!("shpat_{}", pair.server.shop().tokens)] {
        let said = format!(r#"{{"errors":[{{"message":"bad {secret}"}}]}}"#);
        pair.server.trouble(Some(Trouble::Text(said)));
        let told = pair.refused().await;
        assert!(!told.contains(&secret) && told.contains("reports an error"), "{told}");
    }
    let printed = format!("{:?}", pair.shop);
    assert!(!printed.contains(SECRET), "{printed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_secret_is_told() {
    let server = ShopifyServer::start().await;
    let text = format!("network = \"regtest\"\n{}", server.config("mugs").replace(SECRET, "wrong"));
    let config = toml::from_str(&text).unwrap();
    let world = super::World::with(&config, None).await;
    let shop = world.shop.shopify_shops().remove(0);
    let none = world.shop.sync_shopify(&shop).await.unwrap_err();
    assert_eq!(none, ShopifyError::NoStore("mugs".into()));
    world.create("mugs", &super::mugs()).await;
    let refused = world.shop.sync_shopify(&shop).await.unwrap_err();
    assert_eq!(refused, ShopifyError::Credentials(400));
    assert!(!refused.to_string().contains("wrong"));
}

#[tokio::test(flavor = "multi_thread")]
async fn rate_limit_is_obeyed_before_it_is_hit() {
    let pair = Pair::new().await;
    for n in 0..100 {
        pair.server.product(7_000_000_000_000 + n, &format!("p{n}"), &[(MUG + n, "Blue", "20.00", 1)]);
    }
    pair.sync().await;
    // A page of either kind costs about 300 and 500 points; the bucket has two of them, and fills quickly.
    pair.server.shop().points = Some((1_000.0, 1_000.0, 2_000.0));
    let began = Instant::now();
    pair.sync().await;
    assert!(began.elapsed() > Duration::from_millis(100), "{:?}", began.elapsed());
    // At the first reading it did not know the bucket.
    assert!(pair.server.shop().throttled <= 1, "{}", pair.server.shop().throttled);
    pair.server.shop().throttled = 0;
    pair.sync().await;
    assert_eq!(pair.server.shop().throttled, 0);
    // Somebody else has emptied it.
    pair.server.shop().points = Some((1_000.0, -200.0, 2_000.0));
    pair.sync().await;
    assert!(pair.server.shop().throttled >= 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_requests_wait_as_long_as_they_are_told() {
    let pair = Pair::with_a_mug().await;
    let bought = pair.buy(MUG).await;
    pair.claim(&bought).await;
    pair.server.next(Trouble::TooMany("1.0"));
    let began = Instant::now();
    pair.send().await;
    assert!(began.elapsed() >= Duration::from_secs(1), "{:?}", began.elapsed());
    assert_eq!(pair.server.orders().len(), 1);
    // Without end: it is certain that nothing was done.
    let bought = pair.buy(MUG).await;
    pair.claim(&bought).await;
    pair.server.trouble(Some(Trouble::TooMany("0")));
    pair.send().await;
    assert!(pair.shown().await["failing_orders"][0]["error"].as_str().unwrap().contains("rate limit"));
    pair.server.trouble(None);
    pair.send_after(3_600).await;
    assert_eq!(pair.server.orders().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn questions_are_asked_again_and_orders_are_not() {
    let pair = Pair::with_a_mug().await;
    pair.server.shop().troubles = [Trouble::Status(503), Trouble::Lost].into();
    pair.sync().await;
    assert!(pair.server.shop().troubles.is_empty());
    let bought = pair.buy(MUG).await;
    pair.claim(&bought).await;
    pair.server.shop().troubles = [Trouble::Status(503), Trouble::Status(503)].into();
    pair.send().await;
    assert_eq!(pair.server.shop().troubles.len(), 1);
}
