use axum::body::Body;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Router, middleware, routing};
use tower::ServiceExt;

use super::*;

fn open() -> (tempfile::TempDir, Store, Keys) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open_in_test(&folder.path().join("satchel.db")).unwrap();
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
async fn key_is_found_beside_other_credentials() {
    let (_folder, _store, keys) = open();
    let (_, text) = keys.create("till", &[Scope::Tips], Some("shop")).await.unwrap();
    let key = text.expose();
    for lines in [
        vec!["Basic YTpi".to_owned(), format!("Bearer {key}")],
        vec!["Bearer of-another-service".to_owned(), format!("bearer  {key}")],
        vec![format!("L402 abc:def, Bearer {key}")],
        vec![format!("Bearer {key}, LSAT abc:def")],
    ] {
        let mut headers = HeaderMap::new();
        for line in &lines {
            headers.append(AUTHORIZATION, line.parse().unwrap());
        }
        assert!(keys.authenticate(&headers).await.unwrap().is_some(), "{lines:?}");
    }
    let mut headers = api_key(key);
    headers.append(AUTHORIZATION, "Bearer of-another-service".parse().unwrap());
    assert!(keys.authenticate(&headers).await.unwrap().is_some());
    headers.remove("x-api-key");
    assert!(matches!(keys.authenticate(&headers).await, Err(KeyError::Invalid)));
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

#[tokio::test(flavor = "multi_thread")]
async fn a_key_without_an_account_gets_one_of_its_own() {
    let (_folder, _store, keys) = open();
    let long = "x".repeat(64);
    let mut accounts = Vec::new();
    for name in ["wordpress", "wordpress", "default", long.as_str(), long.as_str()] {
        let (info, text) = keys.create(name, &[Scope::Tips], None).await.unwrap();
        let caller = keys.authenticate(&bearer(&text)).await.unwrap().unwrap();
        accounts.push((info.account, caller.account));
    }
    let names: Vec<_> = accounts.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names[..3], ["wordpress", "wordpress-2", "default"]);
    assert!(names[4].ends_with("x-2") && names[4].len() == 64, "{}", names[4]);
    for (index, (_, account)) in accounts.iter().enumerate() {
        assert!(accounts[..index].iter().all(|(_, other)| other != account));
    }
    let (shared, _) = keys.create("other", &[Scope::Tips], Some("wordpress")).await.unwrap();
    assert_eq!(shared.account, "wordpress", "unless it is told");
}

async fn bounded(keys: &Keys, bounds: KeyBounds) -> (KeyInfo, Secret) {
    keys.create_noting("a", &[Scope::Gifts], None, &bounds, |_, _| Ok(())).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_key_opens_nothing() {
    let (_folder, _store, keys) = open();
    let ends = |in_ms: i64| KeyBounds { expires_at: Some(now_ms() + in_ms), ..KeyBounds::default() };
    let (_, over) = bounded(&keys, ends(-1)).await;
    assert!(matches!(keys.authenticate(&bearer(&over)).await, Err(KeyError::Invalid)));
    let (_, soon) = bounded(&keys, ends(700)).await;
    assert!(keys.authenticate(&bearer(&soon)).await.unwrap().is_some());
    let ended = tokio::time::timeout(Duration::from_secs(5), keys.clone().ended(soon.clone())).await;
    assert!(ended.is_ok(), "a stream under it ends with it");
    assert!(
        matches!(keys.authenticate(&bearer(&soon)).await, Err(KeyError::Invalid)),
        "though it is remembered"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_with_networks_is_good_from_there_alone() {
    let (_folder, _store, keys) = open();
    let networks = vec!["203.0.113.0/24".parse().unwrap(), "2001:db8::/32".parse().unwrap()];
    let (info, text) = bounded(&keys, KeyBounds { networks, ..KeyBounds::default() }).await;
    assert_eq!(info.networks, ["203.0.113.0/24", "2001:db8::/32"]);
    let from = async |address: &str| {
        let address = address.parse().unwrap();
        client::at_address(address, async { keys.authenticate(&bearer(&text)).await }).await
    };
    for good in ["203.0.113.9", "2001:db8:1::1"] {
        assert!(from(good).await.unwrap().is_some(), "{good}");
    }
    for bad in ["203.0.114.9", "127.0.0.1", "::1"] {
        assert!(matches!(from(bad).await, Err(KeyError::Invalid)), "{bad}");
    }
    let nowhere = keys.authenticate(&bearer(&text)).await;
    assert!(matches!(nowhere, Err(KeyError::Invalid)), "an unknown address is none of them");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_key_keeps_its_id_and_its_old_text_for_a_while() {
    let (_folder, _store, keys) = open();
    let (info, old) = keys.create("a", &[Scope::Gifts], Some("shop")).await.unwrap();
    let first = keys.authenticate(&bearer(&old)).await.unwrap().unwrap();
    let rotate = async |until: i64| keys.rotate_noting(info.id, until, |_| Ok(())).await;
    let (shown, new) = rotate(now_ms() + 60_000).await.unwrap();
    assert!(new.expose().starts_with(&shown.prefix) && shown.old_expires_at.is_some());
    for text in [&old, &new] {
        assert_eq!(keys.authenticate(&bearer(text)).await.unwrap().unwrap(), first);
    }
    let (_, newest) = rotate(now_ms()).await.unwrap();
    for (text, good) in [(&old, false), (&new, false), (&newest, true)] {
        assert_eq!(keys.authenticate(&bearer(text)).await.is_ok(), good);
    }
    keys.revoke(info.id).await.unwrap();
    assert!(matches!(keys.authenticate(&bearer(&newest)).await, Err(KeyError::Invalid)));
    assert!(matches!(rotate(now_ms()).await, Err(KeyError::NoSuchKey)));
    let of_file = keys.ensure("admin-key", &new_key().unwrap(), Scope::Admin).await.unwrap();
    let refused = keys.rotate_noting(of_file.id, now_ms(), |_| Ok(())).await;
    assert!(matches!(refused, Err(KeyError::NoSuchKey)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_when_its_key_is_revoked() {
    use futures_util::{StreamExt, stream};
    let (_folder, _store, keys) = open();
    let (info, text) = keys.create("a", &[Scope::Gifts], None).await.unwrap();
    let endless = || async {
        let ticks = stream::unfold((), |()| async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            Some((Ok::<_, std::convert::Infallible>("data: x\n\n"), ()))
        });
        ([(axum::http::header::CONTENT_TYPE, "text/event-stream")], Body::from_stream(ticks))
    };
    let gate = Gate {
        keys: keys.clone(),
        scope: Scope::Gifts,
        refusal: |_| StatusCode::UNAUTHORIZED.into_response(),
    };
    let gated = Router::new()
        .route("/gated", routing::get(endless))
        .layer(middleware::from_fn_with_state(gate, require_scope));
    let recognised = Router::new()
        .route("/open", routing::get(endless))
        .layer(middleware::from_fn_with_state(keys.clone(), recognise));
    let app = gated.merge(recognised);
    let mut streams = Vec::new();
    for path in ["/gated", "/open"] {
        let mut request = Request::get(path).body(Body::empty()).unwrap();
        *request.headers_mut() = bearer(&text);
        let mut events = app.clone().oneshot(request).await.unwrap().into_body().into_data_stream();
        assert!(events.next().await.is_some(), "{path}");
        streams.push(events);
    }
    keys.revoke(info.id).await.unwrap();
    for mut events in streams {
        let ended = async { while events.next().await.is_some() {} };
        tokio::time::timeout(Duration::from_secs(5), ended).await.expect("it ends");
    }
}
