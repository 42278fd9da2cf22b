//! Against the document's own examples, byte for byte.

use serde_json::{Value, json};

use super::*;
use crate::core::time::iso;

const CREATED: &str = include_str!("seed/created.json");
const GROUP: &str = include_str!("seed/group.json");
const CLAIMED: &str = include_str!("seed/claimed.json");

/// The keys that came after the document, in its way of writing, at a depth.
fn later_keys(indent: &str) -> String {
    let keys = [
        ("withdrawWebhookUrl", "null"),
        ("type", "\"CUSTODIAL\""),
        ("advertisementImageUrl", "null"),
        ("advertisementUrl", "null"),
    ];
    keys.map(|(key, value)| format!(",\n{indent}\"{key}\": {value}")).concat()
}

/// As the document prints it.
fn pretty(value: &impl Serialize) -> String {
    let mut bytes = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    value.serialize(&mut serde_json::Serializer::with_formatter(&mut bytes, formatter)).unwrap();
    String::from_utf8(bytes).unwrap() + "\n"
}

fn at(text: &str) -> UnixMillis {
    iso::parse(text).unwrap()
}

/// The document's new tip.
fn created() -> TipData<'static> {
    TipData {
        id: "clgccm1nz000nlo8l3atu5599",
        amount: Msat::from_sat(21).unwrap(),
        fee: Msat::from_sat(10).unwrap(),
        tipper_id: "cla56o9pr0000lo0jb71mkc3p",
        tippee_id: None,
        tippee_name: None,
        tippee_locale: None,
        invoice: Some(
            "lnbc310n1pjr2mrkpp5ghppr0aul08kxrn9x6e5cq7sa9yrp2z6x8vtr6j83yklec0jntkqdq4f35kw6r5wdshgueqw35hqcqzpgxqyz5vq\
             sp585s7qv2x3a87u06eaf9v3gkchpgtueherw4qfuj3c32nh2d9l8yq9qyyssq5vpt4psr2msfqm2j2gszn4r7wf578glnexne5gyleqp3jem\
             nmvy3kkd50p28sl29p6rc0slhe2a73m83y0eqq82zts3qgsng6jt87kqpl0qnnq",
        ),
        invoice_id: Some("45c211bfbcfbcf630e6536b34c03d0e94830a85a31d8b1ea47892dfce1f29aec"),
        preparation_invoice: None,
        preparation_invoice_id: None,
        status: TipStatus::Unfunded,
        created: at("2023-04-11T14:19:01.487Z"),
        updated: at("2023-04-11T14:19:06.279Z"),
        claimed: None,
        expiry: at("2024-01-21T08:28:48.518Z"),
        copied_claim_url: None,
        currency: None,
        note_without_name: None,
        note: None,
        withdrawal_id: None,
        onboarding_flow: OnboardingFlow::Default,
        last_withdrawal: None,
        group_id: None,
        group_tip_index: None,
        claimed_from_printed_card: false,
        recommended_wallet_id: None,
        anonymous_tipper: false,
        passphrase: None,
        claim_webhook_url: None,
        withdraw_webhook_url: None,
        advertisement_image_url: None,
        advertisement_url: None,
        withdrawal_pending: false,
    }
}

/// The document's claimed tip.
fn claimed() -> TipData<'static> {
    TipData {
        id: "clfw7rh1p000slo8n4j0kyrik",
        amount: Msat::from_sat(1).unwrap(),
        fee: Msat::from_sat(10).unwrap(),
        tipper_id: "cla56o9pr0000lo0jb71mkc3p",
        tippee_id: Some("claauuz5z0001lo4rcr0t9j0s"),
        tippee_name: Some("Bob"),
        tippee_locale: Some("th"),
        invoice: Some("lnbc...."),
        invoice_id: Some("f8ea6b72d7b...."),
        preparation_invoice: Some("lnbc110...."),
        preparation_invoice_id: Some("1fd492..."),
        status: TipStatus::Claimed,
        created: at("2023-03-31T07:18:57.803Z"),
        updated: at("2023-03-31T07:19:52.046Z"),
        claimed: Some(at("2023-01-21T05:25:37.261Z")),
        expiry: at("2023-04-21T07:18:57.784Z"),
        copied_claim_url: Some(at("2023-01-13T08:08:43.998Z")),
        currency: Some("USD"),
        note_without_name: None,
        note: Some("Thank you for the amazing meal"),
        withdrawal_id: Some("clcvpy3h20..."),
        onboarding_flow: OnboardingFlow::Default,
        last_withdrawal: Some(at("2023-03-31T07:19:13.109Z")),
        group_id: Some("clfw7rh1o000olo8n5qrqjc6e"),
        group_tip_index: Some(3),
        claimed_from_printed_card: false,
        recommended_wallet_id: Some("wos"),
        anonymous_tipper: false,
        passphrase: Some("execute aerobic clock"),
        claim_webhook_url: Some("https://discord.com/api/webhooks/..."),
        withdraw_webhook_url: None,
        advertisement_image_url: None,
        advertisement_url: None,
        withdrawal_pending: false,
    }
}

