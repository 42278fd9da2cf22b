//! The pages of tips.

use super::*;

fn images(headers: &HeaderMap) -> String {
    let policy = headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
    let part = policy.split(';').find_map(|part| part.trim().strip_prefix("img-src "));
    part.unwrap_or_default().to_owned()
}

#[tokio::test]
async fn only_where_a_sponsor_may_appear_pictures_come_from_elsewhere() {
    for page in pages() {
        let (_, headers, body) = get(&page).await;
        let any = body.contains("sponsor-image");
        assert_eq!(any, page.ends_with("/claim"), "{page}");
        // Sellers' pictures are where they have them.
        let expected =
            if any || body.contains("data-page=\"store\"") { "'self' data: https:" } else { "'self' data:" };
        assert_eq!(images(&headers), expected, "{page}");
        assert!(!body.contains("<img id=\"sponsor-image\" src"), "a picture is fetched before it is shown");
        let policy = headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.contains("require-trusted-types-for 'script'"), "{page}");
    }
}

#[tokio::test]
async fn a_bare_link_leads_to_the_claim_page_with_what_it_says() {
    for (query, kept) in [("", ""), ("?printed=true", "?printed=true"), ("?a=%0d%0ab", "?a=%0d%0ab")] {
        let (status, headers, _) = get(&format!("/tips/{}{query}", TIP.to_uppercase())).await;
        assert_eq!(status, StatusCode::TEMPORARY_REDIRECT);
        assert_eq!(headers[header::LOCATION], format!("/tips/{TIP}/claim{kept}"));
        assert_eq!(headers[header::REFERRER_POLICY], "no-referrer");
        assert_eq!(headers[header::CACHE_CONTROL], "no-store");
    }
    let settings = WebSettings { public_url: "https://example.org/sats/".into(), ..settings() };
    let (_, headers, _) = ask(site(settings, GiftNow::Untold), &format!("/tips/{TIP}"), &[]).await;
    assert_eq!(headers[header::LOCATION], format!("/sats/tips/{TIP}/claim"));
}

#[tokio::test]
async fn an_id_that_no_tip_can_have_is_not_found() {
    let long = format!("{TIP}x");
    for id in
        ["short", long.as_str(), "dlh1a2b3c4d5e6f7g8h9i0j1k", "clh1a2b3c4d5e6f7g8h9i0j1-", "%ff", "c%22%3E"]
    {
        for path in [
            format!("/tips/{id}"),
            format!("/tips/{id}/claim"),
            format!("/de/tips/{id}/claim"),
            format!("/tip-groups/{id}/static"),
        ] {
            let (status, headers, body) = get(&path).await;
            assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
            assert_page_headers(&headers);
            assert!(body.contains(r#"data-state="not_found""#) && body.contains("no such tip"), "{path}");
        }
    }
}

#[tokio::test]
async fn a_language_before_the_path_changes_nothing() {
    let (_, _, plain) = get(&format!("/tips/{TIP}/claim")).await;
    for locale in ["en", "nb", "pt-BR", "DE"] {
        let (status, _, body) = get(&format!("/{locale}/tips/{TIP}/claim")).await;
        assert_eq!((status, body == plain), (StatusCode::OK, true), "{locale}");
    }
    for locale in ["api", "e", "e1", "en-", "-en", "en-US-x", "%ff", "d%2Fe"] {
        let (status, _, _) = get(&format!("/{locale}/tips/{TIP}/claim")).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{locale}");
    }
}

#[tokio::test]
async fn the_claim_page_names_its_tip_and_nothing_of_it() {
    let (_, _, body) = get(&format!("/tips/{}/claim", TIP.to_uppercase())).await;
    assert!(body.contains(&format!(r#"data-tip-id="{TIP}""#)));
    assert!(body.contains(r#"rel="noopener noreferrer nofollow""#));
    assert!(body.contains(r#"referrerpolicy="no-referrer""#));
    assert!(body.contains(r#"<meta name="robots" content="noindex">"#));
}

#[tokio::test]
async fn without_letters_nothing_is_said_of_them() {
    let claim = format!("/tips/{TIP}/claim");
    let (status, _, body) = get("/verify").await;
    assert!(status == StatusCode::OK && body.contains("verify-button"));
    let (_, _, body) = get(&claim).await;
    for part in ["claim-mail", "mine-mail", "taken-mail", "mail-form", "e-mail"] {
        assert!(body.contains(part), "{part}");
    }
    let without = WebSettings { email: false, ..settings() };
    let (status, _, _) = ask(site(without.clone(), GiftNow::Untold), "/verify", &[]).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let (_, _, body) = ask(site(without, GiftNow::Untold), &claim, &[]).await;
    assert!(!body.contains("mail-") && !body.contains("-mail"), "{body}");
}
