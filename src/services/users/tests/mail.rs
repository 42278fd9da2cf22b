//! Logging in by a letter, with a mail server of one's own.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request};
use serde_json::json;

use super::test_app::{Answer, Browser, DAY, PUBLIC_URL, TestApp};
use crate::config::Smtp;
use crate::http::client::{Asker, asked_by};
use crate::outbound::mail::Mailer;
use crate::outbound::mail::post_office::{PostOffice, Received};
use crate::storage::StoreError;

const SEND: &str = "/api/auth/2fa/send";
const VERIFY: &str = "/api/auth/2fa/verify";
const TIP: &str = "clh1a2b3c4d5e6f7g8h9i0j1k";
const HOUR: Duration = Duration::from_secs(60 * 60);

async fn scene() -> (PostOffice, TestApp) {
    let office = PostOffice::open().await;
    let app = TestApp::with_mail(office.mailer(600));
    (office, app)
}

fn token(letter: &Received) -> String {
    let text = letter.text();
    let (_, rest) = text.split_once(&format!("{PUBLIC_URL}/verify#")).unwrap();
    rest.split_whitespace().next().unwrap().to_owned()
}

fn code(letter: &Received) -> String {
    let text = letter.text();
    let digits = |line: &&str| line.len() == 9 && line.bytes().all(|one| one.is_ascii_digit() || one == b' ');
    text.lines().find(digits).unwrap().to_owned()
}

