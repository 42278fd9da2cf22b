use proptest::prelude::*;
use serde_json::json;

use super::*;

/// 2023-04-01T00:00:00Z
const NOW: UnixMillis = 1_680_307_200_000;

const EXPIRY_TEXT: &str = "2024-01-21T08:28:48.518Z";

fn object(body: Value) -> Map<String, Value> {
    let Value::Object(fields) = body else { panic!("no object") };
    fields
}

fn read(body: Value) -> Result<NewTips, Invalid> {
    NewTips::read(&object(body), &Limits::default(), NOW)
}

/// A good order with some fields changed.
fn with(changes: Value) -> Value {
    let mut body = json!({"amount": 21, "quantity": 1, "expiry": EXPIRY_TEXT});
    for (name, value) in object(changes) {
        body[name] = value;
    }
    body
}

fn group(quantity: u32, changes: Value) -> Value {
    let mut body = with(changes);
    body["quantity"] = quantity.into();
    body
}

fn edit(kind: Kind, body: Value) -> Result<Edit, Invalid> {
    Edit::read(&object(body), kind, NOW)
}

fn sat(sat: u64) -> Msat {
    Msat::from_sat(sat).unwrap()
}

fn words(details: &Details) -> Vec<(Option<&str>, Option<&str>)> {
    details.words.iter().map(|tip| (tip.tippee_name.as_deref(), tip.note.as_deref())).collect()
}

#[test]
fn the_documents_example_is_an_order() {
    let order = read(json!({"expiry": EXPIRY_TEXT, "amount": 21, "quantity": 1})).unwrap();
    assert_eq!((order.amount, order.fee, order.total), (sat(21), sat(10), sat(31)));
    assert_eq!((order.quantity, order.expiry), (1, 1_705_825_728_518));
    assert_eq!(order.onboarding_flow, OnboardingFlow::Default);
    assert_eq!(order.kind(), Kind::Single);
    assert!(!order.anonymous_tipper && !order.enable_static_link);
    assert_eq!(words(&order.details), [(None, None)]);
    assert!(order.details.passphrase.is_none() && order.details.claim_webhook_url.is_none());
}

#[test]
fn everything_that_can_be_said_of_a_tip() {
    let order = read(json!({
        "amount": 21.0, "quantity": 1, "expiry": "2023-04-21T15:28:48+07:00", "currency": "USD",
        "onboardingFlow": "LIGHTNING", "tippeeName": "Bob", "tippeeLocale": "th",
        "note": "Thanks for the great pizza, {{name}}!", "tippeeNames": 5, "recommendedWalletId": "alby",
        "anonymousTipper": true, "generatePassphrase": true, "passphraseLength": 3,
        "claimWebhookUrl": "https://discord.com/api/webhooks/1", "type": "CUSTODIAL",
        "withdrawWebhookUrl": "http://a.example/?x=1", "advertisementUrl": "https://ad.example",
        "advertisementImageUrl": "https://ad.example/a.png", "enableStaticLink": true, "unknown": [],
    }))
    .unwrap();
    let details = &order.details;
    assert_eq!(order.onboarding_flow, OnboardingFlow::Lightning);
    // One link to many is for groups only.
    assert!(order.anonymous_tipper && !order.enable_static_link);
    assert_eq!(words(details), [(Some("Bob"), Some("Thanks for the great pizza, {{name}}!"))]);
    assert_eq!(details.currency.as_deref(), Some("USD"));
    assert_eq!(details.tippee_locale.as_deref(), Some("th"));
    assert_eq!(details.recommended_wallet_id.as_deref(), Some("alby"));
    assert_eq!(details.passphrase, WordCount::new(3));
    let exposed = |url: &Option<Secret>| url.as_ref().map(|url| url.expose().to_owned());
    assert_eq!(exposed(&details.claim_webhook_url).as_deref(), Some("https://discord.com/api/webhooks/1"));
    assert_eq!(exposed(&details.withdraw_webhook_url).as_deref(), Some("http://a.example/?x=1"));
    assert_eq!(details.advertisement_url.as_deref(), Some("https://ad.example"));
    assert_eq!(details.advertisement_image_url.as_deref(), Some("https://ad.example/a.png"));
    assert!(!format!("{order:?}").contains("discord"));
}

