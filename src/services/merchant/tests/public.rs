//! What anybody may ask.

use serde_json::{Value, json};

use super::test_app::TestApp;
use crate::http::keys::Scope;
use crate::services::merchant::Sold;
use crate::services::merchant::sources::ShopStats;

#[tokio::test(flavor = "multi_thread")]
async fn version_check_never_asks_for_an_update() {
    let app = TestApp::new().await;
    let path = "/api/mcp/version-check";
    for (query, version) in [
        ("?currentVersion=2.1.1", json!("2.1.1")),
        ("?currentVersion=1.0.0-beta.1%2B7", json!("1.0.0-beta.1+7")),
        ("", Value::Null),
        ("?currentVersion=", Value::Null),
        ("?currentVersion=%3Cscript%3E", Value::Null),
        ("?currentVersion=%0a", Value::Null),
    ] {
        let told = app.get("", &format!("{path}{query}")).await.ok();
        let expected = json!({
            "updateRequired": false, "updateRecommended": false, "latestVersion": version,
            "message": "This server asks for no update", "releaseNotes": null,
        });
        assert_eq!(told, expected, "{query}");
    }
    let long = format!("{path}?currentVersion={}", "1".repeat(33));
    assert_eq!(app.get("", &long).await.ok()["latestVersion"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn stats_count_for_all_and_tell_revenue_to_its_owner() {
    let app = TestApp::new().await;
    {
        let mut known = app.others.0.lock().unwrap();
        known.sold = Sold { documents: 3, requests: 8 };
        known.shop = ShopStats { stores: 2, products: 5, orders: 9, paid_orders: 7, revenue_sat: 1_234 };
    }
    let downloads = app.get("", "/api/stats/downloads").await.ok();
    assert_eq!(downloads, json!({ "total": 3, "inclusiveTotal": 8 }));
    let path = "/api/stats/shopify";
    let view = |stores: u64, orders: u64, revenue: Value| json!({ "stores": stores, "products": 5, "orders": orders, "paidOrders": 7, "revenueSats": revenue });
    for key in ["", "nobody's"] {
        assert_eq!(app.get(key, path).await.ok(), view(2, 9, Value::Null));
    }
    assert_eq!(app.get(&app.shop, path).await.ok(), view(1, 1, json!(1_234)));
    let admin = app.keys.create("test", &[Scope::Admin], None).await.unwrap().1;
    assert_eq!(app.get(admin.expose(), path).await.ok(), view(2, 9, json!(1_234)));
    let gifts = app.keys.create("test", &[Scope::Gifts], None).await.unwrap().1;
    assert_eq!(app.get(gifts.expose(), path).await.ok(), view(2, 9, Value::Null));
}
