//! What those may see who have only a link: never what is the tipper's alone.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request};
use futures_util::StreamExt;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::answer::keys;
use super::test_app::{TIPS, TestApp, id, members};
use crate::http::keys::Scope;

const PUBLIC: [&str; 21] = [
    "id",
    "type",
    "amount",
    "tipperId",
    "hasClaimed",
    "currency",
    "note",
    "tippeeId",
    "tipper",
    "status",
    "created",
    "expiry",
    "tippeeName",
    "tippeeLocale",
    "onboardingFlow",
    "lastWithdrawal",
    "recommendedWalletId",
    "updated",
    "advertisementUrl",
    "advertisementImageUrl",
    "tippee",
];

/// The first event of a live page.
async fn first_event(app: &TestApp, tip: &str) -> String {
    let request = Request::get(format!("/api/tippee/tips/{tip}/live")).header("accept", "text/event-stream");
    let answer = app.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(answer.status().as_u16(), 200);
    let mut stream = answer.into_body().into_data_stream();
    let chunk = tokio::time::timeout(Duration::from_secs(5), stream.next()).await.unwrap().unwrap().unwrap();
    String::from_utf8(chunk.to_vec()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn defect_3_no_public_answer_has_a_secret_in_it() {
    let app = TestApp::new().await;
    let tipper = app.get(&app.tipper, "/api/auth/session").await.ok();
    let profile = json!({"name": "Satoshi N.", "lightningAddress": "satoshi@home.example"});
    let own = format!("/api/users/{}", id(&tipper));
    app.put(&app.tipper, &own, &profile).await.done();
    let more = json!({
        "quantity": 2, "onboardingFlow": "SKIP", "enableStaticLink": true, "anonymousTipper": true,
        "generatePassphrase": true, "passphraseLength": 4, "tippeeNames": ["Bob", "Al"],
        "claimWebhookUrl": "https://hook.example/claim-secret", "tippeeLocale": "th",
        "withdrawWebhookUrl": "https://hook.example/withdraw-secret",
    });
    let group = app.funded(&more).await;
    let tip = members(&group)[0].clone();
    let single = app.order(&json!({"anonymousTipper": true, "onboardingFlow": "SKIP"})).await.ok();
    let text = |value: &Value, name: &str| value[name].as_str().unwrap().to_owned();
    let words = text(&app.shown(&tip).await, "passphrase");
    assert_eq!(words.split(' ').count(), 4);
    let secrets = [
        words.clone(),
        text(&group, "invoice"),
        text(&group, "invoiceId"),
        text(&single, "invoice"),
        text(&single, "invoiceId"),
        "claim-secret".into(),
        "withdraw-secret".into(),
        "Satoshi".into(),
        "satoshi@home".into(),
        id(&tipper),
        app.tipper.clone(),
    ];
    let link = app.link("", &json!({"flow": "anonymous", "tipId": tip})).await;
    let look = async |moment: &str| {
        let mut answers = vec![
            first_event(&app, &tip).await,
            app.get("", &format!("/api/tippee/tips/{}", id(&single))).await.text,
            app.get("", &link).await.text,
            app.get("", &format!("{link}/pay?k1=x&pr=x")).await.text,
            app.get("", &format!("/api/tipGroups/{}/static", id(&group))).await.text,
        ];
        for path in [
            format!("/api/tippee/tips/{tip}"),
            format!("/api/tippee/tips?passphrase={}", words.replace(' ', "+")),
            format!("/api/anonymous/tips?tipId={tip}"),
            "/api/tippee/tips".into(),
            "/api/tippee/tips?publicTip=true".into(),
        ] {
            let answer = app.get(&app.friend, &path).await;
            assert_eq!(answer.status, 200, "{path}");
            // The group's id is not told by any of its tips.
            assert!(!answer.text.contains(&id(&group)), "{path} {moment}");
            answers.push(answer.text);
        }
        for answer in answers {
            for secret in &secrets {
                assert!(!answer.contains(secret), "{secret} {moment}: {answer}");
            }
        }
    };
    look("when it is paid").await;
    app.see(&tip).await;
    app.claim(&app.friend, &tip).await.done();
    look("when it is claimed").await;
    app.reclaim(&tip, true).await.done();
    look("when it came back").await;
    app.withdraw(&app.tipper, &json!({"flow": "tipper", "invoice": app.invoice(21)}), true).await.done();
    look("when it went back").await;
    // Who looks up a user by id learns a name, and nothing more.
    let public = app.get(&app.friend, &own).await;
    assert!(public.text.contains("Satoshi") && !public.text.contains("home.example"), "{}", public.text);
}

/// Every route of the family's description, asked by nobody, by a recipient and by another tipper, with bodies that
/// do something and with none: a route that is added is asked too.
#[tokio::test(flavor = "multi_thread")]
async fn whatever_others_ask_they_never_read_what_is_the_tipper_s() {
    let app = TestApp::with_rules(|rules| rules.patience = Duration::from_millis(50)).await;
    let own = id(&app.get(&app.tipper, "/api/auth/session").await.ok());
    let address = json!({"lightningAddress": "satoshi@home.example"});
    app.put(&app.tipper, &format!("/api/users/{own}"), &address).await.done();
    let order = json!({
        "quantity": 2, "onboardingFlow": "SKIP", "enableStaticLink": true, "anonymousTipper": true,
        "generatePassphrase": true, "passphraseLength": 4,
        "claimWebhookUrl": "https://hook.example/claim-secret",
        "withdrawWebhookUrl": "https://hook.example/withdraw-secret",
    });
    let group = app.funded(&order).await;
    let tip = members(&group)[0].clone();
    let link = app.link("", &json!({"flow": "anonymous", "tipId": tip})).await;
    let shown = app.shown(&tip).await;
    let text = |value: &Value, name: &str| value[name].as_str().unwrap().to_owned();
    let mut secrets = vec![
        text(&shown, "passphrase"),
        text(&group, "invoice"),
        text(&group, "invoiceId"),
        "-secret".into(),
        "home.example".into(),
        app.tipper.clone(),
    ];
    let stranger = app.key(&[Scope::Tips], "stranger").await;
    let bodies = [
        None,
        Some(json!({"flow": "anonymous", "tipId": tip, "invoice": "satoshi@elsewhere.example"})),
        Some(json!({"flow": "tippee", "tipId": tip, "invoice": app.invoice(21), "force": true})),
    ];
    let document = serde_json::to_value(&app.document).unwrap();
    let mut asked = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        let named = match path.as_str() {
            path if path.starts_with("/api/tipGroups/") => id(&group),
            path if path.starts_with("/api/users/") => own.clone(),
            path if path.starts_with("/api/withdrawalLinks/") => link.rsplit('/').next().unwrap().to_owned(),
            _ => tip.clone(),
        };
        let filled = format!("{}?tipId={tip}&publicTip=true", path.replace("{id}", &named));
        if path.ends_with("/live") {
            let event = first_event(&app, &tip).await;
            assert!(!event.contains(&id(&group)) && !event.contains(&own), "{event}");
            assert!(secrets.iter().all(|secret| !event.contains(secret)), "{event}");
            continue;
        }
        for method in methods.as_object().unwrap().keys() {
            let method: Method = method.to_uppercase().parse().unwrap();
            for (who, body) in
                ["", &app.friend, &stranger].iter().flat_map(|who| bodies.iter().map(move |body| (who, body)))
            {
                let answer = app.ask(method.clone(), who, &filled, body.as_ref()).await;
                let here = format!("{method} {path}: {}", answer.text);
                assert!(secrets.iter().all(|secret| !answer.text.contains(secret)), "{here}");
                // Who asks by the group's or the tipper's own id knows it.
                assert!(named == id(&group) || !answer.text.contains(&id(&group)), "{here}");
                assert!(named == own || !answer.text.contains(&own), "{here}");
                asked += 1;
            }
        }
    }
    assert!(asked > 300, "{asked}");
    // They are secrets: the tipper reads them.
    let all = app.get(&app.tipper, &format!("/api/tipGroups/{}", id(&group))).await.text
        + &app.get(&app.tipper, &format!("/api/users/{own}")).await.text;
    secrets.pop();
    assert!(secrets.iter().all(|secret| all.contains(secret)), "{all}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_public_tip_has_these_keys_and_a_tipper_who_wants_it_a_name() {
    let app = TestApp::new().await;
    let tipper = id(&app.get(&app.tipper, "/api/auth/session").await.ok());
    app.put(&app.tipper, &format!("/api/users/{tipper}"), &json!({"name": "Ann"})).await.done();
    let tip = app.claimed(&json!({"note": "Thanks"})).await;
    let answer = app.get("", &format!("/api/tippee/tips/{tip}")).await;
    for key in keys(&answer.text) {
        assert!(PUBLIC.contains(&key.as_str()), "{key} is public");
    }
    let shown = answer.ok();
    let friend = id(&app.get(&app.friend, "/api/auth/session").await.ok());
    assert_eq!((&shown["tipperId"], &shown["tipper"]["name"]), (&json!(tipper), &json!("Ann")));
    assert_eq!((&shown["hasClaimed"], &shown["tippeeId"]), (&json!(true), &json!(friend)));
    assert_eq!((&shown["status"], &shown["note"]), (&json!("CLAIMED"), &json!("Thanks")));
    let mine = app.get(&app.friend, "/api/tippee/tips").await.ok();
    assert_eq!(mine, json!([shown]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_page_hears_of_every_step() {
    let app = TestApp::new().await;
    let made = app.order(&json!({})).await.ok();
    let tip = id(&made);
    let request = Request::get(format!("/api/tippee/tips/{tip}/live")).body(Body::empty()).unwrap();
    let mut page = app.router.clone().oneshot(request).await.unwrap().into_body().into_data_stream();
    let mut next = async || loop {
        let chunk =
            tokio::time::timeout(Duration::from_secs(5), page.next()).await.unwrap().unwrap().unwrap();
        let text = String::from_utf8(chunk.to_vec()).unwrap();
        let Some(data) = text.lines().find_map(|line| line.strip_prefix("data:")) else { continue };
        let told: Value = serde_json::from_str(data.trim()).unwrap();
        return told["status"].as_str().unwrap().to_owned();
    };
    assert_eq!(next().await, "UNFUNDED");
    app.fund(&made);
    assert_eq!(next().await, "UNSEEN");
    app.see(&tip).await;
    assert_eq!(next().await, "SEEN");
    app.claim(&app.friend, &tip).await.done();
    assert_eq!(next().await, "CLAIMED");
    app.reclaim(&tip, true).await.done();
    assert_eq!(next().await, "RECLAIMED");
}

#[tokio::test(flavor = "multi_thread")]
async fn defect_12_a_look_counts_once_and_the_tipper_s_own_does_not() {
    let app = TestApp::new().await;
    let tip = app.tip(&json!({})).await;
    let path = format!("/api/tippee/tips/{tip}/markSeen");
    app.ask(Method::POST, &app.tipper, &path, None).await.done();
    app.get("", &format!("/api/tippee/tips/{tip}")).await.ok();
    assert_eq!(app.status(&tip).await, "UNSEEN", "neither a preview nor a GET is a view");
    app.ask(Method::POST, "", &path, None).await.done();
    assert_eq!(app.status(&tip).await, "SEEN");
    // No route takes a client's word that a tip was withdrawn.
    let path = format!("/api/tippee/tips/{tip}/markWithdrawn");
    app.ask(Method::POST, &app.friend, &path, None).await.is_error(404, "NOT_FOUND");
    app.claim(&app.tipper, &tip).await.is_error(409, "OWN_TIP");
}

#[tokio::test(flavor = "multi_thread")]
async fn defect_8_magic_words_find_a_tip_and_can_not_be_guessed_nor_blocked() {
    let app = TestApp::with_rules(|rules| rules.guess_limits = true).await;
    let order = json!({"generatePassphrase": true, "passphraseLength": 6});
    let tip = app.tip(&order).await;
    let words = app.shown(&tip).await["passphrase"].as_str().unwrap().to_owned();
    let ask = async |address: &str, words: &str| {
        let path = format!("/api/tippee/tips?passphrase={}", words.replace(' ', "%20"));
        let peer = crate::http::client::Peer(format!("{address}:1").parse().unwrap());
        let request = Request::get(path).header("x-forwarded-for", words.len().to_string()).extension(peer);
        app.send(request.body(Body::empty()).unwrap()).await
    };
    let loud = format!("  {}", words.to_uppercase().replace(' ', "  "));
    assert_eq!(id(&ask("192.0.2.1", &loud).await.ok()[0]), tip);
    for _ in 0..6 {
        assert_eq!(ask("192.0.2.1", "zoo zoo zoo").await.text, "[]");
    }
    // The seventh after six wrong ones in a minute is too many for this client, right or wrong; others don't notice.
    let refused = ask("192.0.2.1", &words).await;
    refused.is_error(429, "TOO_MANY_REQUESTS");
    assert!(refused.headers.contains_key("retry-after"));
    assert_eq!(id(&ask("192.0.2.2", &words).await.ok()[0]), tip);
    // A crowd that guesses is stopped, and who knows the words still gets in.
    let mut stopped = false;
    for host in 0..40 {
        for _ in 0..6 {
            stopped |= ask(&format!("198.51.100.{host}"), "zoo zoo wrong").await.status == 429;
        }
    }
    assert!(stopped);
    assert_eq!(id(&ask("192.0.2.3", &words).await.ok()[0]), tip);
    // In the database they can't be read.
    let found = app.ledger.store.read_blocking(|connection| -> Result<Vec<u8>, crate::storage::StoreError> {
        Ok(connection.query_row(
            "SELECT cast(passphrase_hash || passphrase_sealed AS BLOB) FROM tips",
            [],
            |row| row.get(0),
        )?)
    });
    let found = String::from_utf8_lossy(&found.unwrap()).into_owned();
    assert!(words.split(' ').all(|word| !found.contains(word)));
}

#[tokio::test(flavor = "multi_thread")]
async fn words_that_are_changed_or_given_up_lead_nowhere() {
    let app = TestApp::new().await;
    let order = json!({"generatePassphrase": true, "passphraseLength": 3});
    let tip = id(&app.order(&order).await.ok());
    let words = async || app.shown(&tip).await["passphrase"].as_str().unwrap().to_owned();
    let find = async |words: &str| {
        app.get("", &format!("/api/tippee/tips?passphrase={}", words.replace(' ', "+"))).await.ok()
    };
    let old = words().await;
    assert_eq!(id(&find(&old).await[0]), tip);
    app.ask(Method::POST, &app.tipper, &format!("{TIPS}/{tip}/generatePassphrase"), None).await.done();
    let new = words().await;
    assert_eq!((find(&old).await, id(&find(&new).await[0])), (json!([]), tip.clone()));
    app.delete(&app.tipper, &format!("{TIPS}/{tip}")).await.ok();
    assert_eq!(find(&new).await, json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn list_of_claimed_tips_is_whole_however_long_and_can_be_asked_for_in_pages() {
    let app = TestApp::new().await;
    let own = app.claimed(&json!({})).await;
    for _ in 0..3 {
        app.order(&json!({"quantity": 400})).await.ok();
    }
    let all = app.ledger.store.write_blocking(|tx| -> Result<usize, crate::storage::StoreError> {
        let sql = "UPDATE tips SET tippee_id = (SELECT tippee_id FROM tips WHERE tippee_id IS NOT NULL)
                   WHERE tippee_id IS NULL";
        Ok(tx.execute(sql, [])?)
    });
    assert_eq!(all.unwrap(), 1_200);
    let list = app.get(&app.friend, "/api/tippee/tips").await.ok();
    let ids: Vec<_> = list.as_array().unwrap().iter().map(id).collect();
    let different: std::collections::HashSet<_> = ids.iter().collect();
    assert_eq!((ids.len(), different.len()), (1_201, 1_201));
    assert_eq!(ids.last(), Some(&own), "newest first");
    let (mut paged, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = app.get(&app.friend, &format!("/api/tippee/tips?limit=500{cursor}")).await;
        let next = page.headers.get("x-next-cursor").map(|next| next.to_str().unwrap().to_owned());
        paged.extend(page.ok().as_array().unwrap().iter().map(id));
        let Some(next) = next else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(paged, ids);
    for bad in ["limit=0", "limit=1001", "cursor=nonsense", "cursor=clh1a2b3c4d5e6f7g8h9i0j1k"] {
        app.get(&app.friend, &format!("/api/tippee/tips?{bad}")).await.is_error(400, "BAD_REQUEST");
    }
}
