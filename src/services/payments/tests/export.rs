//! The bookkeeper's table: read back by a reader of its own, and held against the books.

use std::collections::BTreeMap;

use futures_util::TryStreamExt;
use serde_json::{Value, json};

use super::paying_app::PayingApp;
use super::test_app::{TestApp, id, invoice};
use crate::admin::{ExportRequest, PaymentAdmin};
use crate::core::decimal::Decimal;
use crate::core::money::Msat;
use crate::services::payments::export::rows::{self, Bounds};
use crate::services::payments::export::{Place, Span};
use crate::services::payments::store;

const TABLE: &str = "/api/payments.csv";

/// Reads RFC 4180, strictly.
fn parse(text: &str) -> Vec<Vec<String>> {
    let (mut rows, mut row, mut cell) = (Vec::new(), Vec::new(), String::new());
    let mut rest = text.chars().peekable();
    while let Some(next) = rest.next() {
        match next {
            '"' => {
                assert!(cell.is_empty(), "a quote inside a cell");
                loop {
                    match (rest.next().expect("an end"), rest.peek()) {
                        ('"', Some('"')) => cell.push(rest.next().unwrap()),
                        ('"', _) => break,
                        (other, _) => cell.push(other),
                    }
                }
                assert!(matches!(rest.peek(), Some(',' | '\r')), "something behind a quote");
            }
            ',' => row.push(std::mem::take(&mut cell)),
            '\r' => {
                assert_eq!(rest.next(), Some('\n'));
                row.push(std::mem::take(&mut cell));
                rows.push(std::mem::take(&mut row));
            }
            '\n' => panic!("a line that ends without \\r"),
            other => cell.push(other),
        }
    }
    assert!(row.is_empty() && cell.is_empty(), "the last line has no end");
    rows
}

/// Each line by the names of its head.
fn table(text: &str) -> Vec<BTreeMap<String, String>> {
    let mut rows = parse(text.trim_start_matches('\u{feff}')).into_iter();
    let head = rows.next().unwrap();
    rows.map(|row| {
        assert_eq!(row.len(), head.len());
        head.iter().cloned().zip(row).collect()
    })
    .collect()
}

async fn export(app: &TestApp, query: &str) -> Vec<BTreeMap<String, String>> {
    let answer = app.get(&app.shop, &format!("{TABLE}{query}")).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(answer.headers["content-type"], "text/csv; charset=utf-8; header=present");
    assert_eq!(answer.headers["cache-control"], "no-store");
    table(&answer.text)
}