#[test]
fn every_rule_and_its_words() {
    let long = |length| "é".repeat(length);
    let longest = format!("https://a.example/{}", "x".repeat(1_983));
    let zone = "expiry must be an ISO 8601 date and time with its zone, like \"2030-01-21T08:28:48.518Z\"";
    let url = "must be a URL that begins with http:// or https://";
    let total = "amount and fee of all tips must come to at most 2100000 sats together";
    for (changes, code, message) in [
        (json!({"amount": null}), "AMOUNT_INVALID", "amount is missing"),
        (json!({"amount": "21"}), "AMOUNT_INVALID", "amount must be a number"),
        (json!({"amount": true}), "AMOUNT_INVALID", "amount must be a number"),
        (json!({"amount": 0}), "AMOUNT_INVALID", "amount must be a whole number from 1 to 2100000"),
        (json!({"amount": -21}), "AMOUNT_INVALID", "amount must be a whole number from 1 to 2100000"),
        (json!({"amount": 1.5}), "AMOUNT_INVALID", "amount must be a whole number from 1 to 2100000"),
        (json!({"amount": 1e300}), "AMOUNT_INVALID", "amount must be a whole number from 1 to 2100000"),
        (json!({"amount": u64::MAX}), "AMOUNT_INVALID", "amount must be a whole number from 1 to 2100000"),
        (json!({"amount": 2_079_003}), "TOTAL_TOO_LARGE", total),
        (json!({"amount": 2_100_000}), "TOTAL_TOO_LARGE", total),
        (json!({"amount": 5_000, "quantity": 416}), "TOTAL_TOO_LARGE", total),
        (json!({"quantity": null}), "QUANTITY_INVALID", "quantity is missing"),
        (json!({"quantity": "1"}), "QUANTITY_INVALID", "quantity must be a number"),
        (json!({"quantity": 0}), "QUANTITY_INVALID", "quantity must be a whole number from 1 to 500"),
        (json!({"quantity": 501}), "QUANTITY_INVALID", "quantity must be a whole number from 1 to 500"),
        (json!({"quantity": 1.5}), "QUANTITY_INVALID", "quantity must be a whole number from 1 to 500"),
        (json!({"expiry": null}), "EXPIRY_INVALID", "expiry is missing"),
        (json!({"expiry": 1_705_825_728}), "EXPIRY_INVALID", zone),
        (json!({"expiry": ""}), "EXPIRY_INVALID", "expiry is missing"),
        (json!({"expiry": "2024-01-21"}), "EXPIRY_INVALID", zone),
        (json!({"expiry": "2024-01-21T08:28:48.518"}), "EXPIRY_INVALID", zone),
        (
            json!({"expiry": "2028-04-05T00:00:00Z"}),
            "EXPIRY_INVALID",
            "expiry must lie at most five years ahead",
        ),
        (
            json!({"onboardingFlow": "STANDARD"}),
            "ONBOARDING_FLOW_INVALID",
            "onboardingFlow must be DEFAULT, SKIP or LIGHTNING, not \"STANDARD\"",
        ),
        (
            json!({"onboardingFlow": format!("skip\n{}", "x".repeat(99))}),
            "ONBOARDING_FLOW_INVALID",
            "onboardingFlow must be DEFAULT, SKIP or LIGHTNING, not \"skip\\nxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"",
        ),
        (json!({"onboardingFlow": 1}), "ONBOARDING_FLOW_INVALID", "onboardingFlow must be a text"),
        (
            json!({"anonymousTipper": "yes"}),
            "ANONYMOUS_TIPPER_INVALID",
            "anonymousTipper must be true or false",
        ),
        (
            json!({"type": "NON_CUSTODIAL_NWC"}),
            "TYPE_NOT_SUPPORTED",
            "type NON_CUSTODIAL_NWC is not supported: every tip is paid from this server's own node, so its sats \
             must be here before it is handed out",
        ),
        (json!({"type": "GIFT"}), "TYPE_INVALID", "type must be CUSTODIAL, not \"GIFT\""),
        (json!({"type": 1}), "TYPE_INVALID", "type must be a text"),
        (
            json!({"enableStaticLink": 1}),
            "ENABLE_STATIC_LINK_INVALID",
            "enableStaticLink must be true or false",
        ),
        (json!({"note": 1}), "NOTE_INVALID", "note must be a text"),
        (json!({"note": long(1_001)}), "NOTE_INVALID", "note must have at most 1000 characters"),
        (json!({"tippeeName": []}), "TIPPEE_NAME_INVALID", "tippeeName must be a text"),
        (
            json!({"tippeeName": long(51)}),
            "TIPPEE_NAME_INVALID",
            "tippeeName must have at most 50 characters",
        ),
        (json!({"currency": 1}), "CURRENCY_INVALID", "currency must be a text"),
        (json!({"currency": long(51)}), "CURRENCY_INVALID", "currency must have at most 50 characters"),
        (json!({"tippeeLocale": {}}), "TIPPEE_LOCALE_INVALID", "tippeeLocale must be a text"),
        (
            json!({"tippeeLocale": long(51)}),
            "TIPPEE_LOCALE_INVALID",
            "tippeeLocale must have at most 50 characters",
        ),
        (
            json!({"recommendedWalletId": 1}),
            "RECOMMENDED_WALLET_ID_INVALID",
            "recommendedWalletId must be a text",
        ),
        (
            json!({"recommendedWalletId": long(51)}),
            "RECOMMENDED_WALLET_ID_INVALID",
            "recommendedWalletId must have at most 50 characters",
        ),
        (
            json!({"generatePassphrase": "true"}),
            "GENERATE_PASSPHRASE_INVALID",
            "generatePassphrase must be true or false",
        ),
        (json!({"generatePassphrase": true}), "PASSPHRASE_LENGTH_INVALID", "passphraseLength is missing"),
        (
            json!({"generatePassphrase": true, "passphraseLength": "3"}),
            "PASSPHRASE_LENGTH_INVALID",
            "passphraseLength must be a number",
        ),
        (
            json!({"generatePassphrase": true, "passphraseLength": 2}),
            "PASSPHRASE_LENGTH_INVALID",
            "passphraseLength must be a whole number from 3 to 6",
        ),
        (
            json!({"generatePassphrase": true, "passphraseLength": 7}),
            "PASSPHRASE_LENGTH_INVALID",
            "passphraseLength must be a whole number from 3 to 6",
        ),
        (json!({"claimWebhookUrl": 1}), "CLAIM_WEBHOOK_URL_INVALID", "claimWebhookUrl must be a text"),
        (
            json!({"claimWebhookUrl": longest}),
            "CLAIM_WEBHOOK_URL_INVALID",
            "claimWebhookUrl must have at most 2000 bytes",
        ),
        (
            json!({"advertisementUrl": "https://ad.example"}),
            "ADVERTISEMENT_INCOMPLETE",
            "advertisementUrl and advertisementImageUrl must be given together",
        ),
        (
            json!({"advertisementImageUrl": "https://ad.example", "advertisementUrl": ""}),
            "ADVERTISEMENT_INCOMPLETE",
            "advertisementUrl and advertisementImageUrl must be given together",
        ),
    ] {
        let error = read(with(changes.clone())).expect_err(&changes.to_string());
        assert_eq!((error.code, error.message.as_str()), (code, message), "{changes}");
    }
    for (field, code) in [
        ("claimWebhookUrl", "CLAIM_WEBHOOK_URL_INVALID"),
        ("withdrawWebhookUrl", "WITHDRAW_WEBHOOK_URL_INVALID"),
        ("advertisementUrl", "ADVERTISEMENT_URL_INVALID"),
        ("advertisementImageUrl", "ADVERTISEMENT_IMAGE_URL_INVALID"),
    ] {
        for bad in
            ["nowhere", "/hook", "javascript:alert(1)", "ftp://a.example", "https://", "https://a.\nexample"]
        {
            let error = read(with(json!({field: bad}))).unwrap_err();
            assert_eq!((error.code, error.message), (code, format!("{field} {url}")), "{bad}");
        }
    }
}

