//! Who may read and do what, and how it looks.

use axum::http::StatusCode;
use serde_json::json;

use super::test_app::{RESERVE, TestApp, WITHDRAWALS, sat, to};
use crate::admin::{AccountAdmin, AdminError, TableRequest, WithdrawRequest};
use crate::core::money::Msat;
use crate::http::idempotency::IdempotencyKey;
use crate::http::keys::Scope;

#[tokio::test(flavor = "multi_thread")]
async fn reading_needs_one_of_three_scopes_and_withdrawing_its_own() {
    let app = TestApp::new().await;
    app.earn(sat(1_000));
    let body = to(app.invoice(sat(100))).to_string();
    for (scope, reads, withdraws) in [
        (Scope::Payments, true, false),
        (Scope::L402, true, false),
        (Scope::Withdraw, true, true),
        (Scope::Gifts, false, false),
        (Scope::Tips, false, false),
        (Scope::Scheduler, false, false),
    ] {
        let key = app.key(&[scope], "shop").await;
        for path in ["/v1/account", "/v1/account/statement", "/v1/account/statement.csv"] {
            let answer = app.ask("GET", &key, path, "", "").await;
            assert_eq!(answer.status, if reads { 200 } else { 403 }, "{scope} {path} {answer:?}");
        }
        let answer = app.ask("POST", &key, WITHDRAWALS, &body, "").await;
        if withdraws {
            answer.ok();
        } else {
            answer.refused(403, "FORBIDDEN");
        }
    }
    app.ask("GET", "satchel_no", "/v1/account", "", "").await.refused(401, "INVALID_API_KEY");
    assert_eq!(super::super::api::failure("/v1/account/x", StatusCode::NOT_FOUND).status(), 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_see_nothing_of_each_other() {
    let app = TestApp::new().await;
    app.earn(sat(1_000));
    let made = app.withdraw(&to(app.invoice(sat(100)))).await.ok();
    let rival = app.key(&[Scope::Withdraw], "rival").await;
    let shown = app.ask("GET", &rival, "/v1/account", "", "").await.ok();
    assert_eq!(
        shown,
        json!({ "account": "rival", "balanceMsat": 0, "withdrawableMsat": 0, "pendingMsat": 0 })
    );
    let path = format!("{WITHDRAWALS}/{}", made["withdrawalId"].as_str().unwrap());
    app.ask("GET", &rival, &path, "", "").await.refused(404, "WITHDRAWAL_NOT_FOUND");
    app.get(&format!("{WITHDRAWALS}/nonsense")).await.refused(404, "WITHDRAWAL_NOT_FOUND");
    let statement = app.ask("GET", &rival, "/v1/account/statement", "", "").await.ok();
    assert_eq!(statement, json!({ "lines": [], "nextCursor": null }));
    let mut body = to(app.invoice(sat(1)));
    body["amountSat"] = json!(1);
    app.ask("POST", &rival, WITHDRAWALS, &body.to_string(), "").await.refused(409, "INSUFFICIENT_BALANCE");
}

#[tokio::test(flavor = "multi_thread")]
async fn statement_tells_every_change_and_its_pages_stay() {
    let app = TestApp::new().await;
    for _ in 0..4 {
        app.earn(sat(500));
        app.clock.advance(std::time::Duration::from_secs(3_600));
    }
    let invoice = app.invoice(sat(700));
    app.withdraw(&to(&invoice)).await.ok();
    app.arrives(&invoice, Msat::new(1_234).unwrap());
    let all = app.get("/v1/account/statement").await.ok();
    let lines = all["lines"].as_array().unwrap();
    let brief: Vec<_> = lines
        .iter()
        .map(|line| {
            (
                line["kind"].as_str().unwrap(),
                line["amountMsat"].as_i64().unwrap(),
                line["balanceMsat"].as_u64().unwrap(),
            )
        })
        .collect();
    let reserve = i64::try_from(RESERVE).unwrap() * 1_000;
    assert_eq!(
        brief,
        [
            ("fee_returned", reserve - 1_234, 1_298_766),
            ("fee_reserved", -reserve, 1_290_000),
            ("withdrawal", -700_000, 1_300_000),
            ("l402", 500_000, 2_000_000),
            ("l402", 500_000, 1_500_000),
            ("l402", 500_000, 1_000_000),
            ("l402", 500_000, 500_000),
        ]
    );
    // Pages of two, while more is added.
    let mut seen = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = app.get(&format!("/v1/account/statement?limit=2&cursor={cursor}")).await.ok();
        seen.extend(page["lines"].as_array().unwrap().clone());
        app.earn(sat(1));
        match page["nextCursor"].as_str() {
            Some(next) => cursor = next.to_owned(),
            None => break,
        }
    }
    assert_eq!(&seen, lines);
    // A day, and a time.
    let day = app.get("/v1/account/statement?from=2027-01-15&to=2027-01-15").await.ok();
    assert!(!day["lines"].as_array().unwrap().is_empty());
    let none = app.get("/v1/account/statement?to=2027-01-14").await.ok();
    assert_eq!(none["lines"], json!([]));
    app.get("/v1/account/statement?from=yesterday").await.refused(400, "INVALID_TIME");
    app.get("/v1/account/statement?cursor=x").await.refused(400, "INVALID_CURSOR");
    app.get("/v1/account/statement?limit=0").await.refused(400, "INVALID_LIMIT");
}

#[tokio::test(flavor = "multi_thread")]
async fn table_has_every_line_and_sums_to_the_balance() {
    let app = TestApp::new().await;
    for number in 0..1_203 {
        app.earn(Msat::new(1_001 + number).unwrap());
    }
    app.withdraw(&to(app.invoice(sat(700)))).await.ok();
    let table = app.get("/v1/account/statement.csv").await.text;
    let mut lines = table.split_terminator("\r\n");
    assert_eq!(lines.next(), Some("\u{feff}id,at,kind,reference,amountSats,balanceSats"));
    let rows: Vec<Vec<&str>> = lines.map(|line| line.split(',').collect()).collect();
    assert_eq!(rows.len(), 1_205);
    let msat = |text: &str| -> i64 {
        let (whole, rest) =
            text.trim_start_matches('-').split_once('.').unwrap_or((text.trim_start_matches('-'), ""));
        let value = whole.parse::<i64>().unwrap() * 1_000 + format!("{rest:0<3}").parse::<i64>().unwrap();
        if text.starts_with('-') { -value } else { value }
    };
    let sum: i64 = rows.iter().map(|row| msat(row[4])).sum();
    assert_eq!(u64::try_from(sum).unwrap(), app.has().0);
    assert_eq!(msat(rows[0][5]), sum);
}

#[tokio::test(flavor = "multi_thread")]
async fn operator_gets_the_same_table_part_by_part() {
    let app = TestApp::new().await;
    for number in 0..1_203 {
        app.earn(Msat::new(1_001 + number).unwrap());
    }
    let whole = app.get("/v1/account/statement.csv").await.text;
    let (mut text, mut after, mut parts) = (String::new(), None, 0);
    loop {
        let asked = TableRequest { after, ..TableRequest::default() };
        let part = AccountAdmin::table(&app.accounts, "shop".into(), asked).await.unwrap();
        let csv = part["csv"].as_str().unwrap();
        assert_eq!(part["lines"], csv.lines().count());
        if parts == 0 {
            text += &crate::core::csv::begun(part["head"].as_str().unwrap());
        }
        text += csv;
        parts += 1;
        let Some(next) = part["next"].as_str() else { break };
        after = Some(next.to_owned());
    }
    assert_eq!((text, parts), (whole, 3));
    let bad = TableRequest { after: Some("x".into()), ..TableRequest::default() };
    assert!(matches!(
        AccountAdmin::table(&app.accounts, "shop".into(), bad).await,
        Err(AdminError::BadRequest(_))
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn operator_withdraws_once_for_one_idempotency_key() {
    let app = TestApp::new().await;
    app.earn(sat(1_000));
    let order = || WithdrawRequest { target: app.open_invoice(1).to_string(), amount_sat: Some(100) };
    let ask = |body: &[u8]| {
        let mut headers = axum::http::HeaderMap::new();
        headers.insert("idempotency-key", "k".parse().unwrap());
        IdempotencyKey::read(&headers, "operator", "POST", body).unwrap()
    };
    let asked = |order, once| AccountAdmin::withdraw(&app.accounts, "shop".into(), order, once);
    let first = asked(order(), ask(b"1")).await.unwrap();
    // The invoice has failed meanwhile: without the key it could not be used again.
    app.dispatch();
    app.sim.resolve(crate::ledger::charges::hash_of(&app.open_invoice(1)), false, Msat::ZERO);
    app.drain();
    assert_eq!(app.shown(&first).await["status"], "failed");
    assert_eq!(asked(order(), ask(b"1")).await.unwrap(), first);
    assert!(matches!(asked(order(), None).await, Err(AdminError::Refused(_))));
    assert!(matches!(asked(order(), ask(b"2")).await, Err(AdminError::Refused(_))));
}
