//! The table of states: in each, what every action does, or that it is refused and moves nothing.

use axum::http::Method;
use serde_json::json;

use super::answer::Answer;
use super::house::{House, TIPS, id, parse};

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
async fn tip_in(house: &House, state: &str) -> (String, String) {
    let made = house.order(&json!({"onboardingFlow": "SKIP"})).await.ok();
    let (tip, invoice) = (id(&made), made["invoice"].as_str().unwrap().to_owned());
    let refund = json!({"flow": "tipper", "tipId": tip, "invoice": house.invoice(21)});
    let withdraw = json!({"flow": "tippee", "tipId": tip, "invoice": house.invoice(21)});
    match state {
        "UNFUNDED" => return (tip, invoice),
        "DELETED" => {
            house.delete(&house.tipper, &format!("{TIPS}/{tip}")).await.ok();
            return (tip, invoice);
        }
        _ => house.fund(&made),
    }
    let (seen, claimed) = match state {
        "UNSEEN" | "REFUNDED" => (false, false),
        "SEEN" | "RECLAIMED" => (true, false),
        _ => (true, true),
    };
    if seen {
        house.see(&tip).await;
    }
    if claimed {
        house.claim(&house.friend, &tip).await.done();
    }
    match state {
        "CLAIMED+" => drop(house.begin(&house.friend, "tippee", &tip, 21).await),
        "WITHDRAWN" => house.withdraw(&house.friend, &withdraw, true).await.done(),
        "RECLAIMED" | "RECLAIMED+" | "REFUNDED" => {
            house.reclaim(&tip, true).await.done();
            match state {
                "RECLAIMED+" => drop(house.begin(&house.tipper, "tipper", &tip, 21).await),
                "REFUNDED" => house.withdraw(&house.tipper, &refund, true).await.done(),
                _ => {}
            }
        }
        _ => {}
    }
    assert_eq!(house.status(&tip).await, state);
    (tip, invoice)
}

async fn act(house: &House, action: Action, next: Next, tip: &str, invoice: &str) -> Option<Answer> {
    let (tipper, friend) = (house.tipper.as_str(), house.friend.as_str());
    let path = format!("{TIPS}/{tip}");
    let withdraw = async |key: &str, flow: &str| {
        let body = json!({"flow": flow, "tipId": tip, "invoice": house.invoice(21)});
        Some(match next {
            To(_) => house.withdraw(key, &body, true).await,
            // What is under way must not arrive while a refusal is waited for.
            No(_) => house.post(key, "/api/invoices", &body).await,
        })
    };
    match action {
        Fund => {
            house.pay(&parse(invoice), 31_000);
            None
        }
        Seen => {
            house.see(tip).await;
            None
        }
        Claim => Some(house.claim(friend, tip).await),
        Tippee => withdraw(friend, "tippee").await,
        Tipper => withdraw(tipper, "tipper").await,
        Anonymous => withdraw("", "anonymous").await,
        Link => {
            let body = json!({"flow": "anonymous", "tipId": tip, "amount": 21});
            Some(house.post("", "/api/withdrawalLinks", &body).await)
        }
        Reclaim => Some(house.reclaim(tip, false).await),
        Force => Some(house.reclaim(tip, true).await),
        Delete => Some(house.delete(tipper, &path).await),
        Edit => Some(house.put(tipper, &path, &json!({"note": "other"})).await),
        Words => Some(house.ask(Method::POST, tipper, &format!("{path}/generatePassphrase"), None).await),
        Copied => Some(house.ask(Method::POST, tipper, &format!("{path}/markCopied"), None).await),
        Expiry => {
            house.clock.advance(2 * super::house::DAY);
            house.upkeep().await;
            None
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_action_in_every_state() {
    for row in table() {
        let house = House::new().await;
        for (action, next) in row.next {
            let what = format!("{action:?} of a tip that is {}", row.state);
            let (tip, invoice) = tip_in(&house, row.state).await;
            let (before, text) = (house.balances(), house.shown(&tip).await);
            let answer = act(&house, action, next, &tip, &invoice).await;
            match next {
                To(state) => {
                    if let Some(answer) = answer {
                        assert!(matches!(answer.status, 200 | 204), "{what}: {}", answer.text);
                    }
                    assert_eq!(house.status(&tip).await, state, "{what}");
                }
                No(code) => {
                    let answer = answer.unwrap();
                    assert_eq!((answer.status, answer.json()["code"].as_str()), (409, Some(code)), "{what}");
                    answer.is_error(409, code);
                    assert_eq!(house.balances(), before, "{what}");
                    assert_eq!(house.shown(&tip).await, text, "{what}");
                }
            }
            // The node never takes money for one invoice twice: it only says so twice.
            if action == Fund && !["UNFUNDED", "DELETED"].contains(&row.state) {
                assert_eq!(house.balances(), before, "{what}");
            }
            house.audit();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tip_that_is_over_is_refused_before_anybody_has_marked_it() {
    let house = House::new().await;
    let seen = house.tip(&json!({"onboardingFlow": "SKIP"})).await;
    house.see(&seen).await;
    let claimed = house.claimed(&json!({})).await;
    let link = house.link("", &json!({"flow": "anonymous", "tipId": seen, "amount": 21})).await;
    let k1 = house.get("", &link).await.ok()["k1"].as_str().unwrap().to_owned();
    house.clock.advance(super::house::DAY);
    let before = house.balances();
    house.claim(&house.friend, &seen).await.is_error(409, "TIP_EXPIRED");
    let anonymous = json!({"flow": "anonymous", "tipId": seen, "invoice": house.invoice(21)});
    house.post("", "/api/invoices", &anonymous).await.is_error(409, "TIP_EXPIRED");
    house.get("", &link).await.is_lnurl_error("expired");
    house.get("", &format!("{link}/pay?k1={k1}&pr={}", house.invoice(21))).await.is_lnurl_error("expired");
    let tippee = json!({"flow": "tippee", "tipId": claimed, "invoice": house.invoice(21)});
    house.post(&house.friend, "/api/invoices", &tippee).await.is_error(409, "NOTHING_TO_WITHDRAW");
    assert_eq!(house.balances(), before);
    // Its tipper may have it back now, even if it was claimed.
    house.reclaim(&claimed, false).await.done();
    house.audit();
}