/// The sum of a column in msat.
fn sum<'a>(rows: impl IntoIterator<Item = &'a BTreeMap<String, String>>, column: &str) -> i64 {
    rows.into_iter()
        .filter(|row| !row[column].is_empty())
        .map(|row| i64::try_from(row[column].parse::<Decimal>().unwrap().in_units(3).unwrap()).unwrap())
        .sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_table_agrees_with_the_books() {
    let paying = PayingApp::new().await;
    let dollars = paying.paid(&json!({ "amount": 10 })).await;
    let sats = paying.order(&json!({ "orderId": "s", "amount": 1_000, "currency": "sats" })).await.created();
    // A wallet rounds up.
    assert!(paying.pay_msat(&invoice(&sats), 1_000_123));
    paying.order(&json!({ "orderId": "nobody pays" })).await.created();
    paying.refund_of(&dollars, 8_326, &json!({ "amount": 3.33 })).await.created();
    paying.finish(true, Msat::new(1_234).unwrap());
    paying.refund_of(&dollars, 8_326, &json!({ "amount": 3.33 })).await.created();
    paying.finish(false, Msat::ZERO);
    paying
        .refund_of(&sats, 400, &json!({ "amount": 400, "currency": "sats", "reason": "half" }))
        .await
        .created();
    let rows = export(&paying, "").await;
    let kinds: Vec<_> = rows.iter().map(|row| (row["type"].as_str(), row["status"].as_str())).collect();
    let expected = [
        ("payment", "paid"),
        ("payment", "paid"),
        ("payment", "unpaid"),
        ("refund", "completed"),
        ("refund", "failed"),
        ("refund", "pending"),
    ];
    assert_eq!(kinds, expected);
    let live = rows.iter().filter(|row| row["type"] == "refund" && row["status"] != "failed");
    assert_eq!(sum(&rows, "inSats") - sum(live, "amountSats"), -paying.balance("merchants"));
    assert_eq!(sum(&rows, "routingFeeSats"), paying.balance("routing_paid"));
    let moved = sum(&rows, "inSats") - sum(&rows, "outSats") - sum(&rows, "routingFeeSats");
    assert_eq!(moved, paying.balance("lightning"));
    let row =
        |at: usize, names: &[&str]| names.iter().map(|name| rows[at][*name].clone()).collect::<Vec<_>>();
    let all = [
        "currency",
        "amount",
        "amountSats",
        "inSats",
        "outSats",
        "routingFeeSats",
        "exchangeRate",
        "rateSource",
    ];
    assert_eq!(row(0, &all), ["USD", "10", "25006", "25006", "", "", "39992", "market"]);
    assert_eq!(row(1, &all), ["sats", "1000", "1000", "1000.123", "", "", "", ""]);
    assert_eq!(row(3, &all), ["USD", "3.33", "8326", "", "8326", "1.234", "39992", "market"]);
    assert_eq!(row(5, &all), ["sats", "400", "400", "", "", "", "", ""]);
    let noon = "2027-01-15T08:00:00Z";
    let mail = "customer@example.com";
    let whose = ["createdAt", "completedAt", "rateAt", "text", "customerEmail", "account"];
    assert_eq!(row(0, &whose), [noon, noon, noon, "Premium Subscription", mail, "shop"]);
    assert_eq!(row(5, &whose), [noon, "", "", "half", mail, "shop"]);
    assert_eq!((&rows[0]["id"], &rows[3]["invoiceId"]), (&id(&dollars), &id(&dollars)));
    // Another account has a table of its own.
    let theirs = paying.get(&paying.rival, TABLE).await;
    assert_eq!(table(&theirs.text), Vec::<BTreeMap<_, _>>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn long_tables_come_in_parts_and_what_others_wrote_is_no_formula() {
    let paying = PayingApp::new().await;
    let texts = ["=1+1", "@x", "a,\"b\"", "-1", "+1", "two\r\nlines", "\u{fc}ber"];
    for number in 0..501 {
        let text = texts[number % texts.len()];
        let more =
            json!({ "orderId": format!("{number}"), "amount": 1, "currency": "sats", "description": text });
        paying.order(&more).await.created();
    }
    paying
        .order(&json!({ "orderId": "=cmd()", "customerName": "@SUM(A1)", "metadata": null }))
        .await
        .created();
    let rows = export(&paying, "").await;
    assert_eq!(rows.len(), 502);
    let numbers: Vec<_> = (0..501).map(|number| number.to_string()).collect();
    assert!(rows.iter().map(|row| &row["orderId"]).take(501).eq(&numbers));
    for (row, text) in rows.iter().zip(texts) {
        let quoted = text.starts_with(['=', '@', '-', '+']);
        assert_eq!(row["text"], if quoted { format!("'{text}") } else { text.to_owned() });
    }
    assert_eq!((&*rows[501]["orderId"], &*rows[501]["customerName"]), ("'=cmd()", "'@SUM(A1)"));
    // The operator's room has the same, page by page.
    let (mut text, mut after, mut pages) = (String::new(), None, 0);
    loop {
        let asked = ExportRequest { after, account: Some("shop".into()), ..ExportRequest::default() };
        let page = PaymentAdmin::export(&paying.payments, asked).await.unwrap();
        if text.is_empty() {
            text.push_str(page["head"].as_str().unwrap());
        }
        text.push_str(page["csv"].as_str().unwrap());
        pages += 1;
        match &page["next"] {
            Value::Null => break,
            next => after = Some(next.as_str().unwrap().to_owned()),
        }
    }
    assert_eq!((table(&text), pages), (rows, 3));
    let nobody = ExportRequest { account: Some("nobody".into()), ..ExportRequest::default() };
    assert!(PaymentAdmin::export(&paying.payments, nobody).await.is_err());
    let nowhere = ExportRequest { after: Some("x".into()), ..ExportRequest::default() };
    assert!(PaymentAdmin::export(&paying.payments, nowhere).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_reads_one_table_at_a_time() {
    let paying = PayingApp::new().await;
    paying.order(&json!({})).await.created();
    let everything = || Span::read(None, None).unwrap();
    let account = |name: &'static str| {
        let found = paying.ledger.store.read_blocking(move |connection| store::account(connection, name));
        found.unwrap().unwrap()
    };
    let mut first = Box::pin(paying.payments.export(account("shop"), everything()).unwrap());
    first.try_next().await.unwrap().unwrap();
    paying.get(&paying.shop, TABLE).await.is_error(409, "EXPORT_RUNNING", TABLE);
    // Another account's is another's.
    assert_eq!(paying.get(&paying.rival, TABLE).await.status, 200);
    // Whoever hangs up is not waited for.
    drop(first);
    assert_eq!(export(&paying, "").await.len(), 1);
    assert_eq!(export(&paying, "").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_looked_at_for_one_page_is_bounded() {
    let paying = PayingApp::new().await;
    for number in 0..7 {
        let made = paying
            .order(&json!({"orderId": number, "amount": 100 + number, "currency": "sats"}))
            .await
            .created();
        if number == 6 {
            paying.clock.advance(std::time::Duration::from_secs(60));
        }
        paying.pay(&made);
    }
    let span = Span::read(Some("2027-01-15T08:01:00Z"), None).unwrap();
    let (mut place, mut pages) = (Some(Place::START), Vec::new());
    while let Some(at) = place {
        let bounds = Bounds { lines: 2, rows: 3 };
        let page = paying.ledger.store.read_blocking(move |connection| {
            rows::page(connection, None, span, at, bounds, 1_900_000_000_000)
        });
        let page = page.unwrap();
        pages.push(page.lines);
        place = page.next;
    }
    // Three, three, the last one, and no refunds.
    assert_eq!(pages, [0, 0, 1, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_span_begins_with_its_first_moment_and_ends_with_its_last_day() {
    let paying = PayingApp::new().await;
    let made = paying.order(&json!({})).await.created();
    paying.clock.advance(std::time::Duration::from_secs(60));
    paying.pay(&made);
    for (query, lines) in [
        ("?from=2027-01-15&to=2027-01-15", 1),
        ("?from=2027-01-16", 0),
        ("?to=2027-01-14", 0),
        ("?from=2027-01-15T08:01:00Z", 1),
        ("?from=2027-01-15T08:01:01Z", 0),
        ("?to=2027-01-15T08:01:00Z", 0),
        ("?from=&to=2027-01-15T09:01:01%2B01:00", 1),
    ] {
        assert_eq!(export(&paying, query).await.len(), lines, "{query}");
    }
    for query in ["?from=yesterday", "?to=2027-02-30", "?to=2027"] {
        let path = format!("{TABLE}{query}");
        paying.get(&paying.shop, &path).await.is_error(400, "INVALID_TIME", &path);
    }
}
