//! The examples of both documents.

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::test_server::{TestServer, in_order};

/// Every example, from `/create` to `confirmed`, with keys, order, types and nulls.
pub async fn both_documents(server: &TestServer) {
    let body = json!({
        "amount": 1000, "notify": null, "senderName": null, "senderMessage": "Hello world",
    });
    let answer = server.post("/create", &body).await;
    in_order(
        &answer.text,
        &[
            "orderId",
            "chargeId",
            "status",
            "lightningInvoice",
            "amount",
            "lnurl",
            "senderName",
            "senderMessage",
            "order_id",
            "charge_id",
            "lightning_invoice",
        ],
    );
    let created = answer.ok();
    let (id, charge) = (created["orderId"].as_str().unwrap(), created["chargeId"].as_str().unwrap());
    assert!(id.len() == 48 && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')));
    assert!(uuid::Uuid::parse_str(charge).is_ok());
    assert_eq!(created["status"], "unpaid");
    assert!(created["lightningInvoice"]["expires_at"].is_u64());
    assert!(created["lightningInvoice"]["payreq"].as_str().unwrap().starts_with("lnbcrt10u1"));
    assert_eq!(created["amount"], 1000);
    assert!(created["lnurl"].as_str().unwrap().starts_with("lnurl1"));
    assert!(created["senderName"].is_null());
    assert_eq!(created["url"], server.url(&format!("/redeem/{id}")));
    let managed = server.url(&format!("/manage/{id}#{}", created["manageKey"].as_str().unwrap()));
    assert_eq!(created["manageUrl"], managed);
    assert_eq!(created["senderMessage"], "Hello world");
    for (alias, key) in
        [("order_id", "orderId"), ("charge_id", "chargeId"), ("lightning_invoice", "lightningInvoice")]
    {
        assert_eq!(created[alias], created[key]);
    }
    // Either id leads to the invoice's status; an unpaid gift is shown.
    for id in [id, charge] {
        assert_eq!(server.get(&format!("/status/{id}")).await.text, r#"{"status":"unpaid"}"#);
    }
    assert_eq!(server.get(&format!("/gift/{id}")).await.ok()["chargeStatus"], "unpaid");

    server.fund(&created).await;
    assert_eq!(server.get(&format!("/status/{charge}")).await.text, r#"{"status":"paid"}"#);
    let documented = [
        "amount",
        "id",
        "notify",
        "createdAt",
        "chargeStatus",
        "chargeInfo",
        "spent",
        "orderId",
        "lnurl",
        "senderName",
        "senderMessage",
    ];
    let answer = server.get(&format!("/gift/{id}")).await;
    in_order(&answer.text, &documented);
    let gift = answer.ok();
    assert_eq!((&gift["amount"], &gift["id"], &gift["orderId"]), (&json!(1000), &json!(id), &json!(id)));
    assert!(gift["notify"].is_null() && gift["senderName"].is_null());
    assert!(gift["createdAt"]["_seconds"].is_u64() && gift["createdAt"]["_nanoseconds"].is_u64());
    let payreq = &created["lightningInvoice"]["payreq"];
    assert_eq!(gift["chargeInfo"], json!({"chargeId": charge, "chargeInvoice": payreq}));
    assert_eq!((&gift["chargeStatus"], &gift["spent"]), (&json!("paid"), &json!(false)));
    assert_eq!((&gift["lnurl"], &gift["senderMessage"]), (&created["lnurl"], &json!("Hello world")));
    assert!(gift.get("withdrawalInfo").is_none());

    let invoice = server.invoice(1000).await;
    let redeemed = server.redeem(id, &invoice).await.ok();
    assert_eq!(redeemed["withdrawalId"], redeemed["withdrawal_id"]);
    let withdrawal = redeemed["withdrawalId"].as_str().unwrap();
    assert!(uuid::Uuid::parse_str(withdrawal).is_ok());
    let status =
        server.until(&format!("/redeemStatus/{withdrawal}"), |told| told["status"] == "confirmed").await;
    assert_eq!(status["reference"], invoice.as_str());
    let posted = server.post(&format!("/redeemStatus/{withdrawal}"), &json!({"orderId": id})).await.ok();
    assert_eq!(posted, status);
    let answer = server.get(&format!("/gift/{id}")).await;
    in_order(&answer.text, &[documented.as_slice(), &["withdrawalInfo"]].concat());
    let spent = answer.ok();
    assert_eq!(spent["spent"], true);
    let info = &spent["withdrawalInfo"];
    assert_eq!((&info["withdrawalId"], &info["withdrawalInvoice"]), (&json!(withdrawal), &json!(invoice)));
    assert_eq!(info["fee"], "0");
    assert!(info["createdAt"]["_seconds"].is_u64() && info["createdAt"]["_nanoseconds"].is_u64());
}

/// Small devices read answers by hand.
pub async fn answers_are_one_line_with_a_length(server: &TestServer) {
    let address = server.network.satchel.url().strip_prefix("http://").unwrap().to_owned();
    let body = r#"{"amount":100}"#;
    let requests = [
        format!(
            "POST /create HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        ),
        "GET /gift/00 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".to_owned(),
        "GET /lnurl HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".to_owned(),
    ];
    for request in requests {
        let mut stream = tokio::net::TcpStream::connect(&address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let head = head.to_ascii_lowercase();
        assert!(head.contains(&format!("content-length: {}", body.len())), "{answer}");
        assert!(!head.contains("transfer-encoding"), "{answer}");
        assert!(body.starts_with('{') && !body.contains('\n'), "{answer}");
    }
}

/// CORS on every route, errors included, and `OPTIONS` as the original answered it.
pub async fn any_page_may_call(server: &TestServer) {
    let id = "03a1fb575647d7d79909785c2648e98397ec15e6d6d2562d";
    let routes = [
        ("/create".to_owned(), "POST"),
        (format!("/redeem/{id}"), "POST"),
        (format!("/gift/{id}/refund"), "POST"),
        (format!("/redeemStatus/{id}"), "POST"),
        (format!("/status/{id}"), "GET"),
        (format!("/gift/{id}"), "GET"),
        (format!("/lnurl/{id}"), "GET"),
        ("/lnurl".to_owned(), "GET"),
        (format!("/view/{id}"), "GET"),
        (format!("/redeem/{id}"), "GET"),
    ];
    for (path, method) in routes {
        let options = server.send(server.http.request(reqwest::Method::OPTIONS, server.url(&path))).await;
        assert_eq!(options.status, 200, "{path}");
        assert!(options.headers["allow"].to_str().unwrap().contains(method), "{path}");
        assert_eq!(options.headers["access-control-allow-origin"], "*", "{path}");
        let headers = "Origin, X-Requested-With, Content-Type, Accept";
        assert_eq!(options.headers["access-control-allow-headers"], headers, "{path}");
        let other = if method == "GET" { server.post(&path, &json!({})).await } else { server.get(&path).await };
        let asked = if method == "GET" { server.get(&path).await } else { server.post(&path, &json!({})).await };
        for answer in [other, asked] {
            assert_eq!(answer.headers["access-control-allow-origin"], "*", "{path} {answer:?}");
        }
    }
    let nowhere = server.get("/nowhere").await;
    assert_eq!(
        (nowhere.status, &nowhere.headers["access-control-allow-origin"]),
        (404, &"*".parse().unwrap())
    );
}
