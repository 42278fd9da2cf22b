//! The pages of tips: claiming, withdrawing, magic words, a group's one link.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use regtest::InvoiceRequest;
use reqwest::header::{COOKIE, SET_COOKIE};
use serde_json::{Value, json};

use crate::Stage;
use crate::common::{SOON, until};

/// Somebody who gives tips, with an API key.
struct Tipper<'a> {
    stage: &'a Stage,
}

impl<'a> Tipper<'a> {
    fn new(stage: &'a Stage) -> Self {
        Self { stage }
    }

    async fn get(&self, path: &str) -> Value {
        self.stage.scene.network.satchel.admin_get(path).await.unwrap()
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        self.stage.scene.network.satchel.admin_post(path, body).await.unwrap()
    }

    /// Tips that nobody has paid for; with `wishes` over the usual.
    async fn order(&self, wishes: Value) -> Value {
        let mut body = json!({"amount": 2100, "quantity": 1, "expiry": later(3600)});
        let wishes = wishes.as_object().unwrap().clone();
        body.as_object_mut().unwrap().extend(wishes);
        self.post("/api/tipper/tips", body).await
    }

    async fn pay(&self, order: &Value) {
        self.stage.pay(order["invoice"].as_str().unwrap()).await;
    }

    async fn status(&self, id: &str) -> String {
        self.get(&format!("/api/tipper/tips/{id}")).await["status"].as_str().unwrap().to_owned()
    }

    async fn becomes(&self, id: &str, status: &str) {
        until(&format!("tip {id} is {status}"), SOON, || async {
            (self.status(id).await == status).then_some(())
        })
        .await;
    }

    /// The id of a tip that is paid for.
    async fn tip(&self, wishes: Value) -> String {
        let order = self.order(wishes).await;
        self.pay(&order).await;
        let id = order["id"].as_str().unwrap().to_owned();
        self.becomes(&id, "UNSEEN").await;
        id
    }
}

/// A guest in another browser is faster.
async fn claim_elsewhere(stage: &Stage, id: &str) {
    let (http, url) = (reqwest::Client::new(), &stage.scene.api.url);
    let answer = http.post(format!("{url}/api/auth/guest")).json(&json!({})).send().await.unwrap();
    let cookie = answer.headers()[SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_owned();
    for step in ["markSeen", "claim"] {
        let request = http.post(format!("{url}/api/tippee/tips/{id}/{step}")).header(COOKIE, &cookie);
        request.json(&json!({})).send().await.unwrap().error_for_status().unwrap();
    }
}

/// So many seconds from now, in ISO 8601.
fn later(seconds: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() + seconds;
    let (days, second) = (i64::try_from(now / 86_400).unwrap(), now % 86_400);
    // Days since the first of March of year 0, so that a leap day is the last of its year.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year + year / 4 - year / 100);
    let index = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * index + 2) / 5 + 1;
    let month = if index < 10 { index + 3 } else { index - 9 };
    let year = year + era * 400 + i64::from(month <= 2);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.000Z",
        second / 3_600,
        second / 60 % 60,
        second % 60
    )
}

