//! Gifts in wallets, by an LNURL library that isn't ours.

use regtest::wallet::PaymentStatus;
use serde_json::json;

use super::test_server::TestServer;

/// LNURL-withdraw, of a gift with a code: the LNURL alone is enough.
pub async fn withdraws(server: &TestServer) {
    let created = server.create(json!({"amount": 2000, "verifyCode": "0042"})).await;
    server.fund(&created).await;
    let wallet = &server.network.wallets[1];
    let lnurl = created["lnurl"].as_str().unwrap();
    let done = wallet.lnurl_withdraw(lnurl, None).await.unwrap();
    let id = created["orderId"].as_str().unwrap();
    let spent = server.until(&format!("/gift/{id}?verifyCode=0042"), |gift| gift["spent"] == true).await;
    assert_eq!(spent["withdrawalInfo"]["withdrawalInvoice"], done.invoice.as_str());
    let payment = wallet.payment(&done.payment_hash).await.unwrap();
    assert_eq!((payment.status, payment.amount_msat), (PaymentStatus::Succeeded, Some(2_000_000)));
    // A second wallet comes too late.
    assert!(server.network.wallets[0].lnurl_withdraw(lnurl, None).await.is_err());
}

/// LNURL-pay: a wallet makes a gift and gets its link.
pub async fn pays_for_a_gift(server: &TestServer) {
    let url = server.url("/lnurl?senderName=Eve&senderMessage=hi%20there&verifyCode=0042");
    let offer = server.send(server.http.get(&url)).await.ok();
    assert_eq!(offer["tag"], "payRequest");
    let callback = format!("{}?amount=1000000", offer["callback"].as_str().unwrap());
    let made = server.send(server.http.get(callback)).await.ok();
    server.network.wallets[0].pay(made["pr"].as_str().unwrap()).await.unwrap();
    let link = made["successAction"]["url"].as_str().unwrap();
    assert!(link.len() <= 144);
    let id = link.rsplit('/').next().unwrap();
    let gift = server.until(&format!("/gift/{id}?verifyCode=42"), |gift| gift["chargeStatus"] == "paid").await;
    assert_eq!((&gift["amount"], &gift["senderName"]), (&json!(1000), &json!("Eve")));
    assert_eq!(gift["senderMessage"], "hi there");
    let page = server.send(server.http.get(link)).await;
    assert_eq!(page.status, 302);
    assert_eq!(page.headers["location"], server.url(&format!("/redeem/{id}")));

    // By the library, which checks that the invoice commits to the metadata.
    let lnurl = bech32::encode_lower::<bech32::Bech32>(
        bech32::Hrp::parse("lnurl").unwrap(),
        server.url("/lnurl").as_bytes(),
    );
    server.network.wallets[0].lnurl_pay(&lnurl.unwrap(), 1500, None).await.unwrap();
    for (query, code) in [
        ("amount=99000", "GIFT_AMOUNT_UNDER_100"),
        ("amount=500001000", "GIFT_AMOUNT_OVER_500K"),
        ("amount=100500", "GIFT_AMOUNT_NOT_WHOLE_NUMBER"),
    ] {
        server.get(&format!("/lnurl?{query}")).await.is_lnurl_error(code);
    }
}
