use axum::body::Body;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::{Extension, Router, middleware, routing};
use tower::ServiceExt;

use super::*;

fn open() -> (tempfile::TempDir, Store, Keys) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("satchel.db")).unwrap();
    (folder, store.clone(), Keys::new(store))
}

fn bearer(key: &Secret) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, format!("Bearer {}", key.expose()).parse().unwrap());
    headers
}

fn api_key(text: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("X-Api-Key", text.parse().unwrap());
    headers
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_opens_its_scopes_until_it_is_revoked() {
    let (_folder, _store, keys) = open();
    let (info, text) = keys.create("till", &[Scope::Tips, Scope::Gifts], Some("shop")).await.unwrap();
    assert_eq!(text.expose().len(), MARK.len() + DIGITS);
    assert!(text.expose().starts_with(&info.prefix));
    assert_eq!((info.scopes, info.account.as_str()), (vec![Scope::Gifts, Scope::Tips], "shop"));
    for headers in [bearer(&text), api_key(text.expose())] {
        let caller = keys.authenticate(&headers).await.unwrap().unwrap();
        assert!(caller.may(Scope::Tips) && !caller.may(Scope::Admin) && !caller.may(Scope::Payments));
    }
    keys.revoke(info.id).await.unwrap();
    assert!(matches!(keys.authenticate(&bearer(&text)).await, Err(KeyError::Invalid)));
    assert!(keys.revoke(info.id).await.unwrap().revoked_at.is_some());
    assert!(matches!(keys.revoke(KeyId(99)).await, Err(KeyError::NoSuchKey)));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_file_holds_no_key_and_lists_show_only_its_beginning() {
    let (folder, store, keys) = open();
    let (_, text) = keys.create("a", &[Scope::Admin], None).await.unwrap();
    keys.authenticate(&bearer(&text)).await.unwrap();
    let listed = serde_json::to_string(&keys.list().await.unwrap()).unwrap();
    assert!(!listed.contains(&text.expose()[SHOWN..]));
    drop((keys, store));
    for file in std::fs::read_dir(folder.path()).unwrap() {
        // The log may be folded into the file, and be gone, at any moment.
        let Ok(bytes) = std::fs::read(file.unwrap().path()) else { continue };
        let secret = &text.expose().as_bytes()[SHOWN..];
        assert!(!bytes.windows(secret.len()).any(|window| window == secret));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_key_of_ours_is_no_caller_or_refused() {
    let (_folder, _store, keys) = open();
    assert_eq!(keys.authenticate(&HeaderMap::new()).await.unwrap(), None);
    let mut l402 = HeaderMap::new();
    l402.insert(AUTHORIZATION, "L402 abc:def".parse().unwrap());
    assert_eq!(keys.authenticate(&l402).await.unwrap(), None);
    let unknown = new_key().unwrap();
    for text in ["", "satchel_", "hunter2", unknown.expose(), &unknown.expose()[..71]] {
        assert!(matches!(keys.authenticate(&api_key(text)).await, Err(KeyError::Invalid)), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_use_is_noted_once_an_hour() {
    let (_folder, _store, keys) = open();
    let (info, text) = keys.create("a", &[Scope::Gifts], None).await.unwrap();
    assert_eq!(info.last_used_at, None);
    for _ in 0..10 {
        keys.authenticate(&bearer(&text)).await.unwrap();
    }
    // Queued before this write, so committed by its end.
    keys.create("b", &[Scope::Gifts], None).await.unwrap();
    let used = keys.list().await.unwrap()[0].last_used_at.unwrap();
    assert!((now_ms() - used) < 60_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_file_rules() {
    let (_folder, _store, keys) = open();
    let (ordinary, _) = keys.create("admin-key", &[Scope::Gifts], None).await.unwrap();
    let (first, second) = (new_key().unwrap(), new_key().unwrap());
    let info = keys.ensure("admin-key", &first, Scope::Admin).await.unwrap();
    assert_eq!(keys.ensure("admin-key", &first, Scope::Admin).await.unwrap().id, info.id);
    assert!(keys.authenticate(&bearer(&first)).await.unwrap().unwrap().may(Scope::Payments));
    keys.ensure("admin-key", &second, Scope::Admin).await.unwrap();
    assert!(matches!(keys.authenticate(&bearer(&first)).await, Err(KeyError::Invalid)));
    assert!(keys.authenticate(&bearer(&second)).await.unwrap().is_some());
    assert!(matches!(keys.ensure("admin-key", &first, Scope::Admin).await, Err(KeyError::Invalid)));
    assert!(matches!(keys.ensure("x", &Secret::new("words"), Scope::Admin).await, Err(KeyError::BadText)));
    // A key that was made in the ordinary way is not the file's, whatever its name.
    assert_eq!(keys.list().await.unwrap().iter().find(|key| key.id == ordinary.id).unwrap().revoked_at, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_name_or_no_scope_makes_no_key() {
    let (_folder, _store, keys) = open();
    for (name, scopes) in [("", &[Scope::Gifts][..]), ("a", &[]), (&"x".repeat(65), &[Scope::Gifts])] {
        assert!(matches!(keys.create(name, scopes, None).await, Err(KeyError::BadKey)));
    }
    assert_eq!("admin".parse(), Ok(Scope::Admin));
    assert!("root".parse::<Scope>().is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_middleware_answers_in_the_caller_s_words() {
    fn refusal(error: &KeyError) -> Response {
        let status = match error {
            KeyError::Lacks(_) => StatusCode::FORBIDDEN,
            KeyError::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::UNAUTHORIZED,
        };
        (status, error.to_string()).into_response()
    }
    let (_folder, _store, keys) = open();
    let (_, tips) = keys.create("a", &[Scope::Tips], None).await.unwrap();
    let (_, admin) = keys.create("b", &[Scope::Admin], None).await.unwrap();
    let gate = Gate { keys: keys.clone(), scope: Scope::Admin, refusal };
    let app = Router::new()
        .route(
            "/",
            routing::get(|Extension(caller): Extension<Caller>| async move { caller.key.0.to_string() }),
        )
        .layer(middleware::from_fn_with_state(gate, require_scope));
    let cases = [
        (bearer(&admin), StatusCode::OK),
        (bearer(&tips), StatusCode::FORBIDDEN),
        (api_key("nonsense"), StatusCode::UNAUTHORIZED),
        (HeaderMap::new(), StatusCode::UNAUTHORIZED),
    ];
    for (headers, status) in cases {
        let mut request = Request::get("/").body(Body::empty()).unwrap();
        *request.headers_mut() = headers;
        assert_eq!(app.clone().oneshot(request).await.unwrap().status(), status);
    }
}