impl Browser<'_> {
    async fn letter(&self, email: &str, link: bool) -> Answer {
        self.post(SEND, &json!({ "email": email, "linkExistingAccount": link })).await
    }

    async fn open_link(&self, token: &str) -> Answer {
        self.post(VERIFY, &json!({ "token": token })).await
    }

    async fn type_code(&self, code: &str) -> Answer {
        self.post(VERIFY, &json!({ "code": code })).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_s_link_logs_in_once_and_the_owner_comes_back() {
    let (office, app) = scene().await;
    let browser = app.browser();
    let asked = browser
        .post(
            SEND,
            &json!({ "email": " Ada@Mail.example ", "tipId": TIP, "callbackUrl": "https://evil.example" }),
        )
        .await;
    assert_eq!((asked.status, asked.text.as_str()), (204, ""));
    let cookie = asked.cookies()[0].to_owned();
    assert!(cookie.starts_with("__Host-satchel_tips_letter="), "{cookie}");
    assert!(cookie.ends_with("; Path=/; Max-Age=900; HttpOnly; SameSite=Lax; Secure"), "{cookie}");
    let letter = office.letter(1).await;
    assert_eq!(letter.to, "ada@mail.example");
    assert!(!letter.raw.contains("evil"));
    let token = token(&letter);
    assert_eq!(token.len(), 64);
    assert_eq!(app.count("tip_users").await, 0, "nobody is made before the mailbox has answered");

    let done = browser.open_link(&token).await.ok();
    assert_eq!(done["tipId"], TIP);
    let id = done["id"].as_str().unwrap().to_owned();
    assert_eq!(browser.who().await, Some(id.clone()));
    assert_eq!(browser.jar.lock().unwrap().len(), 1, "the letter's cookie is gone");
    assert_eq!(browser.get(&format!("/api/users/{id}")).await.ok()["email"], "ada@mail.example");
    browser.open_link(&token).await.is_error(404, "LOGIN_NOT_FOUND");

    let other = app.browser();
    other.letter("ADA@mail.example", false).await;
    let letter = office.letter(2).await;
    assert_eq!(other.type_code(&code(&letter)).await.ok()["id"], id);
    assert_eq!(browser.who().await, Some(id), "both stay logged in");
    assert_eq!(app.count("tip_users").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_browser_that_asked_gets_in_and_nothing_is_kept_in_clear() {
    let (office, app) = scene().await;
    let (owner, thief) = (app.browser(), app.browser());
    owner.letter("ada@mail.example", false).await;
    let letter = office.letter(1).await;
    let (token, code) = (token(&letter), code(&letter));
    // A login of their own under way doesn't help them.
    thief.open_link(&token).await.is_error(404, "LOGIN_NOT_FOUND");
    thief.letter("eve@mail.example", false).await;
    thief.open_link(&token).await.is_error(404, "LOGIN_NOT_FOUND");
    thief.type_code(&code).await.is_error(400, "CODE_WRONG");
    assert_eq!(thief.who().await, None);
    let kept = app.store.read(|connection| -> Result<[Vec<u8>; 3], StoreError> {
        let sql = "SELECT link, browser, code FROM tip_mail_logins WHERE email = 'ada@mail.example'";
        Ok(connection.query_row(sql, [], |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?]))?)
    });
    let [link, browser, hashed] = kept.await.unwrap();
    let cookie = owner.jar.lock().unwrap()["__Host-satchel_tips_letter"].0.clone();
    assert_ne!(crate::core::ids::to_hex(&link), token);
    assert_ne!(crate::core::ids::to_hex(&browser), cookie);
    let alone =
        <bitcoin::hashes::sha256::Hash as bitcoin::hashes::Hash>::hash(code.replace(' ', "").as_bytes());
    assert_ne!(hashed, AsRef::<[u8]>::as_ref(&alone));
    // The owner lost nothing by it. A later letter of the same browser doesn't end the earlier one.
    owner.letter("ada@mail.example", false).await;
    assert_eq!(owner.open_link(&token).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_is_over_after_a_quarter_of_an_hour_or_five_wrong_codes() {
    let (office, app) = scene().await;
    let browser = app.browser();
    browser.letter("ada@mail.example", false).await;
    let first = office.letter(1).await;
    for wrong in ["", "1", "12345678x9", "00000000", "0000 0001"] {
        browser.type_code(wrong).await.is_error(400, "CODE_WRONG");
    }
    browser.type_code(&code(&first)).await.is_error(404, "LOGIN_NOT_FOUND");
    // The link is not guessed, so it is good still.
    app.clock.advance(Duration::from_secs(15 * 60 - 1));
    assert_eq!(browser.open_link(&token(&first)).await.status, 200);

    let late = app.browser();
    late.letter("bob@mail.example", false).await;
    let second = office.letter(2).await;
    app.clock.advance(Duration::from_secs(15 * 60));
    late.open_link(&token(&second)).await.is_error(404, "LOGIN_NOT_FOUND");
    late.type_code(&code(&second)).await.is_error(404, "LOGIN_NOT_FOUND");
    for body in [json!({}), json!({ "token": 7 }), json!({ "code": null })] {
        late.post(VERIFY, &body).await.is_error(400, "BAD_REQUEST");
    }
    late.open_link("short").await.is_error(404, "LOGIN_NOT_FOUND");
    app.clock.advance(DAY);
    app.prune().await;
    assert_eq!(app.count("tip_mail_logins").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_keeps_what_is_theirs_by_linking_an_address() {
    let (office, app) = scene().await;
    let browser = app.browser();
    browser.letter("ada@mail.example", true).await.is_error(401, "UNAUTHORIZED");
    let id = browser.guest().await;
    browser.letter("ada@mail.example", true).await;
    assert_eq!(browser.open_link(&token(&office.letter(1).await)).await.ok()["id"], id);
    assert_eq!(browser.get("/api/auth/session").await.ok()["guest"], false);
    // Once more does no harm; another address is refused.
    browser.letter("ada@mail.example", true).await;
    assert_eq!(browser.open_link(&token(&office.letter(2).await)).await.status, 200);
    browser.letter("eve@mail.example", true).await;
    let other = token(&office.letter(3).await);
    browser.open_link(&other).await.is_error(409, "HAS_ANOTHER_EMAIL");
    // Nobody takes an address that is somebody's, and asking tells nobody that it is.
    let guest = app.browser();
    guest.guest().await;
    assert_eq!(guest.letter("ada@mail.example", true).await.status, 204);
    guest.open_link(&token(&office.letter(4).await)).await.is_error(409, "EMAIL_TAKEN");
    assert_eq!(guest.get("/api/auth/session").await.ok()["guest"], true);
    // As its owner they get in, and the guest of this browser is gone.
    guest.letter("ada@mail.example", false).await;
    assert_eq!(guest.open_link(&token(&office.letter(5).await)).await.ok()["id"], id);
    assert_eq!(app.count("tip_users").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_is_finished_only_by_who_began_it() {
    let (office, app) = scene().await;
    let browser = app.browser();
    browser.guest().await;
    browser.letter("ada@mail.example", true).await;
    let token = token(&office.letter(1).await);
    browser.ask(Method::POST, "/api/auth/logout", None).await;
    browser.open_link(&token).await.is_error(401, "UNAUTHORIZED");
    browser.guest().await;
    browser.open_link(&token).await.is_error(401, "UNAUTHORIZED");
    let key = app.key(&[crate::http::keys::Scope::Tips], "shop").await;
    let asked = Request::post(SEND)
        .header("authorization", format!("Bearer {key}"))
        .header("content-type", "application/json")
        .body(Body::from(r#"{"email":"shop@mail.example","linkExistingAccount":true}"#));
    app.send(asked.unwrap()).await.is_error(403, "FORBIDDEN");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_s_mailbox_is_flooded() {
    let (office, app) = scene().await;
    let ask = async |email: &str| app.browser().letter(email, false).await;
    for form in [
        "ada@mail.example",
        "Ada@mail.example",
        "a.da@mail.example",
        "ada+1@mail.example",
        "ada+x.y@mail.example",
    ] {
        assert_eq!(ask(form).await.status, 204, "{form}");
        app.clock.advance(Duration::from_secs(60));
    }
    let refused = ask("ada+more@mail.example").await;
    refused.is_error(429, "TOO_MANY_REQUESTS");
    assert_eq!(refused.headers["retry-after"], "3300");
    assert!(refused.cookies().is_empty());
    assert_eq!(ask("bob@mail.example").await.status, 204);
    app.clock.advance(Duration::from_secs(3300));
    assert_eq!(ask("ada@mail.example").await.status, 204);
    for _ in 0..6 {
        app.clock.advance(HOUR);
        assert_eq!(ask("ada@mail.example").await.status, 204);
    }
    app.clock.advance(HOUR);
    ask("ada@mail.example").await.is_error(429, "TOO_MANY_REQUESTS");
    app.clock.advance(DAY);
    assert_eq!(ask("ada@mail.example").await.status, 204);
    office.letter(14).await;
    assert_eq!(office.received().len(), 14);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_letters_together_and_one_client_s_have_an_end() {
    let office = PostOffice::open().await;
    let app = TestApp::with_mail(office.mailer(3));
    for number in 0..3 {
        assert_eq!(app.browser().letter(&format!("a{number}@mail.example"), false).await.status, 204);
    }
    app.browser().letter("b@mail.example", false).await.is_error(429, "TOO_MANY_REQUESTS");
    app.clock.advance(HOUR);
    assert_eq!(app.browser().letter("b@mail.example", false).await.status, 204);

    // A quota of two writes is too little for a letter and its five.
    let app = TestApp::build(PUBLIC_URL, true, Some(office.mailer(600)));
    let refused = app.browser().letter("c@mail.example", false).await;
    assert!(matches!(refused.status, 204 | 429));
    app.browser().letter("c@mail.example", false).await.is_error(429, "TOO_MANY_REQUESTS");
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_other_sites_and_what_is_no_address_send_nothing() {
    let (office, app) = scene().await;
    let body = r#"{"email":"ada@mail.example"}"#;
    for (path, body) in [(SEND, body), (VERIFY, r#"{"token":"x"}"#)] {
        let foreign = Request::post(path)
            .header("sec-fetch-site", "cross-site")
            .header("content-type", "application/json")
            .body(Body::from(body));
        app.send(foreign.unwrap()).await.is_error(403, "FOREIGN_PAGE");
    }
    let form = Request::post(SEND)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Body::from("email=ada%40mail.example"));
    app.send(form.unwrap()).await.is_error(400, "CONTENT_TYPE_NOT_JSON");
    let browser = app.browser();
    for bad in [
        json!({}),
        json!({ "phoneNumber": "+4712345678" }),
        json!({ "email": 7 }),
        json!({ "email": "ada" }),
        json!({ "email": "a@b.example\r\nBcc: c@d.example" }),
    ] {
        browser.post(SEND, &bad).await.is_error(400, "EMAIL_BAD");
    }
    let bad = json!({ "email": "ada@mail.example", "tipId": "../evil" });
    browser.post(SEND, &bad).await.is_error(400, "BAD_REQUEST");
    assert_eq!((office.received().len(), app.count("tip_mail_logins").await), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_mail_server_it_is_not_offered() {
    let app = TestApp::new();
    let browser = app.browser();
    browser.letter("ada@mail.example", false).await.is_error(404, "NOT_FOUND");
    browser.open_link(&"ab".repeat(32)).await.is_error(404, "NOT_FOUND");
    let (_office, app) = scene().await;
    let methods = app.browser().get("/api/auth/session").await.ok()["methods"].clone();
    assert_eq!(methods, json!(["guest", "lightning", "email"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_server_that_is_away_keeps_nobody_waiting() {
    // It takes the connection and never says a word.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (office, app) = scene().await;
    let settings = Smtp { port: silent.local_addr().unwrap().port(), ..office.settings() };
    let waiting = TestApp::with_mail(Mailer::new(&settings).unwrap().unwrap());
    let asked = std::time::Instant::now();
    waiting.browser().letter("ada@mail.example", false).await.is_error(503, "MAIL_UNAVAILABLE");
    assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());

    // What is not taken is tried again.
    office.answer(&["451 later", "451 later"]);
    let browser = app.browser();
    assert_eq!(browser.letter("ada@mail.example", false).await.status, 204);
    assert_eq!(browser.open_link(&token(&office.letter(1).await)).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn letter_that_can_t_be_sent_is_called_so_for_every_address() {
    let office = PostOffice::open().await;
    let app = TestApp::with_mail(office.mailer(600));
    let ada = app.browser();
    ada.letter("ada@mail.example", false).await;
    ada.open_link(&token(&office.letter(1).await)).await.ok();
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = closed.local_addr().unwrap().port();
    drop(closed);
    let settings = Smtp { port, ..office.settings() };
    let app = app.with_another_mailer(Mailer::new(&settings).unwrap().unwrap());
    let (known, unknown) = (app.browser(), app.browser());
    let mut answers = Vec::new();
    for _ in 0..30 {
        for (browser, address) in [(&known, "ada@mail.example"), (&unknown, "nobody@mail.example")] {
            let answer = browser.letter(address, false).await;
            answer.is_error(503, "MAIL_UNAVAILABLE");
            assert!(answer.cookies().is_empty());
            answers.push(answer.text);
        }
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert!(answers[0].contains("No letter could be sent"), "{answers:?}");
    assert_eq!(app.count("tip_mail_logins").await, 1, "nothing is counted");
}

fn network(a: u8, b: u8) -> Asker {
    Asker::Stranger([a, b, 3, 4].into())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_for_letters_of_others_locks_nobody_out() {
    let (office, app) = scene().await;
    asked_by(network(5, 5), async {
        for _ in 0..5 {
            assert_eq!(app.browser().letter("ada@mail.example", false).await.status, 204);
        }
        app.browser().letter("ada@mail.example", false).await.is_error(429, "TOO_MANY_REQUESTS");
    })
    .await;
    // They may come in another order than they were asked for.
    office.letter(5).await;
    let ada = app.browser();
    let asked = asked_by(network(6, 6), ada.letter("ada@mail.example", false)).await;
    assert_eq!(asked.status, 204);
    let letter = office.letter(6).await;
    assert_eq!(ada.open_link(&token(&letter)).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn mailbox_gets_fifty_letters_a_day_from_everywhere_and_its_owner_gets_in_still() {
    let (office, app) = scene().await;
    let ada = app.browser();
    ada.letter("ada@mail.example", false).await;
    ada.open_link(&token(&office.letter(1).await)).await.ok();
    let waiting = app.browser();
    assert_eq!(asked_by(network(7, 7), waiting.letter("ada@mail.example", false)).await.status, 204);
    let mut sent = 0;
    for number in 0..20 {
        for _ in 0..5 {
            let asked = asked_by(network(8, number), app.browser().letter("ada@mail.example", false)).await;
            sent += u32::from(asked.status == 204);
        }
    }
    // Ten of the networks came after those fifty, each of a region of its own: they have one each.
    assert_eq!(sent, 48 + 10, "two went before");
    let ask = async |asker| asked_by(asker, app.browser().letter("ada@mail.example", false)).await;
    // Who asks from elsewhere still gets one, their neighbours none.
    assert_eq!(ask(network(9, 9)).await.status, 204);
    ask(Asker::Stranger([9, 9, 200, 4].into())).await.is_error(429, "TOO_MANY_REQUESTS");
    let mut sent = 0;
    for number in 0..100 {
        sent += u32::from(ask(network(10, number)).await.status == 204);
    }
    assert_eq!(sent, 39, "a hundred a day, two of which went before");
    // The browser that has asked before, and the owner's own.
    assert_eq!(asked_by(network(7, 7), waiting.letter("ada@mail.example", false)).await.status, 204);
    assert_eq!(asked_by(network(8, 1), ada.letter("ada@mail.example", false)).await.status, 204);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_network_has_a_tenth_of_all_letters() {
    let (_office, app) = scene().await;
    let mut sent = 0;
    for number in 0..100 {
        let ask = app.browser();
        let asked = asked_by(network(5, 5), ask.letter(&format!("a{number}@mail.example"), false)).await;
        sent += u32::from(asked.status == 204);
    }
    assert_eq!(sent, 60);
    let other = app.browser();
    assert_eq!(asked_by(network(6, 6), other.letter("b@mail.example", false)).await.status, 204);
}