/// The document's group.
fn group(ids: [&'static str; 2]) -> GroupView<'static> {
    let created_at = at("2023-04-11T14:37:50.010Z");
    let data = GroupData {
        id: "clgcda8fu000qlo8llc1v36mp",
        created: created_at,
        updated: at("2023-04-11T14:37:53.190Z"),
        status: GroupStatus::Unfunded,
        quantity: 2,
        tipper_id: "cla56o9pr0000lo0jb71mkc3p",
        invoice: Some(
            "lnbc620n1pjr2uxapp5ulw7z2pmflxa2uncr5aqps6e4w7yvvpl3kg6zgmetzl2h0q3acrqdq4f35kw6r5wdshgueqw35hqcqzpgxqyz5vq\
             sp5wccm3fw73hhes83p0d8wfgc5whywk6spgt9ecxevnlqrx25r0wcq9qyyssqmgkeyl94gxs8r4y54hxg7227jpa9qtgj9qczyg9s8feasw6\
             6vp8rzhl7xmy5jvhqpd9r24z7zffxnlmq29mgrwgk5rn0zwx9erf4keqp2sqqhh",
        ),
        invoice_id: Some("e7dde1283b4fcdd572781d3a00c359abbc46303f8d91a1237958beabbc11ee06"),
        enable_static_link: false,
    };
    let tip = |(index, id)| {
        TipView::new(&TipData {
            id,
            invoice: None,
            invoice_id: None,
            created: created_at,
            updated: created_at,
            group_id: Some(data.id),
            group_tip_index: Some(index),
            ..created()
        })
    };
    GroupView::new(&data, (0..).zip(ids).map(tip).collect())
}

#[test]
fn a_new_tip_is_the_documents() {
    let expected = CREATED.replace("\n}\n", &format!("{}\n}}\n", later_keys("    ")));
    assert_eq!(pretty(&TipView::new(&created())), expected);
}

#[test]
fn a_claimed_tip_is_the_documents() {
    let expected = CLAIMED.replace("\n}\n", &format!("{}\n}}\n", later_keys("    ")));
    assert_eq!(pretty(&TipView::new(&claimed())), expected);
}

#[test]
fn a_group_is_the_documents() {
    let expected = GROUP
        .replace("\n        }", &format!("{}\n        }}", later_keys("            ")))
        .replace("\n    ]\n}", "\n    ],\n    \"enableStaticLink\": false\n}");
    assert_eq!(pretty(&group(["clgcda8fu000rlo8llou18pbg", "clgcda8fu000slo8limy2cqyb"])), expected);
}

#[test]
fn a_tip_has_35_keys_and_one_more_while_it_is_paid_out() {
    let keys =
        |tip: &TipData<'_>| serde_json::to_value(TipView::new(tip)).unwrap().as_object().unwrap().len();
    assert_eq!(keys(&created()), 35);
    assert_eq!(keys(&claimed()), 35);
    let pending = TipData { withdrawal_pending: true, ..claimed() };
    assert_eq!(keys(&pending), 36);
    let text = serde_json::to_string(&TipView::new(&pending)).unwrap();
    assert!(text.ends_with(",\"advertisementUrl\":null,\"withdrawalPending\":true}"), "{text}");
    for (status, tokens) in [(TipStatus::Deleted, 0), (TipStatus::Unseen, 3), (TipStatus::Refunded, 3)] {
        let view = serde_json::to_value(TipView::new(&TipData { status, ..created() })).unwrap();
        assert_eq!((&view["status"], &view["numSmsTokens"]), (&json!(status.name()), &json!(tokens)));
    }
}

#[test]
fn the_first_of_a_group_can_carry_all_of_it() {
    let view = TipView::new(&claimed())
        .with_group(group(["clgcda8fu000rlo8llou18pbg", "clgcda8fu000slo8limy2cqyb"]));
    let view = serde_json::to_value(view).unwrap();
    assert_eq!(view["group"]["tips"][1]["groupTipIndex"], 1);
    assert!(view["group"]["tips"][1].get("group").is_none());
}

fn public(tip: &TipData<'_>) -> String {
    let (tipper, tippee) = (Person { name: Some("Ann") }, Person { name: Some("Bobby") });
    serde_json::to_string(&PublicTipView::new(tip, tipper, tippee)).unwrap()
}

#[test]
fn what_anybody_sees() {
    assert_eq!(
        public(&created()),
        concat!(
            r#"{"id":"clgccm1nz000nlo8l3atu5599","type":"CUSTODIAL","amount":21,"tipperId":"cla56o9pr0000lo0jb71mkc3p","#,
            r#""hasClaimed":false,"currency":null,"note":null,"tippeeId":null,"#,
            r#""tipper":{"name":"Ann","twitterUsername":null,"avatarURL":null,"fallbackAvatarId":null},"#,
            r#""status":"UNFUNDED","created":"2023-04-11T14:19:01.487Z","expiry":"2024-01-21T08:28:48.518Z","#,
            r#""tippeeName":null,"tippeeLocale":null,"onboardingFlow":"DEFAULT","lastWithdrawal":null,"#,
            r#""recommendedWalletId":null,"updated":"2023-04-11T14:19:06.279Z","advertisementUrl":null,"#,
            r#""advertisementImageUrl":null}"#,
        )
    );
    let advertised = TipData {
        anonymous_tipper: true,
        advertisement_url: Some("https://ad.example"),
        advertisement_image_url: Some("https://ad.example/a.png"),
        withdrawal_pending: true,
        ..claimed()
    };
    assert_eq!(
        public(&advertised),
        concat!(
            r#"{"id":"clfw7rh1p000slo8n4j0kyrik","type":"CUSTODIAL","amount":1,"tipperId":null,"#,
            r#""hasClaimed":true,"currency":"USD","note":"Thank you for the amazing meal","#,
            r#""tippeeId":"claauuz5z0001lo4rcr0t9j0s","#,
            r#""tipper":{"name":null,"twitterUsername":null,"avatarURL":null,"fallbackAvatarId":null},"#,
            r#""tippee":{"inJourney":false,"journeyStep":0,"name":"Bobby","twitterUsername":null,"avatarURL":null,"#,
            r#""fallbackAvatarId":null},"status":"CLAIMED","created":"2023-03-31T07:18:57.803Z","#,
            r#""expiry":"2023-04-21T07:18:57.784Z","tippeeName":"Bob","tippeeLocale":"th","onboardingFlow":"DEFAULT","#,
            r#""lastWithdrawal":"2023-03-31T07:19:13.109Z","recommendedWalletId":"wos","#,
            r#""updated":"2023-03-31T07:19:52.046Z","advertisementUrl":"https://ad.example","#,
            r#""advertisementImageUrl":"https://ad.example/a.png","withdrawalPending":true}"#,
        )
    );
}

#[test]
fn nobody_learns_the_tippers_secrets() {
    let secrets = TipData {
        anonymous_tipper: true,
        withdraw_webhook_url: Some("https://hook.example/withdrawn"),
        // It was reclaimed.
        tippee_id: Some(claimed().tipper_id),
        status: TipStatus::Reclaimed,
        ..claimed()
    };
    let text = public(&secrets);
    for secret in
        ["lnbc", "f8ea", "1fd4", "aerobic", "discord", "hook.example", "clfw7rh1o", "cla56o9pr", "Ann"]
    {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
    let view: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&view["tippeeId"], view.get("tippee")), (&Value::Null, None));
}

#[test]
fn the_small_answers() {
    let text = |value: serde_json::Result<String>| value.unwrap();
    assert_eq!(text(serde_json::to_string(&DeletedView::new("clgcc"))), r#"{"id":"clgcc","deleted":":("}"#);
    let none = StaticLinkView { tippee_locale: None, tip_id: None };
    assert_eq!(text(serde_json::to_string(&none)), "{}");
    let one = StaticLinkView { tippee_locale: Some("th"), tip_id: Some("clgcc") };
    assert_eq!(text(serde_json::to_string(&one)), r#"{"tippeeLocale":"th","tipId":"clgcc"}"#);
}

#[test]
fn a_group_brings_the_description_of_its_tips() {
    let mut schemas = Vec::new();
    <GroupView<'_> as ToSchema>::schemas(&mut schemas);
    let names: Vec<&str> = schemas.iter().map(|(name, _)| name.as_str()).collect();
    for name in ["TipView", "TipStatus", "GroupStatus", "OnboardingFlow"] {
        assert!(names.contains(&name), "{name}: {names:?}");
    }
    let tip = serde_json::to_value(&schemas.iter().find(|(name, _)| name == "TipView").unwrap().1).unwrap();
    assert_eq!(tip["properties"]["claimed"]["format"], "date-time");
    assert_eq!(tip["properties"]["status"]["$ref"], "#/components/schemas/TipStatus");
}
