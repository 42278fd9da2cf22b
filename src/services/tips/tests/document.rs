//! The document's examples, replayed: keys, their order, what is null, the kinds of values, status codes.

use serde_json::{Value, json};

use super::answer::keys;
use super::test_app::{DAY, TIPS, TestApp, id, members};

const CREATED: &str = include_str!("../view/seed/created.json");
const GROUP: &str = include_str!("../view/seed/group.json");
const CLAIMED: &str = include_str!("../view/seed/claimed.json");

/// The keys that came after the document's.
const LATER: [&str; 4] = ["withdrawWebhookUrl", "type", "advertisementImageUrl", "advertisementUrl"];

/// An object or array with each value told by its kind alone, in the text's order: `id:s amount:n note:- …`.
/// Dates are `d`.
fn kinds(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let width = match first {
            '"' => {
                let end = rest[1..].find('"').unwrap() + 2;
                let word = &rest[1..end - 1];
                if rest[end..].trim_start().starts_with(':') {
                    out.push_str(word);
                } else {
                    let is_date = word.len() == 24 && word.ends_with('Z') && word.as_bytes()[10] == b'T';
                    out.push(if is_date { 'd' } else { 's' });
                }
                end
            }
            '0'..='9' => {
                out.push('n');
                rest.find(|c: char| !c.is_ascii_digit()).unwrap()
            }
            't' | 'f' | 'n' => {
                out.push(if first == 'n' { '-' } else { 'b' });
                rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap()
            }
            c => {
                if !c.is_whitespace() {
                    out.push(if c == ',' { ' ' } else { c });
                }
                c.len_utf8()
            }
        };
        rest = &rest[width..];
    }
    out
}

