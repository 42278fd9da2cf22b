//! The pages as a browser meets them.

mod tips;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode, header};
use tower::ServiceExt;

use super::*;

const ID: &str = "03a1fb575647d7d79909785c2648e98397ec15e6d6d2562d";
const TIP: &str = "clh1a2b3c4d5e6f7g8h9i0j1k";
const ORDER: &str = "shpfy_0123456789abcdef01234567";
const PAYMENT: &str = "inv_0123456789abcdef01234567";

/// Every page there is.
fn pages() -> Vec<String> {
    vec![
        "/".into(),
        format!("/redeem/{ID}"),
        format!("/manage/{ID}"),
        format!("/tips/{TIP}/claim"),
        format!("/pt-BR/tips/{TIP}/claim"),
        "/tip".into(),
        "/verify".into(),
        format!("/tip-groups/{TIP}/static"),
        format!("/checkout/{PAYMENT}"),
        "/store/mugs".into(),
        format!("/store/mugs/orders/{ORDER}"),
        "/redeem/short".into(),
    ]
}

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

async fn ask(
    router: Router,
    path: &str,
    request: &[(header::HeaderName, &str)],
) -> (StatusCode, HeaderMap, String) {
    let mut builder = Request::get(path);
    for (name, value) in request {
        builder = builder.header(name, *value);
    }
    let response = router.oneshot(builder.body(Body::empty()).unwrap()).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    (parts.status, parts.headers, String::from_utf8(body.to_vec()).unwrap())
}

/// The pages of a site on which every gift is in this state.
fn site(settings: WebSettings, now: GiftNow) -> Router {
    router(settings, Arc::new(move |_| Box::pin(std::future::ready(now))))
}

async fn get(path: &str) -> (StatusCode, HeaderMap, String) {
    get_while(GiftNow::Open { asks_code: false }, path).await
}

async fn get_while(now: GiftNow, path: &str) -> (StatusCode, HeaderMap, String) {
    ask(site(settings(), now), path, &[]).await
}