#[test]
fn the_largest_of_everything_is_taken() {
    let url = format!("https://a.example/{}", "x".repeat(1_982));
    let order = read(with(json!({
        "amount": 2_079_002, "expiry": "2028-04-04T00:00:00Z", "note": "é".repeat(1_000), "tippeeName": "é".repeat(50),
        "currency": "é".repeat(50), "claimWebhookUrl": url, "generatePassphrase": true, "passphraseLength": 6,
    })))
    .unwrap();
    assert_eq!(order.total, sat(2_100_000));
    let many = read(group(500, json!({"amount": 4_158}))).unwrap();
    assert_eq!((many.fee, many.total), (sat(42), sat(2_100_000)));
    assert_eq!(many.details.words.len(), 500);
}

#[test]
fn null_and_empty_are_not_there() {
    let mut body = with(json!({}));
    for name in [
        "onboardingFlow",
        "note",
        "tippeeName",
        "currency",
        "tippeeLocale",
        "recommendedWalletId",
        "claimWebhookUrl",
        "withdrawWebhookUrl",
        "advertisementUrl",
        "advertisementImageUrl",
        "type",
    ] {
        body[name] = "".into();
    }
    for name in
        ["anonymousTipper", "generatePassphrase", "passphraseLength", "enableStaticLink", "tippeeNames"]
    {
        body[name] = Value::Null;
    }
    let order = read(body).unwrap();
    assert_eq!(order.onboarding_flow, OnboardingFlow::Default);
    assert_eq!(words(&order.details), [(None, None)]);
    let details = order.details;
    assert!(details.currency.is_none() && details.tippee_locale.is_none());
    assert!(details.claim_webhook_url.is_none() && details.advertisement_url.is_none());
    // Without a passphrase its length doesn't matter.
    let without = read(with(json!({"generatePassphrase": false, "passphraseLength": 99}))).unwrap();
    assert!(without.details.passphrase.is_none());
}

