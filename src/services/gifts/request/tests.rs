use bitcoin::Network;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::outbound::lnurl::pay::NotPayable;

const NOW: UnixMillis = 1_800_000_000_000;

fn read(body: Value) -> Result<Order, GiftError> {
    let Value::Object(fields) = body else { panic!("no object") };
    Order::read(&fields, &Rules::new(Network::Regtest, "https://gifts.example"), NOW)
}

fn code(body: Value) -> &'static str {
    read(body).unwrap_err().code()
}

#[test]
fn every_row_of_the_table() {
    use GiftError as E;
    for (bad, error) in [
        (json!({}), E::AmountNotWhole),
        (json!({"amount": "5000"}), E::AmountNotWhole),
        (json!({"amount": 1.5}), E::AmountNotWhole),
        (json!({"amount": true}), E::AmountNotWhole),
        (json!({"amount": null}), E::AmountNotWhole),
        (json!({"amount": [5000]}), E::AmountNotWhole),
        (json!({"amount": 99}), E::AmountTooSmall),
        (json!({"amount": 0}), E::AmountTooSmall),
        (json!({"amount": -100}), E::AmountTooSmall),
        (json!({"amount": -1e300}), E::AmountTooSmall),
        (json!({"amount": 500_001}), E::AmountTooLarge),
        (json!({"amount": u64::MAX}), E::AmountTooLarge),
        (json!({"amount": 1e300}), E::AmountTooLarge),
        (json!({"amount": 100, "senderName": 1}), E::NameNotText),
        (json!({"amount": 100, "senderName": {}}), E::NameNotText),
        (json!({"amount": 100, "senderName": "1234567890123456"}), E::NameTooLong),
        // Eight of two UTF-16 units each.
        (json!({"amount": 100, "senderName": "🎁🎁🎁🎁🎁🎁🎁🎁"}), E::NameTooLong),
        (json!({"amount": 100, "senderMessage": false}), E::MessageNotText),
        (json!({"amount": 100, "senderMessage": "x".repeat(101)}), E::MessageTooLong),
        (json!({"amount": 100, "verifyCode": true}), E::CodeNotNumber),
        (json!({"amount": 100, "verifyCode": "abcd"}), E::CodeNotNumber),
        (json!({"amount": 100, "verifyCode": 42}), E::CodeBadLength),
        (json!({"amount": 100, "verifyCode": "12345"}), E::CodeBadLength),
        (json!({"amount": 100, "notify": 5}), E::NotifyBadUrl),
        (json!({"amount": 100, "notify": "your webhook url"}), E::NotifyBadUrl),
        (json!({"amount": 100, "notify": "ftp://a.example/x"}), E::NotifyBadUrl),
        (json!({"amount": 100, "notify": "javascript:alert(1)"}), E::NotifyBadUrl),
        (
            json!({"amount": 100, "notify": format!("https://a.example/{}", "x".repeat(2_000))}),
            E::NotifyBadUrl,
        ),
        (json!({"amount": 100, "expiresAt": 1_800_000_000}), E::ExpiresAtBad),
        (json!({"amount": 100, "expiresAt": 0}), E::ExpiresAtBad),
        (json!({"amount": 100, "expiresAt": -5}), E::ExpiresAtBad),
        (json!({"amount": 100, "expiresAt": 1_800_000_000_i64 + 6 * 366 * 86_400}), E::ExpiresAtBad),
        (json!({"amount": 100, "expiresAt": 1e300}), E::ExpiresAtBad),
        (json!({"amount": 100, "expiresAt": "tomorrow"}), E::ExpiresAtBad),
        (
            json!({"amount": 100, "refundAddress": "nobody"}),
            E::RefundAddressUnpayable(NotPayable::Unreadable),
        ),
        (
            json!({"amount": 100, "refundAddress": "lno1qcp4256ypq"}),
            E::RefundAddressUnpayable(NotPayable::Offer),
        ),
        (json!({"amount": 100, "refundAddress": 1}), E::RefundAddressBad),
        (json!({"amount": 100, "quantity": 0}), E::QuantityBad),
        (json!({"amount": 100, "quantity": 501}), E::QuantityBad),
        (json!({"amount": 100, "quantity": 1.5}), E::QuantityBad),
        (json!({"amount": 100, "quantity": "2"}), E::QuantityBad),
        (json!({"amount": 100, "notifySecret": 1}), E::NotifySecretBad),
        (json!({"amount": 100, "notifySecret": "x".repeat(129)}), E::NotifySecretBad),
    ] {
        assert_eq!(read(bad.clone()).err(), Some(error.clone()), "{bad}");
        let expected = if error == E::NotFound { 404 } else { 400 };
        assert_eq!(error.status(), expected);
    }
}

