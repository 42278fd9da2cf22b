//! Gifts in wallets, by an LNURL library that isn't ours.

use regtest::wallet::PaymentStatus;
use serde_json::json;

use super::door::Door;

/// LNURL-withdraw, of a gift with a code: the LNURL alone is enough.
pub async fn withdraws(door: &Door) {
    let created = door.create(json!({"amount": 2000, "verifyCode": "0042"})).await;
    door.fund(&created).await;
    let wallet = &door.network.wallets[1];
    let lnurl = created["lnurl"].as_str().unwrap();
    let done = wallet.lnurl_withdraw(lnurl, None).await.unwrap();
    let id = created["orderId"].as_str().unwrap();
    let spent = door.until(&format!("/gift/{id}?verifyCode=0042"), |gift| gift["spent"] == true).await;
    assert_eq!(spent["withdrawalInfo"]["withdrawalInvoice"], done.invoice.as_str());
    let payment = wallet.payment(&done.payment_hash).await.unwrap();
    assert_eq!((payment.status, payment.amount_msat), (PaymentStatus::Succeeded, Some(2_000_000)));
    // A second wallet comes too late.
    assert!(door.network.wallets[0].lnurl_withdraw(lnurl, None).await.is_err());
}

/// LNURL-pay: a wallet makes a gift and gets its link.
pub async fn pays_for_a_gift(door: &Door) {
    let url = door.url("/lnurl?senderName=Eve&senderMessage=hi%20there&verifyCode=0042");
    let offer = door.send(door.http.get(&url)).await.ok();
    assert_eq!(offer["tag"], "payRequest");
    let callback = format!("{}?amount=1000000", offer["callback"].as_str().unwrap());
    let made = door.send(door.http.get(callback)).await.ok();
    door.network.wallets[0].pay(made["pr"].as_str().unwrap()).await.unwrap();
    let link = made["successAction"]["url"].as_str().unwrap();
    assert!(link.len() <= 144);
    let id = link.rsplit('/').next().unwrap();
    let gift = door.until(&format!("/gift/{id}?verifyCode=42"), |gift| gift["chargeStatus"] == "paid").await;
    assert_eq!((&gift["amount"], &gift["senderName"]), (&json!(1000), &json!("Eve")));
    assert_eq!(gift["senderMessage"], "hi there");
    let page = door.send(door.http.get(link)).await;
    assert_eq!(page.status, 302);
    assert_eq!(page.headers["location"], door.url(&format!("/redeem/{id}")));

    // By the library, which checks that the invoice commits to the metadata.
    let lnurl = bech32::encode_lower::<bech32::Bech32>(
        bech32::Hrp::parse("lnurl").unwrap(),
        door.url("/lnurl").as_bytes(),
    );
    door.network.wallets[0].lnurl_pay(&lnurl.unwrap(), 1500, None).await.unwrap();
    for (query, code) in [
        ("amount=99000", "GIFT_AMOUNT_UNDER_100"),
        ("amount=500001000", "GIFT_AMOUNT_OVER_500K"),
        ("amount=100500", "GIFT_AMOUNT_NOT_WHOLE_NUMBER"),
    ] {
        door.get(&format!("/lnurl?{query}")).await.is_lnurl_error(code);
    }
}