#[test]
fn names_of_a_group_go_by_their_place() {
    let order = read(group(
        3,
        json!({"tippeeNames": ["Ann", null], "tippeeName": 5, "note": "Hi {{name}}, {{name}}! {{index}}"}),
    ))
    .unwrap();
    assert_eq!(order.kind(), Kind::Group(3));
    assert_eq!(
        words(&order.details),
        [
            (Some("Ann"), Some("Hi Ann, Ann! {{index}}")),
            (None, Some("Hi Anon, Anon! {{index}}")),
            (None, Some("Hi Anon, Anon! {{index}}")),
        ]
    );
    let more = read(group(2, json!({"tippeeNames": ["", "{{index}}", "Cy"]}))).unwrap();
    assert_eq!(words(&more.details), [(None, None), (Some("{{index}}"), None)]);
    let none = read(group(2, json!({"tippeeNames": [], "enableStaticLink": true}))).unwrap();
    assert_eq!(words(&none.details), [(None, None), (None, None)]);
    assert!(none.enable_static_link);
}

#[test]
fn a_lonely_name_of_a_group_is_a_template() {
    let order =
        read(group(3, json!({"tippeeNames": ["Guest {{index}}/{{index}}"], "note": "{{name}}!"}))).unwrap();
    let expected = ["Guest 1/1", "Guest 2/2", "Guest 3/3"].map(|name| (name, format!("{name}!")));
    let expected: Vec<_> = expected.iter().map(|(name, note)| (Some(*name), Some(note.as_str()))).collect();
    assert_eq!(words(&order.details), expected);
    let same = read(group(2, json!({"tippeeNames": ["Friend"]}))).unwrap();
    assert_eq!(words(&same.details), [(Some("Friend"), None), (Some("Friend"), None)]);
    let null = read(group(2, json!({"tippeeNames": [null]}))).unwrap();
    assert_eq!(words(&null.details), [(None, None), (None, None)]);
}

#[test]
fn the_words_of_a_group_keep_to_their_rules() {
    let filled = format!("{}{{{{name}}}}", "x".repeat(990));
    for (changes, code, message) in [
        (json!({"tippeeNames": "Ann"}), "TIPPEE_NAMES_INVALID", "tippeeNames must be a list of texts"),
        (json!({"tippeeNames": ["Ann", 5]}), "TIPPEE_NAMES_INVALID", "tippeeNames must be a list of texts"),
        (
            json!({"tippeeNames": ["Ann", "x".repeat(51)]}),
            "TIPPEE_NAMES_INVALID",
            "tippeeNames must have at most 50 characters each",
        ),
        (
            json!({"tippeeNames": ["Ann", "Maximiliana"], "note": filled}),
            "NOTE_INVALID",
            "note must have at most 1000 characters with every name filled in",
        ),
    ] {
        let error = read(group(2, changes.clone())).expect_err(&changes.to_string());
        assert_eq!((error.code, error.message.as_str()), (code, message), "{changes}");
    }
    assert!(read(group(2, json!({"tippeeNames": ["Ann", "Bob"], "note": filled}))).is_ok());
}