#[test]
fn the_first_broken_rule_is_told() {
    let mut body = json!({
        "amount": "x", "senderName": 1, "senderMessage": 1, "verifyCode": "x", "notify": 1,
        "expiresAt": 0, "refundAddress": 1, "quantity": 0, "notifySecret": 1,
    });
    let steps = [
        ("amount", json!(99), "GIFT_AMOUNT_NOT_WHOLE_NUMBER"),
        ("amount", json!(500_001), "GIFT_AMOUNT_UNDER_100"),
        ("amount", json!(100), "GIFT_AMOUNT_OVER_500K"),
        ("senderName", json!("1234567890123456"), "SENDER_NAME_NOT_STRING"),
        ("senderName", json!("me"), "SENDER_NAME_BAD_LENGTH"),
        ("senderMessage", json!("x".repeat(101)), "SENDER_MESSAGE_NOT_STRING"),
        ("senderMessage", json!("hi"), "SENDER_MESSAGE_BAD_LENGTH"),
        ("verifyCode", json!(1), "VERIFY_CODE_NOT_NUMBER"),
        ("verifyCode", json!(1234), "VERIFY_CODE_BAD_LENGTH"),
        ("notify", json!("https://a.example"), "NOTIFY_BAD_URL"),
        ("expiresAt", json!(1_800_000_001), "EXPIRES_AT_BAD"),
        ("refundAddress", json!("a@b.example"), "REFUND_ADDRESS_BAD"),
        ("quantity", json!(2), "QUANTITY_BAD"),
        ("notifySecret", json!("s"), "NOTIFY_SECRET_BAD"),
    ];
    for (field, better, expected) in steps {
        assert_eq!(code(body.clone()), expected);
        body[field] = better;
    }
    assert!(read(body).is_ok());
}

#[test]
fn what_the_original_took_is_taken() {
    for amount in [json!(100), json!(500_000), json!(5000.0), json!(5e3)] {
        assert!(read(json!({"amount": amount})).is_ok(), "{amount}");
    }
    let order = read(json!({
        "amount": 100, "senderName": "", "senderMessage": null, "verifyCode": null, "notify": "", "unknown": 1,
        "expiresAt": null, "refundAddress": "", "quantity": null, "notifySecret": "",
    }))
    .unwrap();
    assert_eq!(order.words.sender_name.as_deref(), Some(""));
    assert_eq!((order.quantity, order.total), (1, order.amount));
    assert!(order.words.notify.is_none() && order.refund_address.is_none() && order.notify_secret.is_none());
    assert!(read(json!({"amount": 100, "senderName": "123456789012345"})).is_ok());
    assert!(read(json!({"amount": 100, "senderMessage": "x".repeat(100)})).is_ok());
}

#[test]
fn an_order_for_many_asks_for_all_of_them() {
    let order = read(json!({"amount": 1_000, "quantity": 500})).unwrap();
    assert_eq!(order.total, Msat::from_sat(500_000).unwrap());
    let largest = read(json!({"amount": 500_000, "quantity": 500})).unwrap();
    assert_eq!(largest.total, Msat::from_sat(250_000_000).unwrap());
    assert_eq!(order.description(), "500 Lightning Gifts for 1000 sats each");
    assert_eq!(read(json!({"amount": 591})).unwrap().description(), "Lightning Gift for 591 sats");
}

#[test]
fn the_words_of_lnurl_pay_keep_to_the_same_rules() {
    let words = |pairs: &[(&str, &str)]| {
        let found = |name: &str| pairs.iter().find(|pair| pair.0 == name).map(|pair| pair.1.to_owned());
        Words::from_query(found)
    };
    let long = "x".repeat(101);
    for (name, value, error) in [
        ("senderName", "1234567890123456", GiftError::NameTooLong),
        ("senderMessage", long.as_str(), GiftError::MessageTooLong),
        ("verifyCode", "abcd", GiftError::CodeNotNumber),
        ("verifyCode", "123", GiftError::CodeBadLength),
        ("notify", "nowhere", GiftError::NotifyBadUrl),
    ] {
        assert_eq!(words(&[(name, value)]).err(), Some(error), "{name}");
    }
    let fine = words(&[("verifyCode", "0042"), ("senderName", ""), ("notify", "")]).unwrap();
    assert_eq!(fine.code.unwrap().digits(), "0042");
    assert!(fine.sender_name.is_none() && fine.notify.is_none());
}

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (0..1_000_000_i64).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,120}".prop_map(Value::from),
        Just(json!([])),
        Just(json!({})),
    ]
}

proptest! {
    #[test]
    fn whatever_is_taken_keeps_to_the_rules(
        amount in any_value(), name in any_value(), message in any_value(), verify in any_value(),
        quantity in any_value(), expires in any_value(),
    ) {
        let body = json!({
            "amount": amount, "senderName": name, "senderMessage": message, "verifyCode": verify,
            "quantity": quantity, "expiresAt": expires,
        });
        if let Ok(order) = read(body) {
            prop_assert!((100..=500_000).contains(&order.amount.sat_floor()));
            prop_assert_eq!(order.total.get(), order.amount.get() * u64::from(order.quantity));
            prop_assert!((1..=500).contains(&order.quantity));
            prop_assert!(order.words.sender_name.is_none_or(|name| name.encode_utf16().count() <= 15));
            prop_assert!(order.words.sender_message.is_none_or(|text| text.encode_utf16().count() <= 100));
            prop_assert!(order.expires_at.is_none_or(|at| at > NOW));
        }
    }
}