/// Awaited, paid, claimed without an account, paid out to an invoice; all without a reload.
pub async fn a_guest_claims_and_withdraws(stage: &Stage) {
    let (browser, scene, tipper) = (&stage.browser, &stage.scene, Tipper::new(stage));
    let order = tipper.order(json!({"note": "<b>Enjoy</b> & smile", "tippeeName": "Bob"})).await;
    let id = order["id"].as_str().unwrap();
    stage.open(&format!("/tips/{id}")).await;
    browser.reaches("unfunded").await;
    browser.mark().await;
    browser.look("tip-unfunded").await;
    tipper.pay(&order).await;
    browser.reaches("claim").await;
    tipper.becomes(id, "SEEN").await;
    browser.says("headline", "Hello Bob").await;
    assert_eq!(browser.text("note").await.trim_matches(['“', '”']), "<b>Enjoy</b> & smile");
    assert_eq!(browser.text("tip-amount").await, "2,100");
    browser.look("tip-claim").await;

    browser.click("claim-button").await;
    browser.reaches("withdraw").await;
    assert_eq!(tipper.status(id).await, "CLAIMED");
    assert!(browser.is_shown("mine-guest").await);
    let lnurl = browser.qr("lnurl-qr").await;
    assert_eq!(lnurl, browser.value("lnurl-text").await.to_uppercase());
    browser.look("tip-withdraw").await;
    browser.click("pay-button").await;
    browser.says("invoice-error", "Enter a lightning address").await;
    let other = scene.wallet(1).invoice(InvoiceRequest::sat(2000)).await.unwrap();
    browser.fill("invoice", &other.invoice).await;
    browser.click("pay-button").await;
    until("the other amount is refused", SOON, || async {
        (!browser.text("invoice-error").await.is_empty()).then_some(())
    })
    .await;
    browser.complains_only_of(409).await;
    browser.look("tip-invoice-error").await;

    let held = scene.wallet(1).invoice(InvoiceRequest::sat(2100).hold()).await.unwrap();
    scene.note_asked(1, id, &held.payment_hash);
    browser.fill("invoice", &held.invoice).await;
    browser.click("pay-button").await;
    browser.reaches("pending").await;
    scene.wallet(1).wait_held(&held.payment_hash, SOON).await.unwrap();
    browser.look("tip-pending").await;
    scene.wallet(1).claim(&held.payment_hash).await.unwrap();
    browser.reaches("done").await;
    browser.says("done-title", "Congratulations!").await;
    browser.was_never_reloaded().await;
    browser.look("tip-done").await;
    scene.received_once(id).await;
    assert_eq!(tipper.status(id).await, "WITHDRAWN");
    browser.reload().await;
    browser.reaches("done").await;
}

/// What one browser has claimed leaves in one payment, to a wallet that scans.
pub async fn two_tips_leave_together(stage: &Stage) {
    let (browser, scene, tipper) = (&stage.browser, &stage.scene, Tipper::new(stage));
    let (first, second) = (tipper.tip(json!({})).await, tipper.tip(json!({"amount": 1400})).await);
    for id in [&first, &second] {
        stage.open(&format!("/de/tips/{id}/claim?printed=true")).await;
        browser.reaches("claim").await;
        browser.click("claim-button").await;
        browser.reaches("withdraw").await;
    }
    browser.says("mine-sum", "3,500 sat in all").await;
    let lnurl = browser.qr("lnurl-qr").await;
    let taken = scene.wallet(1).lnurl_withdraw(&lnurl, None).await.unwrap();
    scene.note_asked(1, &second, &taken.payment_hash);
    browser.reaches("done").await;
    scene.received_once(&second).await;
    tipper.becomes(&first, "WITHDRAWN").await;
}

/// A wallet is chosen, logs in, and the tip is claimed by that alone.
pub async fn a_wallet_logs_in_and_claims(stage: &Stage) {
    let (browser, scene, tipper) = (&stage.browser, &stage.scene, Tipper::new(stage));
    let wishes = json!({"onboardingFlow": "LIGHTNING", "recommendedWalletId": "blixt"});
    let id = tipper.tip(wishes).await;
    stage.open(&format!("/tips/{id}/claim")).await;
    browser.reaches("wallets").await;
    assert!(browser.texts("#login-wallets li").await[0].starts_with("Blixt"));
    browser.look("tip-wallets").await;
    browser.click("wallets-next").await;
    browser.reaches("login").await;
    let shown = browser.qr("login-qr").await;
    browser.look("tip-login").await;
    scene.wallet(1).lnurl_auth(&shown).await.unwrap();
    browser.reaches("withdraw").await;
    assert!(!browser.is_shown("mine-guest").await, "a wallet is connected");
    let lnurl = browser.qr("lnurl-qr").await;
    let taken = scene.wallet(1).lnurl_withdraw(&lnurl, None).await.unwrap();
    scene.note_asked(1, &id, &taken.payment_hash);
    browser.reaches("done").await;
    scene.received_once(&id).await;
}

