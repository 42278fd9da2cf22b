//! The table of states: in each, what every action does, or that it is refused and moves nothing.

use axum::http::Method;
use serde_json::json;

use super::answer::Answer;
use super::test_app::{TIPS, TestApp, id, parse};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Fund,
    Seen,
    Claim,
    /// Withdraws as who has claimed.
    Tippee,
    /// Withdraws as who gave.
    Tipper,
    /// Withdraws as whoever has the link.
    Anonymous,
    Link,
    Reclaim,
    Force,
    Delete,
    Edit,
    Words,
    Copied,
    Expiry,
}

use Action::*;

/// What comes of an action.
#[derive(Clone, Copy)]
enum Next {
    /// It stands there afterwards.
    To(&'static str),
    /// The 409 with this code.
    No(&'static str),
}

use Next::{No, To};

struct Row {
    state: &'static str,
    next: [(Action, Next); 14],
}

#[rustfmt::skip]
fn table() -> Vec<Row> {
    let nothing = No("NOTHING_TO_WITHDRAW");
    let row = |state: &'static str, fund, seen, claim, tippee, tipper, anonymous, reclaim, force, delete, change, expiry| Row {
        state,
        next: [
            (Fund, To(fund)), (Seen, To(seen)), (Claim, claim), (Tippee, tippee), (Tipper, tipper),
            (Anonymous, anonymous), (Link, match anonymous { To(_) => To(state), No(code) => No(code) }),
            (Reclaim, reclaim), (Force, force), (Delete, delete),
            (Edit, change), (Words, change), (Copied, To(state)), (Expiry, To(expiry)),
        ],
    };
    let (kept, over) = (No("NOT_UNFUNDED"), No("TIP_OVER"));
    vec![
        row("UNFUNDED", "UNSEEN", "UNFUNDED", No("TIP_UNFUNDED"), nothing, nothing, No("TIP_UNFUNDED"),
            No("TIP_UNFUNDED"), No("TIP_UNFUNDED"), To("DELETED"), To("UNFUNDED"), "UNFUNDED"),
        row("UNSEEN", "UNSEEN", "SEEN", No("TIP_UNSEEN"), nothing, nothing, To("WITHDRAWN"),
            To("RECLAIMED"), To("RECLAIMED"), kept, To("UNSEEN"), "RECLAIMED"),
        row("SEEN", "SEEN", "SEEN", To("CLAIMED"), nothing, nothing, To("WITHDRAWN"),
            To("RECLAIMED"), To("RECLAIMED"), kept, To("SEEN"), "RECLAIMED"),
        row("CLAIMED", "CLAIMED", "CLAIMED", No("TIP_CLAIMED"), To("WITHDRAWN"), nothing, No("TIP_CLAIMED"),
            No("TIP_CLAIMED"), To("RECLAIMED"), kept, To("CLAIMED"), "RECLAIMED"),
        row("CLAIMED+", "CLAIMED+", "CLAIMED+", No("TIP_CLAIMED"), nothing, nothing, No("WITHDRAWAL_PENDING"),
            No("WITHDRAWAL_PENDING"), No("WITHDRAWAL_PENDING"), kept, over, "CLAIMED+"),
        row("WITHDRAWN", "WITHDRAWN", "WITHDRAWN", No("TIP_WITHDRAWN"), nothing, nothing, No("TIP_WITHDRAWN"),
            No("TIP_WITHDRAWN"), No("TIP_WITHDRAWN"), kept, over, "WITHDRAWN"),
        row("RECLAIMED", "RECLAIMED", "RECLAIMED", No("TIP_EXPIRED"), nothing, To("REFUNDED"), No("TIP_EXPIRED"),
            No("TIP_EXPIRED"), No("TIP_EXPIRED"), kept, over, "RECLAIMED"),
        row("RECLAIMED+", "RECLAIMED+", "RECLAIMED+", No("TIP_EXPIRED"), nothing, nothing, No("WITHDRAWAL_PENDING"),
            No("WITHDRAWAL_PENDING"), No("WITHDRAWAL_PENDING"), kept, over, "RECLAIMED+"),
        row("REFUNDED", "REFUNDED", "REFUNDED", No("TIP_EXPIRED"), nothing, nothing, No("TIP_WITHDRAWN"),
            No("TIP_WITHDRAWN"), No("TIP_WITHDRAWN"), kept, over, "REFUNDED"),
        row("DELETED", "RECLAIMED", "DELETED", No("TIP_DELETED"), nothing, nothing, No("TIP_UNFUNDED"),
            No("TIP_UNFUNDED"), No("TIP_UNFUNDED"), kept, over, "DELETED"),
    ]
}

/// A tip in this state: its id and its invoice.
async fn tip_in(app: &TestApp, state: &str) -> (String, String) {
    let made = app.order(&json!({"onboardingFlow": "SKIP"})).await.ok();
    let (tip, invoice) = (id(&made), made["invoice"].as_str().unwrap().to_owned());
    let refund = json!({"flow": "tipper", "tipId": tip, "invoice": app.invoice(21)});
    let withdraw = json!({"flow": "tippee", "tipId": tip, "invoice": app.invoice(21)});
    match state {
        "UNFUNDED" => return (tip, invoice),
        "DELETED" => {
            app.delete(&app.tipper, &format!("{TIPS}/{tip}")).await.ok();
            return (tip, invoice);
        }
        _ => app.fund(&made),
    }
    let (seen, claimed) = match state {
        "UNSEEN" | "REFUNDED" => (false, false),
        "SEEN" | "RECLAIMED" => (true, false),
        _ => (true, true),
    };
    if seen {
        app.see(&tip).await;
    }
    if claimed {
        app.claim(&app.friend, &tip).await.done();
    }
    match state {
        "CLAIMED+" => drop(app.begin(&app.friend, "tippee", &tip, 21).await),
        "WITHDRAWN" => app.withdraw(&app.friend, &withdraw, true).await.done(),
        "RECLAIMED" | "RECLAIMED+" | "REFUNDED" => {
            app.reclaim(&tip, true).await.done();
            match state {
                "RECLAIMED+" => drop(app.begin(&app.tipper, "tipper", &tip, 21).await),
                "REFUNDED" => app.withdraw(&app.tipper, &refund, true).await.done(),
                _ => {}
            }
        }
        _ => {}
    }
    assert_eq!(app.status(&tip).await, state);
    (tip, invoice)
}

async fn act(app: &TestApp, action: Action, next: Next, tip: &str, invoice: &str) -> Option<Answer> {
    let (tipper, friend) = (app.tipper.as_str(), app.friend.as_str());
    let path = format!("{TIPS}/{tip}");
    let withdraw = async |key: &str, flow: &str| {
        let body = json!({"flow": flow, "tipId": tip, "invoice": app.invoice(21)});
        Some(match next {
            To(_) => app.withdraw(key, &body, true).await,
            // What is under way must not arrive while a refusal is waited for.
            No(_) => app.post(key, "/api/invoices", &body).await,
        })
    };
    match action {
        Fund => {
            app.pay(&parse(invoice), 31_000);
            None
        }
        Seen => {
            app.see(tip).await;
            None
        }
        Claim => Some(app.claim(friend, tip).await),
        Tippee => withdraw(friend, "tippee").await,
        Tipper => withdraw(tipper, "tipper").await,
        Anonymous => withdraw("", "anonymous").await,
        Link => {
            let body = json!({"flow": "anonymous", "tipId": tip, "amount": 21});
            Some(app.post("", "/api/withdrawalLinks", &body).await)
        }
        Reclaim => Some(app.reclaim(tip, false).await),
        Force => Some(app.reclaim(tip, true).await),
        Delete => Some(app.delete(tipper, &path).await),
        Edit => Some(app.put(tipper, &path, &json!({"note": "other"})).await),
        Words => Some(app.ask(Method::POST, tipper, &format!("{path}/generatePassphrase"), None).await),
        Copied => Some(app.ask(Method::POST, tipper, &format!("{path}/markCopied"), None).await),
        Expiry => {
            app.clock.advance(2 * super::test_app::DAY);
            app.upkeep().await;
            None
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_action_in_every_state() {
    for row in table() {
        let app = TestApp::new().await;
        for (action, next) in row.next {
            let what = format!("{action:?} of a tip that is {}", row.state);
            let (tip, invoice) = tip_in(&app, row.state).await;
            let (before, text) = (app.balances(), app.shown(&tip).await);
            let answer = act(&app, action, next, &tip, &invoice).await;
            match next {
                To(state) => {
                    if let Some(answer) = answer {
                        assert!(matches!(answer.status, 200 | 204), "{what}: {}", answer.text);
                    }
                    assert_eq!(app.status(&tip).await, state, "{what}");
                }
                No(code) => {
                    let answer = answer.unwrap();
                    assert_eq!((answer.status, answer.json()["code"].as_str()), (409, Some(code)), "{what}");
                    answer.is_error(409, code);
                    assert_eq!(app.balances(), before, "{what}");
                    assert_eq!(app.shown(&tip).await, text, "{what}");
                }
            }
            // The node never takes money for one invoice twice: it only says so twice.
            if action == Fund && !["UNFUNDED", "DELETED"].contains(&row.state) {
                assert_eq!(app.balances(), before, "{what}");
            }
            app.audit();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tip_that_is_over_is_refused_before_anybody_has_marked_it() {
    let app = TestApp::new().await;
    let seen = app.tip(&json!({"onboardingFlow": "SKIP"})).await;
    app.see(&seen).await;
    let claimed = app.claimed(&json!({})).await;
    let link = app.link("", &json!({"flow": "anonymous", "tipId": seen, "amount": 21})).await;
    let k1 = app.get("", &link).await.ok()["k1"].as_str().unwrap().to_owned();
    app.clock.advance(super::test_app::DAY);
    let before = app.balances();
    app.claim(&app.friend, &seen).await.is_error(409, "TIP_EXPIRED");
    let anonymous = json!({"flow": "anonymous", "tipId": seen, "invoice": app.invoice(21)});
    app.post("", "/api/invoices", &anonymous).await.is_error(409, "TIP_EXPIRED");
    app.get("", &link).await.is_lnurl_error("expired");
    app.get("", &format!("{link}/pay?k1={k1}&pr={}", app.invoice(21))).await.is_lnurl_error("expired");
    let tippee = json!({"flow": "tippee", "tipId": claimed, "invoice": app.invoice(21)});
    app.post(&app.friend, "/api/invoices", &tippee).await.is_error(409, "NOTHING_TO_WITHDRAW");
    assert_eq!(app.balances(), before);
    // Its tipper may have it back now, even if it was claimed.
    app.reclaim(&claimed, false).await.done();
    app.audit();
}
