//! Long lists, answered page by page: memory holds one page, and readers see one list.

use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use axum::response::Response;
use futures_util::future::BoxFuture;
use futures_util::{StreamExt, stream};
use serde_json::Value;

use super::AdminError;
use crate::http::respond;

/// Objects of a page.
pub const PAGE: u32 = 500;

/// `{"name": […]}` of all pages. `page` answers at most [`PAGE`] objects whose `"id"` is greater than the one given.
/// What fails after the first page ends the body early, so that no reader takes it for whole.
///
/// # Errors
/// Of the first page.
pub async fn list<F>(name: &'static str, page: F) -> Result<Response, AdminError>
where
    F: Fn(i64) -> BoxFuture<'static, Result<Vec<Value>, AdminError>> + Send + 'static,
{
    let first = page(0).await?;
    let begin = Bytes::from(format!("{{\"{name}\":["));
    let (bytes, next) = (written(&first, false)?, next(&first));
    let rest = stream::try_unfold((page, next), |(page, after)| async move {
        let Some(after) = after else { return Ok::<_, AdminError>(None) };
        let found = page(after).await?;
        Ok(Some((written(&found, true)?, (page, next_of(&found, after)))))
    });
    let whole = stream::iter([Ok(begin), Ok(bytes)])
        .chain(rest)
        .chain(stream::iter([Ok::<_, AdminError>(Bytes::from_static(b"]}"))]));
    Ok(respond::no_store(respond::json_bytes(StatusCode::OK, Body::from_stream(whole))))
}

fn written(objects: &[Value], comma: bool) -> Result<Bytes, AdminError> {
    let mut bytes = Vec::new();
    for (index, object) in objects.iter().enumerate() {
        if comma || index > 0 {
            bytes.push(b',');
        }
        serde_json::to_writer(&mut bytes, object).map_err(AdminError::internal)?;
    }
    Ok(bytes.into())
}

fn next(page: &[Value]) -> Option<i64> {
    next_of(page, 0)
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
