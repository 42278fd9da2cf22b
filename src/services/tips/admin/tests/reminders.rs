//! What a scheduler is told and what it causes.

use serde_json::{Value, json};

use super::test_app::{DAY, HOUR, NOON, TestApp};
use crate::core::time::iso::IsoTime;
use crate::http::keys::Scope;

const WEBHOOK: &str = "https://chat.example/hook";

struct Scene {
    app: TestApp,
    tipper: String,
    tippee: String,
    scheduler: String,
}

impl Scene {
    async fn new() -> Self {
        let app = TestApp::new();
        let tipper = app.key(Scope::Tips, None).await;
        let tippee = app.key(Scope::Tips, Some("tippee")).await;
        let scheduler = app.key(Scope::Scheduler, None).await;
        Self { app, tipper, tippee, scheduler }
    }

    /// A tip that is claimed now and good for so many hours.
    async fn claimed(&self, hours: i64) -> String {
        let body = json!({ "amount": 21, "quantity": 1, "claimWebhookUrl": WEBHOOK,
            "expiry": IsoTime(self.app.clock.now() + hours * 3_600_000).to_string() });
        let (status, tip) = self.app.ask("POST", "/api/tipper/tips", &self.tipper, &body).await;
        assert_eq!(status, 200, "{tip}");
        self.app.fund(&tip["invoice"]);
        let id = tip["id"].as_str().unwrap().to_owned();
        self.app.claim(&self.tippee, &id).await;
        id
    }

    async fn due(&self) -> Vec<(String, String)> {
        let path = format!("/api/reminders?apiKey={}", self.scheduler);
        let (status, text) = self.app.send("GET", &path, &[], "").await;
        assert_eq!(status, 200, "{text}");
        let list: Vec<Value> = serde_json::from_str(&text).unwrap();
        let text = |one: &Value, name: &str| one[name].as_str().unwrap().to_owned();
        list.iter().map(|one| (text(one, "tipId"), text(one, "reminderType"))).collect()
    }

    async fn remind(&self, body: &Value) -> (u16, Value) {
        self.app.ask("POST", "/api/reminders", &self.scheduler, body).await
    }

