//! Letters to buyers.

use super::setup::{World, claim, config, mugs};
use crate::admin::{ShipRequest, StoreAdmin};
use crate::outbound::mail::post_office::PostOffice;

#[tokio::test(flavor = "multi_thread")]
async fn buyer_gets_two_letters_each_once() {
    let office = PostOffice::open().await;
    let world = World::with(&config(), Some(office.mailer(10))).await;
    world.create("mugs", &mugs()).await;
    let mug = world.product("mugs", "mug", "20.00", Some(2)).await;
    let bought = world.buy("mugs", mug).await;
    world.shop.send_letters().await.unwrap();
    assert!(office.received().is_empty());
    world.post("/api/shopify/mugs/claim", &claim(&bought["claimToken"])).await.ok();
    // The first attempt is put off by the server, and the letter is not lost.
    office.answer(&["451 later"]);
    world.shop.send_letters().await.unwrap();
    world.shop.send_letters().await.unwrap();
    assert!(office.received().is_empty());
    world.clock.advance(std::time::Duration::from_secs(600));
    world.shop.send_letters().await.unwrap();
    world.shop.send_letters().await.unwrap();
    let first = office.letter(1).await;
    assert_eq!((first.to.as_str(), office.received().len()), ("ada@example.com", 1));
    assert!(first.raw.contains("Subject: Your order #1001\r\n"), "{}", first.raw);
    let page = format!("/store/mugs/orders/{}#claim=", bought["orderId"].as_str().unwrap());
    assert!(first.text().contains(&page), "{}", first.text());
    let tracking = ShipRequest { number: Some("1Z999".into()), ..ShipRequest::default() };
    world.shop.ship(bought["orderId"].as_str().unwrap().into(), tracking).await.unwrap();
    world.shop.send_letters().await.unwrap();
    assert!(office.letter(2).await.text().contains("Tracking number: 1Z999"));
}

#[tokio::test(flavor = "multi_thread")]
async fn forgotten_buyer_gets_no_letter() {
    let office = PostOffice::open().await;
    let world = World::with(&config(), Some(office.mailer(10))).await;
    world.create("mugs", &mugs()).await;
    let mug = world.product("mugs", "mug", "20.00", Some(2)).await;
    let bought = world.buy("mugs", mug).await;
    world.post("/api/shopify/mugs/claim", &claim(&bought["claimToken"])).await.ok();
    StoreAdmin::forget(&world.shop, bought["orderId"].as_str().unwrap().into()).await.unwrap();
    world.shop.send_letters().await.unwrap();
    assert!(office.received().is_empty());
}
