//! Quotas, the budget, the middleware.

use axum::body::Body;
use axum::extract::Request;
use axum::http::{Method, StatusCode};
use axum::response::IntoResponse;
use axum::{Router, middleware, routing};
use tower::ServiceExt;

use super::*;
use crate::http::client::Client;

const SETTINGS: LimitSettings = LimitSettings {
    enabled: true,
    window: Duration::from_secs(900),
    write: 3,
    read: 1000,
    key_write: 5,
    key_read: 1000,
};

fn client(text: &str) -> Client {
    Client::of(text.parse().unwrap())
}

#[test]
fn the_fourth_of_three_is_refused_and_others_are_not() {
    let limits = Limits::new(SETTINGS);
    for remaining in [2, 1, 0] {
        let allowance = limits.check(Class::Write, client("192.0.2.1"));
        assert_eq!((allowance.remaining, allowance.retry_after), (remaining, None));
        assert_eq!(allowance.limit, 3);
    }
    let refused = limits.check(Class::Write, client("192.0.2.1"));
    assert_eq!(refused.remaining, 0);
    assert!((299..=300).contains(&refused.retry_after.unwrap()), "{refused:?}");
    let full = refused.reset_epoch_secs - now_secs(Duration::ZERO);
    assert!((899..=901).contains(&full), "{full}");
    assert_eq!(limits.check(Class::Read, client("192.0.2.1")).retry_after, None);
    assert_eq!(limits.check(Class::Write, client("192.0.2.2")).retry_after, None);
}

#[test]
fn the_quota_refills() {
    let limits = Limits::new(LimitSettings { window: Duration::from_millis(300), ..SETTINGS });
    for _ in 0..3 {
        limits.check(Class::Write, 1);
    }
    assert!(limits.check(Class::Write, 1).retry_after.is_some());
    std::thread::sleep(Duration::from_millis(120));
    assert!(limits.check(Class::Write, 1).retry_after.is_none());
}

#[test]
fn switched_off_nothing_is_counted_or_said() {
    let limits = Limits::new(LimitSettings { enabled: false, ..SETTINGS });
    let mut headers = HeaderMap::new();
    for _ in 0..100 {
        limits.check(Class::Write, 1).write_headers(&mut headers);
    }
    assert!(headers.is_empty());
}

#[test]
fn memory_is_bounded_however_many_come() {
    let limits = Limits::with_memory(LimitSettings { write: 2, ..SETTINGS }, 1000);
    for stranger in 0..200_000 {
        limits.check(Class::Write, stranger);
    }
    let remembered = limits.clients.write.as_ref().unwrap().limiter.len();
    assert!(remembered <= 1000 + 1024 + 65_536, "{remembered}");
    // Sharing, but still limited.
    assert!((0..3).any(|_| limits.check(Class::Write, 7).retry_after.is_some()));
}

#[test]
fn the_sweep_forgets_who_has_a_full_quota() {
    let limits = Limits::with_memory(LimitSettings { window: Duration::from_millis(3), ..SETTINGS }, 10);
    for stranger in 0..100 {
        limits.check(Class::Write, stranger);
    }
    std::thread::sleep(Duration::from_millis(20));
    limits.sweep();
    assert!(limits.clients.write.as_ref().unwrap().limiter.is_empty());
}

#[test]
fn the_budget_ends() {
    let budget = Budget::per_minute(2);
    assert_eq!((budget.take(), budget.take()), (Ok(()), Ok(())));
    assert!((29..=30).contains(&budget.take().unwrap_err()));
    let none = Budget::per_minute(0);
    assert!((0..1000).all(|_| none.take().is_ok()));
}

#[tokio::test]
async fn the_middleware_refuses_in_the_family_s_words_and_never_counts_options() {
    let limiter = Limiter {
        limits: Arc::new(Limits::new(SETTINGS)),
        proxies: Arc::default(),
        class: Class::Write,
        refusal: |_| (StatusCode::TOO_MANY_REQUESTS, "slow down").into_response(),
    };
    let layer = middleware::from_fn_with_state(limiter, limit);
    let app = Router::new().route("/", routing::any(|| async {})).layer(layer);
    let ask = async |method: Method| {
        let request = Request::builder().method(method).uri("/").body(Body::empty()).unwrap();
        app.clone().oneshot(request).await.unwrap()
    };
    for _ in 0..10 {
        assert_eq!(ask(Method::OPTIONS).await.status(), StatusCode::OK);
    }
    for _ in 0..3 {
        assert_eq!(ask(Method::POST).await.status(), StatusCode::OK);
    }
    let refused = ask(Method::POST).await;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(refused.headers()["x-ratelimit-limit"], "3");
    assert_eq!(refused.headers()["x-ratelimit-remaining"], "0");
    assert!(refused.headers().contains_key("x-ratelimit-reset"));
    assert!(refused.headers().contains_key("retry-after"));
}