    fn told(&self) -> Vec<Value> {
        let all = self.app.outbox().into_iter();
        all.filter(|(_, news)| news["event"] == "tip.reminder").map(|(_, news)| news).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_is_due_in_its_time() {
    let scene = Scene::new().await;
    let (short, middle, long) = (scene.claimed(24).await, scene.claimed(48).await, scene.claimed(100).await);
    let after = |id: &str| (id.to_owned(), "ONE_DAY_AFTER_CLAIM".to_owned());
    let before = |id: &str| (id.to_owned(), "ONE_DAY_BEFORE_EXPIRY".to_owned());
    assert_eq!(scene.due().await, []);
    scene.app.clock.advance(DAY - HOUR);
    assert_eq!(scene.due().await, []);
    // The day's tip had no more than its day, and is over; the other's last day begins.
    scene.app.clock.advance(HOUR);
    assert_eq!(scene.due().await, [before(&middle), after(&long)]);
    scene.app.clock.advance(DAY);
    assert_eq!(scene.due().await, [after(&long)]);
    scene.app.clock.advance(2 * DAY);
    assert_eq!(scene.due().await, [before(&long), after(&long)]);
    scene.app.clock.advance(4 * HOUR);
    assert_eq!(scene.due().await, [], "{short} {middle} {long} are over at {NOON}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_withdrawn_is_not_reminded_of() {
    let scene = Scene::new().await;
    let id = scene.claimed(100).await;
    scene.app.clock.advance(DAY);
    assert_eq!(scene.due().await.len(), 1);
    scene.app.withdraw(&scene.tippee, "tippee", 21).await;
    assert_eq!(scene.due().await, []);
    // The list was read a moment before.
    let late = json!({ "reminders": [{ "tipId": id, "reminderType": "ONE_DAY_AFTER_CLAIM" }] });
    assert_eq!(scene.remind(&late).await, (204, Value::Null));
    assert_eq!(scene.told(), Vec::<Value>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reminder_is_given_once_and_told_to_the_webhook() {
    let scene = Scene::new().await;
    let (first, second) = (scene.claimed(100).await, scene.claimed(101).await);
    scene.app.clock.advance(DAY);
    let one = json!({ "tipId": first, "reminderType": "ONE_DAY_AFTER_CLAIM", "email": null, "userId": "x" });
    // As the original's scheduler sends it: one by one, and said to be plain text.
    let path = format!("/api/reminders?apiKey={}", scene.scheduler);
    let plain = [("content-type", "text/plain;charset=UTF-8")];
    assert_eq!(scene.app.send("POST", &path, &plain, &one.to_string()).await, (204, String::new()));
    let both = json!({ "reminders": [one, { "tipId": second, "reminderType": "ONE_DAY_AFTER_CLAIM" }] });
    for _ in 0..2 {
        assert_eq!(scene.remind(&both).await, (204, Value::Null));
    }
    let expected = |id: &str| {
        json!({ "content": "21 sats have been claimed and not withdrawn yet!", "event": "tip.reminder",
            "tipId": id, "amount": 21, "status": "CLAIMED", "reminderType": "ONE_DAY_AFTER_CLAIM" })
    };
    assert_eq!(scene.told(), [expected(&first), expected(&second)]);
    assert_eq!(scene.due().await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_scheduler_may_and_only_what_makes_sense() {
    let scene = Scene::new().await;
    let id = scene.claimed(100).await;
    scene.app.clock.advance(DAY);
    let good = json!({ "tipId": id, "reminderType": "ONE_DAY_AFTER_CLAIM" });
    for method in ["GET", "POST"] {
        let body = good.to_string();
        assert_eq!(scene.app.send(method, "/api/reminders", &[], &body).await.0, 401);
        assert_eq!(scene.app.send(method, "/api/reminders?apiKey=x", &[], &body).await.0, 401);
        assert_eq!(scene.app.ask(method, "/api/reminders", &scene.tipper, &good).await.0, 403);
        let path = format!("/api/reminders?apiKey={}", scene.tipper);
        assert_eq!(scene.app.send(method, &path, &[], &body).await.0, 403);
    }
    let missing = json!({ "tipId": "c00000000000000000000000a", "reminderType": "ONE_DAY_AFTER_CLAIM" });
    for (body, status) in [
        (json!({}), 400),
        (json!({ "tipId": id }), 400),
        (json!({ "tipId": id, "reminderType": "LATER" }), 400),
        (json!({ "reminders": good }), 400),
        (json!({ "reminders": vec![good.clone(); 501] }), 400),
        (missing.clone(), 404),
        // All or none.
        (json!({ "reminders": [good, missing] }), 404),
    ] {
        assert_eq!(scene.remind(&body).await.0, status, "{body}");
    }
    let path = format!("/api/reminders?apiKey={}", scene.scheduler);
    assert_eq!(scene.app.send("POST", &path, &[], "{").await.0, 400);
    assert_eq!((scene.told(), scene.due().await.len()), (Vec::new(), 1));
}

/// Nobody has to ask: what a webhook can tell is told by itself, once.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_scheduler_the_webhook_is_told_once() {
    let scene = Scene::new().await;
    let round = async || scene.app.tips.remind_due().await.unwrap();
    let (long, short) = (scene.claimed(24 * 10).await, scene.claimed(30).await);
    round().await;
    assert_eq!(scene.told(), Vec::<Value>::new());
    scene.app.clock.advance(DAY);
    for _ in 0..3 {
        round().await;
    }
    let told: Vec<_> = scene
        .told()
        .iter()
        .map(|news| {
            (news["tipId"].as_str().unwrap().to_owned(), news["reminderType"].as_str().unwrap().to_owned())
        })
        .collect();
    let expected = [(short, "ONE_DAY_BEFORE_EXPIRY".to_owned()), (long, "ONE_DAY_AFTER_CLAIM".to_owned())];
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(expected.iter().all(|one| told.contains(one)), "{told:?}");
    assert_eq!(scene.due().await, []);
}