/// A guest claims, connects an address by the letter's link, and is known in another browser by the next one's code.
pub async fn a_letter_brings_a_guest_s_tip_to_another_browser(stage: &Stage) {
    let (browser, scene, tipper, mailbox) =
        (&stage.browser, &stage.scene, Tipper::new(stage), &stage.mailbox);
    browser.forget_cookies().await;
    let id = tipper.tip(json!({"amount": 2300})).await;
    let page = format!("/tips/{id}/claim");
    stage.open(&page).await;
    browser.reaches("claim").await;
    browser.click("claim-button").await;
    browser.reaches("withdraw").await;
    browser.click("mine-mail").await;
    browser.reaches("mail").await;
    browser.fill("mail-address", "nobody").await;
    browser.click("mail-send").await;
    browser.says("mail-error", "Enter an e-mail address").await;
    browser.complains_only_of(400).await;
    browser.fill("mail-address", "Ada@mail.example").await;
    browser.look("tip-mail").await;
    browser.click("mail-send").await;
    browser.says("mail-to", "Ada@mail.example").await;
    browser.look("tip-mail-sent").await;
    let letter = mailbox.letter(1).await;
    let link = letter.lines().find(|line| line.contains("/verify#")).unwrap();
    // Whatever looks at the link before its reader does changes nothing.
    for _ in 0..2 {
        let looked = reqwest::get(link).await.unwrap();
        assert_eq!(looked.status(), 200);
    }
    browser.goto(link).await;
    browser.reaches("ready").await;
    browser.look("tip-verify").await;
    browser.click("verify-button").await;
    browser.reaches("withdraw").await;
    assert!(!browser.is_shown("mine-guest").await, "an address is connected");
    browser.goto(link).await;
    browser.reload().await;
    browser.reaches("elsewhere").await;

    browser.forget_cookies().await;
    stage.open(&page).await;
    browser.reaches("taken").await;
    browser.click("taken-mail").await;
    browser.reaches("mail").await;
    browser.fill("mail-address", "ada@mail.example").await;
    browser.click("mail-send").await;
    let letter = mailbox.letter(2).await;
    let digits = |line: &&str| line.len() == 9 && line.bytes().all(|one| one.is_ascii_digit() || one == b' ');
    let code = letter.lines().find(digits).unwrap();
    browser.says("mail-to", "ada@mail.example").await;
    browser.fill("mail-code", "0000 0000").await;
    browser.click("mail-enter").await;
    browser.says("mail-error", "not the code").await;
    browser.complains_only_of(400).await;
    browser.fill("mail-code", code).await;
    browser.click("mail-enter").await;
    browser.reaches("withdraw").await;
    let lnurl = browser.qr("lnurl-qr").await;
    let taken = scene.wallet(1).lnurl_withdraw(&lnurl, None).await.unwrap();
    scene.note_asked(1, &id, &taken.payment_hash);
    browser.reaches("done").await;
    scene.received_once(&id).await;
    browser.forget_cookies().await;
}

/// Nothing is claimed: the code is there at once. A payment that fails is told, and another one works.
pub async fn a_failure_is_told_and_can_be_tried_again(stage: &Stage) {
    let (browser, scene, tipper) = (&stage.browser, &stage.scene, Tipper::new(stage));
    let picture = "https://sponsor.invalid/picture.png";
    let wishes = json!({
        "onboardingFlow": "SKIP", "amount": 1700,
        "advertisementUrl": "https://sponsor.invalid/page", "advertisementImageUrl": picture,
    });
    let id = tipper.tip(wishes).await;
    stage.open(&format!("/tips/{id}/claim")).await;
    browser.reaches("withdraw").await;
    browser.mark().await;
    assert!(!browser.is_shown("mine").await);
    browser.qr("lnurl-qr").await;
    let held = scene.wallet(1).invoice(InvoiceRequest::sat(1700).hold()).await.unwrap();
    scene.note_asked(1, &id, &held.payment_hash);
    browser.fill("invoice", &held.invoice).await;
    browser.click("pay-button").await;
    browser.reaches("pending").await;
    scene.wallet(1).wait_held(&held.payment_hash, SOON).await.unwrap();
    scene.wallet(1).fail(&held.payment_hash).await.unwrap();
    browser.reaches("withdraw").await;
    browser.says("failure", "did not go through").await;
    browser.complains_only_of(409).await;
    browser.look("tip-failed").await;

    let lnurl = browser.qr("lnurl-qr").await;
    let taken = scene.wallet(1).lnurl_withdraw(&lnurl, None).await.unwrap();
    scene.note_asked(1, &id, &taken.payment_hash);
    browser.reaches("done").await;
    browser.says("sponsor-text", "sponsor.invalid").await;
    let link = browser.attribute("#sponsor-link", "href").await;
    assert_eq!(link.as_deref(), Some("https://sponsor.invalid/page"));
    // Allowed by the policy, and asked for only now; this one is nowhere.
    assert_eq!(browser.attribute("#sponsor-image", "src").await.as_deref(), Some(picture));
    until("the picture is given up", SOON, || async {
        browser.attribute("#sponsor-image", "hidden").await.map(drop)
    })
    .await;
    browser.complains_only_about(&[picture, "ERR_NAME_NOT_RESOLVED"]).await;
    browser.was_never_reloaded().await;
    browser.look("tip-sponsor").await;
    scene.received_once(&id).await;
}

