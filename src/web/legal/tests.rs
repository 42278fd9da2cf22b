//! The operator's texts and the default ones.

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request};
use tower::ServiceExt;

use super::*;

fn settings() -> WebSettings {
    WebSettings {
        public_url: "https://gifts.example".into(),
        site_name: "Gifts & <Co>".into(),
        min_sat: 100,
        max_sat: 500_000,
        max_quantity: 500,
        gift_fee: crate::core::fees::FeeRule::FREE,
        email: true,
    }
}

fn facts() -> Facts {
    Facts {
        operator: String::new(),
        contact: String::new(),
        keep_unpaid_days: 17,
        limit_secs: Some(901),
        webhook_days: 13,
        mail: false,
        own_chain: true,
        asks_rates: false,
        asks_names: false,
        relays: false,
        signup_sat: None,
        gift_fee: (0, 0),
        tip_fee: (10, 1),
    }
}

fn texts(facts: Facts) -> LegalTexts {
    LegalTexts { privacy: None, terms: None, facts }
}

async fn get_page(texts: LegalTexts, path: &str) -> (HeaderMap, String) {
    let request = Request::get(path).body(Body::empty()).unwrap();
    let response = router(settings(), texts).oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let headers = response.headers().clone();
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    (headers, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn default_texts_follow_the_settings() {
    let (headers, privacy) = get_page(texts(facts()), "/privacy").await;
    assert_eq!(headers["content-type"], "text/html; charset=utf-8");
    assert!(headers["content-security-policy"].to_str().unwrap().starts_with("default-src 'self'"));
    for part in ["17 days", "901 seconds", "13 days"] {
        assert!(privacy.contains(part), "{part}");
    }
    for part in ["mail server", "DNS servers", "Nostr relays", "e-mail address of whoever buys", "is run by"]
    {
        assert!(!privacy.contains(part), "{part} is not true with these settings");
    }
    let more = Facts {
        operator: "Ada <Ltd>".into(),
        contact: "ada@example.com".into(),
        limit_secs: None,
        mail: true,
        own_chain: false,
        asks_rates: true,
        asks_names: true,
        relays: true,
        signup_sat: Some(100),
        ..facts()
    };
    let (_, privacy) = get_page(texts(more.clone()), "/privacy").await;
    for part in [
        "mail server",
        "DNS servers",
        "Nostr relays",
        "e-mail address of whoever buys",
        "is run by",
        "ada@example.com",
    ] {
        assert!(privacy.contains(part), "{part}");
    }
    assert!(!privacy.contains("901 seconds") && !privacy.contains("<Ltd>"), "{privacy}");
    let (_, terms) = get_page(texts(more), "/terms").await;
    assert!(terms.contains("100 sat") && terms.contains("ada@example.com"), "{terms}");
    let (_, terms) = get_page(texts(facts()), "/terms").await;
    assert!(terms.contains("1 %, at least 10 sat") && !terms.contains("An account costs"), "{terms}");
}

#[tokio::test]
async fn own_texts_replace_the_defaults() {
    let own = LegalTexts {
        privacy: Some(Text::plain("# We keep\n\nnothing <b>at all</b>\r\n\r\nEver")),
        terms: Some(Text::Html("<h2>Be <em>kind</em></h2>".into())),
        facts: facts(),
    };
    let (_, privacy) = get_page(own.clone(), "/privacy").await;
    assert!(privacy.contains("<h2>We keep</h2>") && privacy.contains("<p>Ever</p>"), "{privacy}");
    assert!(!privacy.contains("<b>"), "plain text is text");
    let (headers, terms) = get_page(own, "/terms").await;
    assert!(terms.contains("<h2>Be <em>kind</em></h2>"));
    assert!(!headers["content-security-policy"].to_str().unwrap().contains("unsafe-inline"));
}
