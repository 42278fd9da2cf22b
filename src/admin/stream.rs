//! Long lists, answered page by page.

use axum::http::StatusCode;
use axum::response::Response;
use futures_util::future::BoxFuture;
use serde_json::Value;

use super::AdminError;
use crate::http::pages::{self, Page};
use crate::http::respond;

/// Objects of a page.
pub const PAGE: u32 = 500;

/// `{"name": […]}` of all pages. `page` answers at most [`PAGE`] objects whose `"id"` is greater than the one given.
///
/// # Errors
/// Of the first page. What fails after it ends the body early.
pub async fn list<F>(name: &'static str, page: F) -> Result<Response, AdminError>
where
    F: Fn(i64) -> BoxFuture<'static, Result<Vec<Value>, AdminError>> + Send + 'static,
{
    let first = written(&page(0).await?, 0)?;
    let more = move |after| {
        let found = page(after);
        async move { written(&found.await?, after) }
    };
    let body = pages::body(&format!("{{\"{name}\":["), first, more, "]}");
    Ok(respond::no_store(respond::json_bytes(StatusCode::OK, body)))
}

fn written(objects: &[Value], after: i64) -> Result<Page<i64>, AdminError> {
    let json = objects.iter().map(|object| serde_json::to_vec(object).map_err(AdminError::internal));
    Ok(Page { objects: pages::joined(json)?, next: next_of(objects, after) })
}

/// The id to go on after, if there may be more. Ids grow: one that doesn't ends the list rather than going round.
fn next_of(page: &[Value], after: i64) -> Option<i64> {
    if page.len() < usize::try_from(PAGE).unwrap_or(usize::MAX) {
        return None;
    }
    let id = page.last()?.get("id")?;
    id.as_i64().or_else(|| id.as_str()?.parse().ok()).filter(|id| *id > after)
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;
    use serde_json::json;

    use super::*;

    async fn read(count: i64) -> Value {
        let answer = list("keys", move |after| {
            let ids = (after + 1..=count).take(usize::try_from(PAGE).unwrap());
            let page: Vec<_> = ids.map(|id| json!({ "id": id.to_string() })).collect();
            Box::pin(std::future::ready(Ok(page)))
        });
        let body = to_bytes(answer.await.unwrap().into_body(), usize::MAX).await.unwrap();
        serde_json::from_slice(&body).unwrap()
    }

    #[tokio::test]
    async fn all_pages_are_one_list() {
        for count in [0, 1, 499, 500, 501, 1_000, 2_345] {
            let keys = read(count).await["keys"].clone();
            let ids: Vec<_> = keys.as_array().unwrap().iter().map(|key| key["id"].clone()).collect();
            let all: Vec<_> = (1..=count).map(|id| json!(id.to_string())).collect();
            assert_eq!(ids, all);
        }
    }

    #[tokio::test]
    async fn what_fails_later_ends_the_body_early() {
        let answer = list("keys", |after| {
            let page = match after {
                0 => Ok((1..=500).map(|id| json!({ "id": id })).collect()),
                _ => Err(AdminError::Unavailable("the disk is gone".into())),
            };
            Box::pin(std::future::ready(page))
        });
        assert!(to_bytes(answer.await.unwrap().into_body(), usize::MAX).await.is_err());
    }
}