/// Typed one after the other into the first field, as from a card.
pub async fn magic_words_lead_to_their_tip(stage: &Stage) {
    let (browser, tipper) = (&stage.browser, Tipper::new(stage));
    for count in [3, 4] {
        let id = tipper.tip(json!({"generatePassphrase": true, "passphraseLength": count})).await;
        let tip = tipper.get(&format!("/api/tipper/tips/{id}")).await;
        let words = tip["passphrase"].as_str().unwrap().to_uppercase();
        stage.open("/tip").await;
        browser.reaches("form").await;
        browser.fill("word-1", &words).await;
        browser.click("words-button").await;
        browser.reaches("claim").await;
        assert_eq!(browser.attribute("#main", "data-tip-id").await.as_deref(), Some(id.as_str()));
    }
    stage.open("/tip").await;
    browser.fill("word-1", "no such words").await;
    browser.click("words-button").await;
    browser.says("words-error", "No tip has these words").await;
    browser.look("tip-words").await;
}

/// The link is the same for all: nobody is greeted by the name that the next tip was meant for.
pub async fn a_group_s_link_greets_nobody_by_name(stage: &Stage) {
    let (browser, tipper) = (&stage.browser, Tipper::new(stage));
    browser.forget_cookies().await;
    let wishes = json!({
        "quantity": 2, "enableStaticLink": true, "tippeeNames": ["Rosalind", "Barbara"],
        "note": "Thanks for the pizza, {{name}}!",
    });
    let group = tipper.order(wishes).await;
    tipper.pay(&group).await;
    let last = group["tips"][1]["id"].as_str().unwrap();
    tipper.becomes(last, "UNSEEN").await;
    let names = |texts: &str| texts.contains("Rosalind") || texts.contains("Barbara");
    stage.open(&format!("/tip-groups/{}/static", group["id"].as_str().unwrap())).await;
    for (button, state) in [(None, "claim"), (Some("claim-button"), "withdraw")] {
        if let Some(button) = button {
            browser.click(button).await;
        }
        browser.reaches(state).await;
        let shown = browser.texts("body").await.join(" ");
        assert!(!names(&shown) && shown.contains("Thanks for the pizza, …!"), "{shown}");
    }
    // Who has a tip's own link is who it was meant for.
    stage.open(&format!("/tips/{last}/claim")).await;
    browser.reaches("claim").await;
    browser.says("headline", "Hello Barbara").await;
    browser.forget_cookies().await;
}

/// The tipper's and the tippee's names and the note run from right to left.
pub async fn words_from_right_to_left_keep_their_direction(stage: &Stage) {
    let (browser, tipper) = (&stage.browser, Tipper::new(stage));
    let id = tipper.tip(json!({"note": "תודה (2)!", "tippeeName": "נועה 7"})).await;
    stage.open(&format!("/tips/{id}/claim")).await;
    browser.reaches("claim").await;
    browser.says("headline", "Hello נועה 7").await;
    assert_eq!(browser.words_keep_their_direction().await, 2);
    browser.look("tip-right-to-left").await;
}