fn assert_page_headers(headers: &HeaderMap) {
    let policy = headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
    for part in ["default-src 'self'", "object-src 'none'", "base-uri 'none'", "frame-ancestors 'none'"] {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    assert_eq!(headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
    assert_eq!(headers[header::X_FRAME_OPTIONS], "DENY");
    assert_eq!(headers[header::REFERRER_POLICY], "no-referrer");
    assert_eq!(headers[header::CONTENT_TYPE], "text/html; charset=utf-8");
}

#[tokio::test]
async fn every_page_carries_the_security_headers_and_nothing_inline() {
    for path in pages() {
        let (_, headers, body) = get(&path).await;
        assert_page_headers(&headers);
        assert!(!body.contains("<style") && !body.contains(" style=") && !body.contains("onclick"), "{path}");
        for script in body.split("<script").skip(1) {
            assert!(script.starts_with(" type=\"module\" src=\"/assets/"), "{path}: {script}");
        }
        assert!(body.contains("data-state="), "{path}");
    }
}

#[tokio::test]
async fn pages_with_a_secret_in_their_address_are_not_stored() {
    let secret = [
        format!("/redeem/{ID}?verifyCode=1234"),
        format!("/manage/{ID}"),
        format!("/tips/{TIP}/claim"),
        format!("/tip-groups/{TIP}/static"),
        format!("/checkout/{PAYMENT}"),
        format!("/store/mugs/orders/{ORDER}"),
        "/verify".into(),
    ];
    for path in secret {
        let (status, headers, _) = get(&path).await;
        assert_eq!((status, &headers[header::CACHE_CONTROL]), (StatusCode::OK, &"no-store".parse().unwrap()));
    }
}

#[tokio::test]
async fn the_checkout_page_names_its_payment_and_nothing_of_it() {
    let (_, _, body) = get(&format!("/checkout/{PAYMENT}")).await;
    assert!(body.contains(&format!(r#"data-invoice-id="{PAYMENT}""#)));
    for id in
        ["inv_short", "ref_0123456789abcdef01234567", "inv_0123456789abcdef0123456g", "%ff", "inv_%22%3E"]
    {
        let (status, headers, body) = get(&format!("/checkout/{id}")).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{id}");
        assert_page_headers(&headers);
        assert!(body.contains("no such payment"), "{id}");
    }
}

#[tokio::test]
async fn store_pages_name_their_store_and_order_and_no_other_address_is_one() {
    let (status, _, body) = get(&format!("/store/mugs/orders/{ORDER}")).await;
    assert_eq!(status, StatusCode::OK);
    assert!(body.contains(&format!(r#"data-slug="mugs" data-order-id="{ORDER}""#)));
    for path in ["/store/UPPER", "/store/%22%3E", "/store/mugs/orders/shpfy_short", "/store/mugs/orders/%ff"]
    {
        let (status, headers, _) = get(path).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
        assert_page_headers(&headers);
    }
}

#[tokio::test]
async fn what_is_dynamic_is_escaped() {
    let (_, _, body) = get("/").await;
    assert!(!body.contains("<Co>"));
    let (status, _, body) = get("/redeem/%22%3E%3Cscript%3Ealert(1)%3C%2Fscript%3E").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(!body.contains("alert"));
}

#[tokio::test]
async fn without_javascript_the_gift_can_still_be_scanned() {
    let lnurl_of = |url: &str| crate::outbound::lnurl::encode(url).unwrap().to_uppercase();
    let plain = lnurl_of(&format!("https://gifts.example/lnurl/{ID}"));
    let coded = lnurl_of(&format!("https://gifts.example/lnurl/{ID}?verifyCode=0042"));
    let expectations = [
        ("", &plain),
        ("?verifyCode=0042", &coded),
        ("?verifyCode=42%26x", &plain),
        ("?verifyCode=1&verifyCode=2", &plain),
    ];
    for (query, lnurl) in expectations {
        let (status, _, body) = get(&format!("/redeem/{ID}{query}")).await;
        assert_eq!(status, StatusCode::OK);
        assert!(body.contains(&format!("/qr.svg?text={lnurl}")), "{query}");
    }
}

#[tokio::test]
async fn without_javascript_only_an_open_gift_shows_its_code() {
    let page = format!("/redeem/{ID}");
    let with_code = format!("{page}?verifyCode=0042");
    for (now, says) in [
        (GiftNow::Unknown, "There is no such gift"),
        (GiftNow::Unpaid, "Not paid yet"),
        (GiftNow::Pending, "On its way"),
        (GiftNow::Redeemed, "This gift has been redeemed"),
        (GiftNow::Expired, "This gift has expired"),
        (GiftNow::Returned, "This gift went back to the sender"),
        (GiftNow::Untold, "can't be shown just now"),
    ] {
        for path in [&page, &with_code] {
            let (status, headers, body) = get_while(now, path).await;
            assert_eq!(status, StatusCode::OK);
            assert_page_headers(&headers);
            let (_, rest) = body.split_once("<noscript>\n").unwrap();
            let (shown, _) = rest.split_once("</noscript>").unwrap();
            assert!(shown.contains(says), "{now:?}: {shown}");
            assert!(
                !body.contains("qr.svg") && !body.contains("lightning:") && !body.contains("LNURL1"),
                "{now:?}"
            );
        }
    }
    // Without its code it could not be taken.
    let asks = GiftNow::Open { asks_code: true };
    let (_, _, body) = get_while(asks, &page).await;
    assert!(!body.contains("qr.svg") && body.contains("has a security code"));
    // Whether a code is right is not told here.
    let (_, _, body) = get_while(asks, &with_code).await;
    assert!(body.contains("qr.svg"));
}

#[tokio::test]
async fn without_javascript_links_to_wallets_say_what_to_do_without_one() {
    for path in ["/".to_owned(), format!("/redeem/{ID}")] {
        let (_, _, body) = get(&path).await;
        let (_, rest) = body.split_once("<noscript>\n").unwrap();
        let (shown, _) = rest.split_once("</noscript>").unwrap();
        assert!(
            shown.contains("lightning:")
                && (shown.contains("no wallet on") || shown.contains("no such wallet on")),
            "{path}: {shown}"
        );
    }
}

/// What people write may run from right to left: every field for it, and every place that shows it, keeps its own
/// direction.
#[tokio::test]
async fn every_place_for_people_s_words_has_its_own_direction() {
    let shown = [
        ("headline", &["/redeem/", "/tips/", "/checkout/", "/orders/"][..]),
        ("message", &["/redeem/"]),
        ("note", &["/tips/"]),
        ("description", &["/checkout/"]),
        ("store-name", &["/store/mugs"]),
        ("store-text", &["/store/mugs"]),
        ("tracking", &["/orders/"]),
        ("mail-to", &["/tips/"]),
        ("sponsor-text", &["/tips/"]),
    ];
    for path in pages() {
        let (_, _, body) = get(&path).await;
        for tag in body.split('<').filter_map(|rest| rest.split_once('>').map(|(tag, _)| tag)) {
            let is_field = tag.starts_with("textarea ") || tag.starts_with("input ");
            let machine = [
                "readonly",
                "numeric",
                "type=\"email\"",
                "datetime-local",
                "autocapitalize=\"none\" spellcheck",
                "maxlength=\"2\"",
            ];
            let for_words = is_field && !machine.iter().any(|sign| tag.contains(sign));
            let named = shown.iter().find(|(id, _)| tag.contains(&format!("id=\"{id}\"")));
            if for_words || named.is_some() || tag.contains("data-message") {
                assert!(tag.contains("dir=\"auto\""), "{path}: <{tag}>");
            }
        }
        for (id, on) in &shown {
            if on.iter().any(|part| path.contains(part))
                && !path.contains("short")
                && !path.contains("tip-groups")
            {
                let there = body.contains(&format!("id=\"{id}\""));
                let elsewhere = path.contains("/orders/") && id.starts_with("store");
                assert!(there || elsewhere, "{path} has no #{id}");
            }
        }
        assert!(body.contains("<span dir=\"auto\">Gifts"), "{path}: the site's name");
    }
}

/// A form's errors are read out with their fields.
#[tokio::test]
async fn every_field_of_a_form_names_the_place_of_its_error() {
    for path in pages() {
        let (_, _, body) = get(&path).await;
        for form in body.split("<form ").skip(1) {
            let form = form.split("</form>").next().unwrap();
            assert!(form.split('>').next().unwrap().contains("novalidate"), "{path}: one error at a time");
            for tag in form.split('<').filter_map(|rest| rest.split_once('>').map(|(tag, _)| tag)) {
                let is_field = ["input ", "textarea ", "select "].iter().any(|name| tag.starts_with(name));
                if !is_field || tag.contains("readonly") {
                    continue;
                }
                let (_, rest) =
                    tag.split_once("aria-describedby=\"").unwrap_or_else(|| panic!("{path}: <{tag}>"));
                let ids = rest.split('"').next().unwrap();
                let place = ids.split(' ').next().unwrap();
                assert!(body.contains(&format!("id=\"{place}\"")), "{path}: #{place} is missing");
            }
        }
    }
}

#[tokio::test]
async fn the_start_page_knows_the_limits_and_the_lnurl() {
    let (_, _, body) = get("/").await;
    assert!(body.contains(r#"data-min="100" data-max="500000" data-max-quantity="500""#));
    assert!(
        body.contains(&crate::outbound::lnurl::encode("https://gifts.example/lnurl").unwrap().to_uppercase())
    );
}

#[tokio::test]
async fn an_id_that_no_gift_can_have_is_not_found() {
    for id in ["x".repeat(48), "G".repeat(48), "ab".into(), "%ff".into(), "%ff".repeat(48)] {
        for page in ["redeem", "manage"] {
            let (status, headers, body) = get(&format!("/{page}/{id}")).await;
            assert_eq!(status, StatusCode::NOT_FOUND);
            assert_page_headers(&headers);
            assert!(body.contains(r#"data-state="not_found""#));
        }
    }
}

#[tokio::test]
async fn a_lost_browser_gets_a_page_and_a_lost_program_does_not() {
    let mut browser = HeaderMap::new();
    browser.insert(header::ACCEPT, "text/html,application/xhtml+xml".parse().unwrap());
    let page = not_found(&settings(), &browser).unwrap();
    assert_eq!(page.status(), StatusCode::NOT_FOUND);
    assert_page_headers(page.headers());
    assert!(not_found(&settings(), &HeaderMap::new()).is_none());
}

#[tokio::test]
async fn an_id_in_upper_case_is_the_same_gift() {
    for page in ["redeem", "manage"] {
        let (status, _, body) = get(&format!("/{page}/{}", ID.to_uppercase())).await;
        assert_eq!(status, StatusCode::OK);
        assert!(body.contains(ID) && !body.contains(&ID.to_uppercase()), "{page}");
    }
}

#[test]
fn the_pages_are_in_the_api_s_document() {
    let document = serde_json::to_value(document()).unwrap();
    let paths: Vec<_> = document["paths"].as_object().unwrap().keys().cloned().collect();
    let gifts = ["/", "/checkout/{invoiceId}", "/manage/{orderId}", "/qr.svg", "/redeem/{orderId}"];
    let stores = ["/store/{slug}", "/store/{slug}/orders/{orderId}"];
    let tips = ["/tip", "/tip-groups/{id}/static", "/tips/{id}", "/tips/{id}/claim", "/verify"];
    assert_eq!(paths, [&gifts[..], &stores[..], &tips[..]].concat());
}

#[tokio::test]
async fn a_site_under_a_path_links_to_itself() {
    let settings = WebSettings { public_url: "https://example.org/gifts/".into(), ..settings() };
    let (_, _, body) = ask(site(settings, GiftNow::Untold), "/", &[]).await;
    assert!(body.contains(r#"data-base="/gifts""#) && body.contains(r#"src="/gifts/assets/"#));
    assert!(body.contains(r#"data-public-url="https://example.org/gifts""#));
    assert!(!body.contains(r#"="/assets"#));
}

#[tokio::test]
async fn assets_are_kept_by_version_and_checked_by_name() {
    let version = assets::VERSION.as_str();
    let (status, headers, _) = get(&format!("/assets/{version}/create.js")).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(headers[header::CONTENT_TYPE], "text/javascript; charset=utf-8");
    assert!(headers[header::CACHE_CONTROL].to_str().unwrap().contains("immutable"));

    let (_, old, _) = get("/assets/000000000000/style.css").await;
    assert_eq!(old[header::CACHE_CONTROL], "public, no-cache");

    let (_, plain, _) = get("/assets/style.css").await;
    let etag = plain[header::ETAG].to_str().unwrap().to_owned();
    let (status, _, body) =
        ask(site(settings(), GiftNow::Untold), "/assets/style.css", &[(header::IF_NONE_MATCH, &etag)]).await;
    assert_eq!((status, body.as_str()), (StatusCode::NOT_MODIFIED, ""));

    for path in [
        "/assets/none.js",
        "/assets/..%2Fmod.rs",
        "/assets/x/..%2F..%2Fmod.rs",
        "/assets/%ff",
        "/assets/%ff/x",
    ] {
        assert_eq!(get(path).await.0, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn every_asset_that_a_page_or_script_names_exists() {
    for page in pages() {
        let (_, _, body) = get(&page).await;
        for path in body.split('"').filter(|text| text.starts_with("/assets/")) {
            let (status, _, script) = get(path).await;
            assert_eq!(status, StatusCode::OK, "{path}");
            let folder = path.rsplit_once('/').unwrap().0;
            for name in script.split('\'').filter_map(|text| text.strip_prefix("./")) {
                assert_eq!(get(&format!("{folder}/{name}")).await.0, StatusCode::OK, "{path} imports {name}");
            }
        }
    }
}

#[tokio::test]
async fn qr_codes_are_images_that_no_shared_cache_keeps() {
    let (status, headers, body) = get("/qr.svg?text=LNBC1%3C%26").await;
    assert_eq!((status, &headers[header::CONTENT_TYPE]), (StatusCode::OK, &"image/svg+xml".parse().unwrap()));
    assert!(headers[header::CACHE_CONTROL].to_str().unwrap().starts_with("private"));
    assert_eq!(headers[header::CONTENT_SECURITY_POLICY], "default-src 'none'");
    assert!(body.contains("<svg") && !body.contains("LNBC"));
    for query in ["", "?text=", &format!("?text={}", "A".repeat(QR_MAX_CHARS + 1))] {
        assert_eq!(get(&format!("/qr.svg{query}")).await.0, StatusCode::BAD_REQUEST);
    }
}