/// The document's example with the later keys where they stand.
fn expected(example: &str) -> String {
    let tip = "claimWebhookUrl:-";
    kinds(example).replace(
        tip,
        &format!("{tip} withdrawWebhookUrl:- type:s advertisementImageUrl:- advertisementUrl:-"),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn creating_a_tip_answers_as_the_document_does() {
    let app = TestApp::new().await;
    let answer = app.order(&json!({})).await;
    assert_eq!((answer.status, kinds(&answer.text)), (200, expected(CREATED)));
    assert!(answer.headers["content-type"].to_str().unwrap().starts_with("application/json"));
    let (tip, example) = (answer.json(), serde_json::from_str::<Value>(CREATED).unwrap());
    // What does not differ from tip to tip is the document's own.
    for (name, value) in example.as_object().unwrap() {
        let own = ["id", "tipperId", "invoice", "invoiceId", "created", "updated", "expiry"]
            .contains(&name.as_str());
        assert!(own || tip[name] == *value, "{name}: {}", tip[name]);
    }
    let (id, hash) = (tip["id"].as_str().unwrap(), tip["invoiceId"].as_str().unwrap());
    assert!(id.len() == 25 && id.starts_with('c'), "{id}");
    assert!(hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()), "{hash}");
    let asked = app.node.asked.lock().unwrap();
    let only = asked.first().unwrap();
    assert_eq!((only.amount.unwrap().get(), only.expiry), (31_000, DAY));
    assert!(format!("{:?}", only.description).contains("Lightsats tip"));
}

/// To the letter, whose expiry is long over: it is made, and should somebody pay for it, all of it comes back.
#[tokio::test(flavor = "multi_thread")]
async fn the_document_s_own_order_is_taken_as_it_stands() {
    let app = TestApp::new().await;
    let order = json!({"expiry": "2024-01-21T08:28:48.518Z", "amount": 21, "quantity": 1});
    let answer = app.post(&app.tipper, TIPS, &order).await;
    assert_eq!((answer.status, kinds(&answer.text)), (200, expected(CREATED)));
    let tip = answer.json();
    assert_eq!((&tip["expiry"], &tip["status"]), (&order["expiry"], &json!("UNFUNDED")));
    app.fund(&tip);
    let shown = app.shown(&id(&tip)).await;
    assert_eq!(
        (&shown["status"], &shown["amount"], &shown["fee"]),
        (&json!("RECLAIMED"), &json!(31), &json!(0))
    );
    assert_eq!((app.sat("holders"), app.sat("fees_earned")), (31, 0));
    app.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn creating_a_group_answers_as_the_document_does() {
    let app = TestApp::new().await;
    let answer = app.order(&json!({"quantity": 2})).await;
    let whole = expected(GROUP);
    let whole = whole.strip_suffix('}').unwrap().to_owned() + " enableStaticLink:b}";
    assert_eq!((answer.status, kinds(&answer.text)), (200, whole.clone()));
    let group = answer.json();
    for (index, tip) in group["tips"].as_array().unwrap().iter().enumerate() {
        assert_eq!((&tip["groupId"], &tip["groupTipIndex"]), (&group["id"], &json!(index)));
        assert_eq!((&tip["amount"], &tip["fee"]), (&json!(21), &json!(10)));
    }
    assert_eq!(app.node.asked.lock().unwrap()[0].amount.unwrap().get(), 62_000);
    let again = app.get(&app.tipper, &format!("/api/tipGroups/{}", id(&group))).await;
    assert_eq!((again.status, kinds(&again.text)), (200, whole));
    assert_eq!(again.json(), group);
}

#[tokio::test(flavor = "multi_thread")]
async fn getting_one_and_all_answers_as_the_document_does() {
    let app = TestApp::new().await;
    let more = json!({
        "quantity": 2, "tippeeNames": ["Bob", "Al"], "tippeeLocale": "th", "currency": "USD",
        "note": "Thank you for the amazing meal", "recommendedWalletId": "wos", "generatePassphrase": true,
        "passphraseLength": 3, "claimWebhookUrl": "https://discord.com/api/webhooks/1",
    });
    let group = app.funded(&more).await;
    let tip = members(&group)[0].clone();
    app.see(&tip).await;
    app.claim(&app.friend, &tip).await.done();
    let path = format!("{TIPS}/{tip}");
    app.post(&app.tipper, &format!("{path}/markCopied"), &json!({})).await.done();
    let one = app.get(&app.tipper, &path).await;
    assert_eq!(one.status, 200);
    let names: Vec<_> = keys(CLAIMED).into_iter().chain(LATER.map(str::to_owned)).collect();
    assert_eq!(keys(&one.text), names);
    // Kinds, except where the example's tip is withdrawn and this one is not; and in a group there is one
    // invoice, the group's.
    let absent = ["invoice", "invoiceId", "preparationInvoice", "preparationInvoiceId"];
    let (shown, example) = (one.json(), serde_json::from_str::<Value>(CLAIMED).unwrap());
    for (name, value) in example.as_object().unwrap() {
        if absent.contains(&name.as_str()) || ["withdrawalId", "lastWithdrawal"].contains(&name.as_str()) {
            assert!(shown[name].is_null(), "{name}");
        } else {
            assert_eq!(kinds(&format!("{} ", shown[name])), kinds(&format!("{value} ")), "{name}");
        }
    }
    assert_eq!(shown["passphrase"].as_str().unwrap().split(' ').count(), 3);
    let all = app.get(&app.tipper, TIPS).await;
    assert_eq!(all.status, 200);
    assert!(all.text.starts_with('[') && all.text.contains(&one.text), "one tip reads the same in the list");
    let listed = all.json();
    let ids: Vec<_> = listed.as_array().unwrap().iter().map(id).collect();
    assert_eq!(ids, [members(&group)[1].clone(), tip], "newest first");
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_answers_as_the_document_does() {
    let app = TestApp::new().await;
    let tip = id(&app.order(&json!({})).await.ok());
    let group = app.order(&json!({"quantity": 2})).await.ok();
    for path in [format!("{TIPS}/{tip}"), format!("/api/tipGroups/{}", id(&group))] {
        let gone = app.delete(&app.tipper, &path).await;
        let (_, own) = path.rsplit_once('/').unwrap();
        assert_eq!((gone.status, gone.text), (200, format!(r#"{{"id":"{own}","deleted":":("}}"#)));
        assert_eq!(app.get(&app.tipper, &path).await.ok()["status"], "DELETED");
    }
    for tip in members(&group) {
        assert_eq!(app.status(&tip).await, "DELETED");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn defect_9_funding_shows_the_moment_it_settles_and_no_get_drives_it() {
    let app = TestApp::new().await;
    let tip = app.order(&json!({})).await.ok();
    let group = app.order(&json!({"quantity": 20})).await.ok();
    app.fund(&tip);
    app.fund(&group);
    // The first look at anything shows it, also at the public side and at a group's tip.
    let public = app.get("", &format!("/api/tippee/tips/{}", members(&group)[19])).await.ok();
    assert_eq!(public["status"], "UNSEEN");
    let shown = app.shown(&id(&tip)).await;
    assert_eq!((&shown["status"], &shown["numSmsTokens"]), (&json!("UNSEEN"), &json!(3)));
    let shown = app.get(&app.tipper, &format!("/api/tipGroups/{}", id(&group))).await.ok();
    assert_eq!(shown["status"], "FUNDED");
    assert!(shown["tips"].as_array().unwrap().iter().all(|tip| tip["status"] == "UNSEEN"));
    app.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn defect_11_a_long_list_comes_in_pages() {
    let app = TestApp::new().await;
    let group = app.order(&json!({"quantity": 5})).await.ok();
    let single = id(&app.order(&json!({})).await.ok());
    let page = async |query: String| app.get(&app.tipper, &format!("{TIPS}?{query}")).await;
    let (mut seen, mut query) = (Vec::new(), "limit=4".to_owned());
    loop {
        let answer = page(query).await;
        let next = answer.headers.get("x-next-cursor").map(|value| value.to_str().unwrap().to_owned());
        seen.extend(answer.ok().as_array().unwrap().iter().map(id));
        let Some(next) = next else { break };
        query = format!("limit=4&cursor={next}");
    }
    let mut all = members(&group);
    all.push(single.clone());
    all.reverse();
    assert_eq!(seen, all);
    for wrong in ["limit=0", "limit=1001", "limit=x", "cursor=x"] {
        page(wrong.into()).await.is_error(400, "BAD_REQUEST");
    }
    let unknown = format!("cursor=c{}", "0".repeat(24));
    page(unknown).await.is_error(400, "BAD_REQUEST");
    // A group counts as one if it is asked so.
    let grouped = page("withGroups=true".into()).await.ok();
    assert_eq!(grouped.as_array().unwrap().len(), 2);
    assert_eq!((id(&grouped[0]), &grouped[1]["group"]["id"]), (single, &group["id"]));
    assert_eq!(members(&grouped[1]["group"]), members(&group));
}

#[tokio::test(flavor = "multi_thread")]
async fn defect_11_the_same_order_twice_is_made_once() {
    let app = TestApp::new().await;
    let send = async |key: &str, more: &Value| {
        let request = axum::http::Request::post(TIPS)
            .header("authorization", format!("Bearer {key}"))
            .header("content-type", "application/json")
            .header("idempotency-key", "one");
        app.send(request.body(app.body(more).to_string().into()).unwrap()).await
    };
    let first = send(&app.tipper, &json!({})).await;
    let again = send(&app.tipper, &json!({})).await;
    assert_eq!((first.status, &first.text), (200, &again.text));
    send(&app.tipper, &json!({"amount": 22})).await.is_error(422, "IDEMPOTENCY_KEY_REUSED");
    // Another tipper's key is another key.
    assert_ne!(id(&send(&app.friend, &json!({})).await.ok()), id(&first.ok()));
    assert_eq!(app.get(&app.tipper, TIPS).await.ok().as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idempotency_key_is_as_long_as_its_error_says() {
    let app = TestApp::new().await;
    let send = async |key: String| {
        let request = axum::http::Request::post(TIPS)
            .header("authorization", format!("Bearer {}", app.tipper))
            .header("content-type", "application/json")
            .header("idempotency-key", key);
        app.send(request.body(app.body(&json!({})).to_string().into()).unwrap()).await
    };
    assert_eq!(send("k".repeat(256)).await.status, 200);
    let refused = send("k".repeat(257)).await;
    refused.is_error(400, "IDEMPOTENCY_KEY_BAD");
    assert!(refused.json()["errorMessage"].as_str().unwrap().contains("1 to 256"), "{}", refused.text);
}