/// With the mail server away nobody waits for a letter that never comes.
pub async fn a_letter_that_can_t_be_sent_is_told(stage: &Stage) {
    let (browser, tipper, mailbox) = (&stage.browser, Tipper::new(stage), &stage.mailbox);
    browser.forget_cookies().await;
    let id = tipper.tip(json!({"amount": 2200})).await;
    stage.open(&format!("/tips/{id}/claim")).await;
    browser.reaches("claim").await;
    browser.click("claim-mail").await;
    browser.reaches("mail").await;
    mailbox.refuse(true);
    let before = mailbox.count();
    // What was seen of the server lately holds for a minute.
    until("it is known to be away", Duration::from_secs(100), || async {
        browser.fill("mail-address", "grace@mail.example").await;
        browser.click("mail-send").await;
        tokio::time::sleep(Duration::from_secs(7)).await;
        if browser.is_shown("mail-sent").await {
            browser.click("mail-again").await;
            return None;
        }
        Some(())
    })
    .await;
    browser.says("mail-error", "No letter could be sent").await;
    assert!(!browser.is_shown("mail-sent").await, "no letter is on its way");
    assert_eq!(browser.attribute("#mail-address", "aria-invalid").await.as_deref(), Some("true"));
    browser.may_complain_about("status of 503").await;
    browser.look("tip-mail-unsent").await;
    assert_eq!(mailbox.count(), before);
    mailbox.refuse(false);
}

/// One link, a tip for each; whoever has one is led back to it.
pub async fn a_group_s_link_leads_to_a_tip(stage: &Stage) {
    let (browser, tipper) = (&stage.browser, Tipper::new(stage));
    let group = tipper.order(json!({"quantity": 2, "enableStaticLink": true})).await;
    tipper.pay(&group).await;
    let ids: Vec<_> =
        group["tips"].as_array().unwrap().iter().map(|tip| tip["id"].as_str().unwrap().to_owned()).collect();
    tipper.becomes(&ids[1], "UNSEEN").await;
    let link = format!("/tip-groups/{}/static", group["id"].as_str().unwrap());
    stage.open(&link).await;
    browser.reaches("claim").await;
    let mine = browser.attribute("#main", "data-tip-id").await.unwrap();
    browser.click("claim-button").await;
    browser.reaches("withdraw").await;
    stage.open(&link).await;
    browser.reaches("withdraw").await;
    assert_eq!(browser.attribute("#main", "data-tip-id").await, Some(mine.clone()));
    let other = ids.iter().find(|id| **id != mine).unwrap();
    stage.open(&format!("/tips/{other}/claim")).await;
    browser.reaches("claim").await;
    browser.click("claim-button").await;
    browser.says("claim-error", "You have a tip of this group already").await;
    browser.complains_only_of(409).await;
    tipper
        .post(&format!("/api/tipGroups/{}/reclaim", group["id"].as_str().unwrap()), json!({"force": true}))
        .await;
    browser.reaches("returned").await;
    browser.look("tip-returned").await;
}

/// Open until its time has passed; unknown; somebody else's.
pub async fn ends_are_told(stage: &Stage) {
    let (browser, tipper) = (&stage.browser, Tipper::new(stage));
    let id = tipper.tip(json!({"expiry": later(12)})).await;
    stage.open(&format!("/tips/{id}/claim")).await;
    browser.reaches("claim").await;
    browser.mark().await;
    until("it ends by itself", Duration::from_secs(40), || async {
        ["expired", "returned"].contains(&browser.state().await.as_str()).then_some(())
    })
    .await;
    browser.was_never_reloaded().await;

    let id = tipper.tip(json!({})).await;
    tipper.post(&format!("/api/tippee/tips/{id}/markSeen"), json!({})).await;
    assert_eq!(tipper.status(&id).await, "UNSEEN", "a tipper's own look counts");
    claim_elsewhere(stage, &id).await;
    stage.open(&format!("/tips/{id}/claim")).await;
    browser.reaches("taken").await;
    browser.look("tip-taken").await;

    stage.open(&format!("/tips/c{}/claim", "0".repeat(24))).await;
    browser.reaches("not_found").await;
    browser.complains_only_of(404).await;
    browser.look("tip-unknown").await;
    stage.open(&format!("/tip-groups/c{}/static", "0".repeat(24))).await;
    browser.reaches("not_found").await;
    browser.complains_only_of(404).await;
}
