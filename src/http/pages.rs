//! A JSON list of any length as one body, read page by page: memory holds one page, and readers see one list.

use axum::BoxError;
use axum::body::{Body, Bytes};
use futures_util::{StreamExt, stream};

/// Some objects of a list.
pub struct Page<P> {
    /// As JSON, with commas between them.
    pub objects: Vec<u8>,
    /// Where the next page begins, if there may be one.
    pub next: Option<P>,
}

/// JSON objects with commas between them.
///
/// # Errors
/// The first of theirs.
pub fn joined<E>(objects: impl IntoIterator<Item = Result<Vec<u8>, E>>) -> Result<Vec<u8>, E> {
    let mut joined = Vec::new();
    for object in objects {
        if !joined.is_empty() {
            joined.push(b',');
        }
        joined.extend(object?);
    }
    Ok(joined)
}

/// The first page and all that `page` reads after it, between `begin` and `end`. What fails after the first page ends
/// the body early, so that no reader takes it for whole.
pub fn body<P, E, F, Fut>(begin: &str, first: Page<P>, page: F, end: &'static str) -> Body
where
    P: Send + 'static,
    E: Into<BoxError> + Send + 'static,
    F: Fn(P) -> Fut + Send + 'static,
    Fut: Future<Output = Result<Page<P>, E>> + Send + 'static,
{
    let mut bytes = [begin.as_bytes(), &first.objects].concat();
    let Some(next) = first.next else {
        bytes.extend(end.as_bytes());
        return bytes.into();
    };
    let rest = stream::try_unfold((page, Some(next)), |(page, next)| async move {
        let Some(next) = next else { return Ok(None) };
        let found = page(next).await?;
        if found.objects.is_empty() {
            return Ok(None);
        }
        let bytes = [b",".as_slice(), &found.objects].concat();
        Ok(Some((Bytes::from(bytes), (page, found.next))))
    });
    let first = stream::iter([Ok::<_, E>(Bytes::from(bytes))]);
    let end = stream::iter([Ok(Bytes::from_static(end.as_bytes()))]);
    Body::from_stream(first.chain(rest).chain(end))
}
