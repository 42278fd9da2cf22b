//! Reminders as letters, with a mail server of one's own.

use serde_json::{Value, json};

use super::test_app::{DAY, HOUR, NOON, TestApp};
use crate::core::time::iso::IsoTime;
use crate::http::keys::Scope;
use crate::outbound::mail::post_office::PostOffice;
use crate::storage::StoreError;

struct Scene {
    office: PostOffice,
    app: TestApp,
    tipper: String,
    tippee: String,
}

impl Scene {
    async fn new() -> Self {
        let office = PostOffice::open().await;
        let app = TestApp::with_mail(office.mailer(600));
        let tipper = app.key(Scope::Tips, None).await;
        let tippee = app.key(Scope::Tips, Some("tippee")).await;
        Self { office, app, tipper, tippee }
    }

    /// A tip of so many sat that is claimed now and good for 100 hours.
    async fn claimed(&self, sat: u64) -> String {
        let body = json!({ "amount": sat, "quantity": 1, "claimWebhookUrl": "https://chat.example/hook",
            "note": "call this number", "expiry": IsoTime(NOON + 100 * 3_600_000).to_string() });
        let (status, tip) = self.app.ask("POST", "/api/tipper/tips", &self.tipper, &body).await;
        assert_eq!(status, 200, "{tip}");
        self.app.fund(&tip["invoice"]);
        let id = tip["id"].as_str().unwrap().to_owned();
        self.app.claim(&self.tippee, &id).await;
        id
    }

    async fn write(&self, sql: &'static str) {
        let done =
            self.app.tips.store().write(move |tx| -> Result<(), StoreError> { Ok(tx.execute_batch(sql)?) });
        done.await.unwrap();
    }

    async fn tippee_has_an_address(&self) {
        self.write("UPDATE tip_users SET email = 'ada@mail.example' WHERE claimed = 1").await;
    }

    /// What runs once a minute.
    async fn round(&self) {
        self.app.tips.remind_due().await.unwrap();
        self.app.tips.send_letters().await.unwrap();
    }

    fn told(&self) -> usize {
        self.app.outbox().iter().filter(|(_, news)| news["event"] == "tip.reminder").count()
    }

    async fn queued(&self) -> i64 {
        let count = self.app.tips.store().read(|connection| -> Result<i64, StoreError> {
            Ok(connection.query_row("SELECT count(*) FROM tip_letters", [], |row| row.get(0))?)
        });
        count.await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_that_is_due_stands_in_one_letter_and_is_said_once() {
    let scene = Scene::new().await;
    let (first, second) = (scene.claimed(21).await, scene.claimed(5000).await);
    scene.tippee_has_an_address().await;
    scene.round().await;
    assert!(scene.office.received().is_empty(), "nothing is due");
    scene.app.clock.advance(DAY);
    for _ in 0..2 {
        scene.round().await;
    }
    assert_eq!(scene.office.received().len(), 1);
    let letter = scene.office.letter(1).await;
    assert_eq!(letter.to, "ada@mail.example");
    let text = letter.text();
    for part in [
        "21 sat, until 2027-01-19 12:00 UTC",
        "5000 sat",
        &format!("/tips/{first}/claim"),
        &format!("/tips/{second}/claim"),
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!letter.raw.contains("number") && !text.contains("verify"), "{text}");
    assert_eq!((scene.told(), scene.queued().await), (2, 0));
    // The last day has its own.
    scene.app.clock.advance(2 * DAY + 5 * HOUR);
    scene.round().await;
    assert_eq!((scene.office.received().len(), scene.told()), (2, 4));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_no_address_is_reminded_by_the_tip_s_webhook_alone() {
    let scene = Scene::new().await;
    scene.claimed(21).await;
    scene.app.clock.advance(DAY);
    let key = scene.app.key(Scope::Scheduler, None).await;
    let (status, due) = scene.app.ask("GET", "/api/reminders", &key, &Value::Null).await;
    assert_eq!((status, due[0]["hasEmail"].as_bool()), (200, Some(false)));
    scene.round().await;
    assert_eq!((scene.told(), scene.office.received().len(), scene.queued().await), (1, 0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_waits_for_its_server_and_not_for_what_was_withdrawn() {
    let scene = Scene::new().await;
    scene.claimed(21).await;
    scene.tippee_has_an_address().await;
    scene.app.clock.advance(DAY);
    scene.office.answer(&["451 later", "550 no such user"]);
    scene.round().await;
    assert_eq!((scene.told(), scene.queued().await), (1, 1));
    scene.round().await;
    assert!(scene.office.received().is_empty(), "not at once");
    scene.app.clock.advance(HOUR / 12);
    scene.round().await;
    assert!(scene.office.received().is_empty());
    scene.app.clock.advance(HOUR / 2);
    scene.round().await;
    assert_eq!((scene.office.received().len(), scene.queued().await), (1, 0));

    let scene = Scene::new().await;
    scene.claimed(21).await;
    scene.tippee_has_an_address().await;
    scene.app.clock.advance(DAY);
    scene.app.tips.remind_due().await.unwrap();
    assert_eq!(scene.queued().await, 1);
    scene.app.withdraw(&scene.tippee, "tippee", 21).await;
    scene.round().await;
    assert_eq!((scene.office.received().len(), scene.queued().await), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_that_nobody_takes_is_given_up() {
    let scene = Scene::new().await;
    scene.claimed(21).await;
    scene.tippee_has_an_address().await;
    scene
        .write("UPDATE tips SET expires_at = expires_at * 2; UPDATE vouchers SET expires_at = expires_at * 2")
        .await;
    scene.app.clock.advance(DAY);
    scene.office.answer(&["550 no such user"; 20]);
    for _ in 0..10 {
        scene.round().await;
        scene.app.clock.advance(DAY);
    }
    assert_eq!((scene.told(), scene.queued().await, scene.office.received().len()), (1, 0, 0));
}
