//! The books of accounts.

use super::test_app::{TestApp, sat, to};
use crate::ledger::audit;
use crate::services::accounts::Rules;

#[tokio::test(flavor = "multi_thread")]
async fn audit_names_the_account_whose_balance_is_wrong() {
    let app = TestApp::new().await;
    app.earn(sat(1_000));
    app.withdraw(&to(app.invoice(sat(100)))).await.ok();
    app.has();
    for (change, words) in [
        ("UPDATE account_balances SET msat = msat + 1", "account shop: its balance"),
        ("UPDATE account_balances SET pending_msat = 7", "account shop: 7 msat are noted as under way"),
        ("UPDATE account_lines SET msat = msat + 1 WHERE id = 1", "account shop: its balance"),
        ("UPDATE fee_reserves SET reserve_msat = 1", "withheld for fees"),
    ] {
        let checked = app.ledger.store.write_blocking(move |tx| -> Result<(), crate::storage::StoreError> {
            tx.execute(change, [])?;
            Err(crate::storage::StoreError::Unavailable("only looked at".into()))
        });
        assert!(checked.is_err());
        app.ledger
            .store
            .write_blocking(move |tx| {
                tx.execute(change, []).map(drop).map_err(crate::storage::StoreError::from)
            })
            .unwrap();
        let audit = tokio::task::block_in_place(|| audit::audit(&app.ledger).unwrap());
        assert!(
            audit.problems.iter().any(|problem| problem.contains(words)),
            "{change}: {:?}",
            audit.problems
        );
        let undo = match words {
            "withheld for fees" => "UPDATE fee_reserves SET reserve_msat = 10000",
            _ if change.contains("pending") => "UPDATE account_balances SET pending_msat = 110000",
            _ if change.contains("lines") => "UPDATE account_lines SET msat = msat - 1 WHERE id = 1",
            _ => "UPDATE account_balances SET msat = msat - 1",
        };
        app.ledger
            .store
            .write_blocking(move |tx| {
                tx.execute(undo, []).map(drop).map_err(crate::storage::StoreError::from)
            })
            .unwrap();
        app.has();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn operator_bears_routing_where_so_set() {
    let rules = Rules { account_pays_routing: false, ..super::test_app::rules() };
    let app = TestApp::with(rules, None).await;
    app.earn(sat(1_000));
    let invoice = app.invoice(sat(1_000));
    let made = app.withdraw(&to(&invoice)).await.ok();
    assert_eq!(made["reserveMsat"], 0);
    app.arrives(&invoice, sat(5));
    assert_eq!(app.has(), (0, 0));
    assert_eq!((app.booked("fees_charged"), app.booked("routing_paid")), (0, 5_000));
    assert_eq!(app.shown(&made).await["feeSat"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_withdrawn_where_it_is_switched_off() {
    let app = TestApp::with(Rules { enabled: false, ..super::test_app::rules() }, None).await;
    app.earn(sat(1_000));
    app.withdraw(&to(app.invoice(sat(100)))).await.refused(503, "WITHDRAWALS_DISABLED");
    assert_eq!(app.get("/v1/account").await.ok()["withdrawableMsat"], 990_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn repeated_request_is_answered_alike_after_withdrawals_were_switched_off() {
    let app = TestApp::new().await;
    app.earn(sat(1_000));
    let body = to(app.invoice(sat(100)));
    let first = app.once(&body, "k").await;
    assert_eq!(first.status, 201);
    let app = app.restarted_with(Rules { enabled: false, ..super::test_app::rules() });
    let again = app.once(&body, "k").await;
    assert_eq!((again.status, &again.text), (201, &first.text));
    app.once(&body, "other").await.refused(503, "WITHDRAWALS_DISABLED");
}