#[test]
fn an_edit_leaves_four_things_and_replaces_the_rest() {
    let nothing =
        edit(Kind::Single, json!({"amount": "x", "quantity": 0, "type": "NON_CUSTODIAL_NWC"})).unwrap();
    assert!(nothing.expiry.is_none() && nothing.onboarding_flow.is_none());
    assert!(nothing.anonymous_tipper.is_none() && nothing.enable_static_link.is_none());
    let details = &nothing.details;
    assert_eq!(words(details), [(None, None)]);
    assert!(details.currency.is_none() && details.tippee_locale.is_none());
    assert!(details.recommended_wallet_id.is_none() && details.passphrase.is_none());
    assert!(details.claim_webhook_url.is_none() && details.withdraw_webhook_url.is_none());
    assert!(details.advertisement_url.is_none() && details.advertisement_image_url.is_none());

    let body = json!({
        "expiry": EXPIRY_TEXT, "onboardingFlow": "SKIP", "anonymousTipper": false, "enableStaticLink": false,
        "tippeeName": "Bob", "tippeeNames": ["No {{index}}"], "note": "{{name}}",
    });
    let single = edit(Kind::Single, body.clone()).unwrap();
    assert_eq!(single.expiry, Some(1_705_825_728_518));
    assert_eq!(single.onboarding_flow, Some(OnboardingFlow::Skip));
    assert_eq!((single.anonymous_tipper, single.enable_static_link), (Some(false), None));
    assert_eq!(words(&single.details), [(Some("Bob"), Some("{{name}}"))]);
    let group = edit(Kind::Group(2), body).unwrap();
    assert_eq!(group.enable_static_link, Some(false));
    assert_eq!(words(&group.details), [(Some("No 1"), Some("No 1")), (Some("No 2"), Some("No 2"))]);
}

#[test]
fn an_edit_keeps_to_the_same_rules() {
    for (body, code) in [
        (json!({"expiry": "2023-03-01T00:00:00Z"}), "EXPIRY_INVALID"),
        (json!({"onboardingFlow": "STANDARD"}), "ONBOARDING_FLOW_INVALID"),
        (json!({"note": "x".repeat(1_001)}), "NOTE_INVALID"),
        (json!({"generatePassphrase": true, "passphraseLength": 0}), "PASSPHRASE_LENGTH_INVALID"),
        (json!({"generatePassphrase": true, "passphraseLength": 1}), "PASSPHRASE_LENGTH_INVALID"),
        (json!({"generatePassphrase": true}), "PASSPHRASE_LENGTH_INVALID"),
        (json!({"claimWebhookUrl": "nowhere"}), "CLAIM_WEBHOOK_URL_INVALID"),
        (json!({"advertisementUrl": "https://ad.example"}), "ADVERTISEMENT_INCOMPLETE"),
    ] {
        assert_eq!(edit(Kind::Single, body.clone()).expect_err(&body.to_string()).code, code);
    }
}

#[test]
fn a_passphrase_stays_while_its_length_does() {
    let three = Passphrase::parse("execute aerobic clock").unwrap();
    let wish = |body: Value| edit(Kind::Single, body).unwrap();
    let of_three = wish(json!({"generatePassphrase": true, "passphraseLength": 3}));
    let of_four = wish(json!({"generatePassphrase": true, "passphraseLength": 4}));
    assert_eq!(of_three.passphrase_for(Some(&three)), PassphraseEdit::Keep);
    assert_eq!(of_three.passphrase_for(None), PassphraseEdit::New(WordCount::new(3).unwrap()));
    assert_eq!(of_four.passphrase_for(Some(&three)), PassphraseEdit::New(WordCount::new(4).unwrap()));
    assert_eq!(wish(json!({})).passphrase_for(Some(&three)), PassphraseEdit::Remove);
    assert_eq!(
        wish(json!({"generatePassphrase": false})).passphrase_for(Some(&three)),
        PassphraseEdit::Remove
    );
}

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (0..3_000_000_i64).prop_map(Value::from),
        (0..600_i64).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "(\\PC|\\{\\{name\\}\\}){0,120}".prop_map(Value::from),
        Just(json!([])),
        Just(json!(["{{index}}"])),
    ]
}

proptest! {
    #[test]
    fn whatever_is_taken_keeps_to_the_rules(
        amount in any_value(), quantity in any_value(), note in any_value(), name in any_value(),
        names in any_value(), length in any_value(), generate in any_value(),
    ) {
        let body = json!({
            "amount": amount, "quantity": quantity, "expiry": EXPIRY_TEXT, "note": note, "tippeeName": name,
            "tippeeNames": names, "passphraseLength": length, "generatePassphrase": generate,
        });
        if let Ok(order) = read(body) {
            prop_assert!(order.amount >= sat(1) && order.total <= sat(2_100_000));
            let each = order.amount.get() + order.fee.get();
            prop_assert_eq!(order.total.get(), each * u64::from(order.quantity));
            prop_assert_eq!(order.details.words.len(), usize::try_from(order.quantity).unwrap());
            for tip in order.details.words {
                prop_assert!(tip.note.is_none_or(|note| (1..=1_000).contains(&note.chars().count())));
                prop_assert!(tip.tippee_name.is_none_or(|name| (1..=50).contains(&name.chars().count())));
            }
        }
    }
}
