//! What anybody may ask: whether a client is new enough, and how much was sold.

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::answer;
use crate::http::extract::Params;
use crate::http::keys::{Caller, Scope};
use crate::http::respond;
use crate::services::merchant::stats::{DownloadsView, ShopView, Whose};
use crate::services::merchant::{MerchantError, Merchants};

/// Characters of a version that is told back.
const LONGEST_VERSION: usize = 32;

/// Whether a client of the original service should be updated: this server speaks with every version alike.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct VersionView<'a> {
    /// Always `false`.
    update_required: bool,
    /// Always `false`.
    update_recommended: bool,
    /// The version that was named.
    latest_version: Option<&'a str>,
    message: &'static str,
    /// Always `null`.
    release_notes: Option<&'static str>,
}

/// Whether a client should be updated: never because of this server.
#[utoipa::path(
    get, path = "/api/mcp/version-check", tag = "merchant",
    params(("currentVersion" = Option<String>, Query, description = "The client's version")),
    responses((status = 200, description = "No", body = VersionView<'_>))
)]
pub(super) async fn version_check(params: Params) -> Response {
    let in_version = |byte: u8| byte.is_ascii_alphanumeric() || b".+-_".contains(&byte);
    let fits =
        |version: &String| (1..=LONGEST_VERSION).contains(&version.len()) && version.bytes().all(in_version);
    let named = params.get("currentVersion").filter(fits);
    let view = VersionView {
        update_required: false,
        update_recommended: false,
        latest_version: named.as_deref(),
        message: "This server asks for no update",
        release_notes: None,
    };
    respond::json(StatusCode::OK, &view)
}

/// How often documents, and requests of all kinds, were paid for.
#[utoipa::path(
    get, path = "/api/stats/downloads", tag = "merchant",
    responses((status = 200, description = "Sums", body = DownloadsView))
)]
pub(super) async fn downloads(State(merchants): State<Merchants>) -> Result<Response, MerchantError> {
    Ok(answer(merchants.downloads_json().await?))
}

/// What the shops have sold; with a key of scope `payments` yours, with one of scope `admin` all.
#[utoipa::path(
    get, path = "/api/stats/shopify", tag = "merchant",
    responses((status = 200, description = "Sums", body = ShopView))
)]
pub(super) async fn shop(
    State(merchants): State<Merchants>,
    caller: Option<Extension<Caller>>,
) -> Result<Response, MerchantError> {
    let whose = match caller {
        Some(Extension(caller)) if caller.scopes.contains(&Scope::Admin) => Whose::Operator,
        Some(Extension(caller)) if caller.may(Scope::Payments) => Whose::Account(caller.account),
        _ => Whose::Public,
    };
    Ok(answer(merchants.shop_json(whose).await?))
}
