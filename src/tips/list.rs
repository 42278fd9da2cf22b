//! Lists of tips, read page by page: however many there are, memory holds one page.

use axum::body::{Body, Bytes};
use futures_util::{StreamExt, stream};
use rusqlite::Connection;

use super::ids::{Cuid, HandleKind};
use super::look::{Shown, ShownGroup, public_objects};
use super::people::User;
use super::store::{self, Listing, Tip};
use super::{TipError, Tips, json};
use crate::ids::{UserId, VoucherId};

/// Tips read at once for a list without a limit.
const PAGE: usize = 500;

/// The same where each may stand for a group of up to 500.
const PAGE_OF_GROUPS: usize = 10;

/// What is asked of a list.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted {
    /// Of each group only its first tip, with the whole group inside.
    pub with_groups: bool,
    /// Only what has expired and can be taken back.
    pub reclaimable: bool,
    /// After this tip.
    pub cursor: Option<TipName>,
    /// At most so many.
    pub limit: Option<usize>,
}

/// How a tip is named.
#[derive(Clone, Copy, Debug)]
pub enum TipName {
    /// By its id, which is the secret of its claim link.
    Id(Cuid),
    /// By a handle, of which no link can be made: a scheduler's way.
    Handle(VoucherId),
}

impl TipName {
    /// The tip of this name, whoever gives it.
    pub(super) fn find(self, connection: &Connection) -> Result<Tip, TipError> {
        let found = match self {
            Self::Id(id) => store::by_public_id(connection, id)?,
            Self::Handle(id) => store::tip(connection, id)?,
        };
        found.ok_or(TipError::NotFound)
    }
}

/// Some tips of a list as JSON objects with commas between them.
struct Page {
    objects: Vec<u8>,
    /// The last tip, if there may be more after it.
    last: Option<(VoucherId, Cuid)>,
}

impl Tips {
    /// Reads the name of a tip: an id, or a handle of this server's.
    pub fn tip_name(&self, text: &str) -> Option<TipName> {
        let by_handle =
            || self.keyring().read_handle(HandleKind::Tip, text).map(VoucherId).map(TipName::Handle);
        text.parse().ok().map(TipName::Id).or_else(by_handle)
    }

    /// Tips of a tipper, newest first, as a JSON array. For `None`, a scheduler: of all tippers, and without anything
    /// that opens a tip or belongs to its people: handles instead of ids, no words, names, notes or webhooks. With
    /// the cursor of the next page, if a limit cut it short.
    ///
    /// # Errors
    /// [`TipError::Invalid`] for a cursor that names no tip of theirs, the store's. What fails after the first page
    /// ends the body early, so that no reader takes it for whole.
    pub async fn list_body(
        &self,
        user: Option<&User>,
        wanted: Wanted,
    ) -> Result<(Body, Option<String>), TipError> {
        let user = user.map(|user| user.id);
        let after = self.cursor(user, wanted.cursor).await?;
        let page = self.page(user, wanted, after).await?;
        let next = page.last.map(|(row, id)| match user {
            Some(_) => id.to_string(),
            None => self.keyring().handle(HandleKind::Tip, row.0),
        });
        if wanted.limit.is_some() || page.last.is_none() {
            let whole = [b"[".as_slice(), page.objects.as_slice(), b"]"].concat();
            return Ok((whole.into(), next.filter(|_| wanted.limit.is_some())));
        }
        let rest = self.clone().rest(user, wanted, page.last.map(|(row, _)| row));
        let first = [b"[".as_slice(), page.objects.as_slice()].concat();
        let first = stream::iter([Ok::<_, TipError>(Bytes::from(first))]);
        let end = stream::iter([Ok(Bytes::from_static(b"]"))]);
        Ok((Body::from_stream(first.chain(rest).chain(end)), None))
    }

    /// What somebody has claimed, as the public sees it, newest first, as a JSON array: what its tipper keeps to
    /// themselves isn't theirs. With the cursor of the next page, if a limit cut it short.
    ///
    /// # Errors
    /// As [`Tips::list_body`].
    pub async fn claimed_body(
        &self,
        user: &User,
        cursor: Option<TipName>,
        limit: Option<usize>,
    ) -> Result<(Body, Option<String>), TipError> {
        let user = user.id;
        let after = match cursor {
            None => None,
            Some(cursor) => {
                let found = self.store().read(move |connection| cursor.find(connection)).await.ok();
                let own = found.filter(|tip| tip.tippee.is_some_and(|(tippee, _)| tippee == user));
                Some(own.ok_or_else(|| TipError::bad_request("cursor names no tip of yours"))?.id)
            }
        };
        let first = self.claimed_page(user, after, limit.unwrap_or(PAGE)).await?;
        let next = first.last.map(|(_, id)| id.to_string()).filter(|_| limit.is_some());
        let begin = [b"[".as_slice(), first.objects.as_slice()].concat();
        let after = first.last.map(|(row, _)| row).filter(|_| limit.is_none());
        let rest = stream::try_unfold((self.clone(), after), move |(tips, after)| async move {
            let Some(after) = after else { return Ok(None) };
            let page = tips.claimed_page(user, Some(after), PAGE).await?;
            if page.objects.is_empty() {
                return Ok(None);
            }
            let bytes = [b",".as_slice(), page.objects.as_slice()].concat();
            Ok(Some((Bytes::from(bytes), (tips, page.last.map(|(row, _)| row)))))
        });
        let begin = stream::iter([Ok::<_, TipError>(Bytes::from(begin))]);
        let end = stream::iter([Ok(Bytes::from_static(b"]"))]);
        Ok((Body::from_stream(begin.chain(rest).chain(end)), next))
    }

    async fn claimed_page(
        &self,
        user: UserId,
        after: Option<VoucherId>,
        limit: usize,
    ) -> Result<Page, TipError> {
        let read = self.store().read(move |connection| store::claimed_by(connection, user, after, limit));
        let tips = read.await?;
        let last = tips.last().filter(|_| tips.len() == limit).map(|tip| (tip.id, tip.public_id));
        let written = tokio::task::spawn_blocking(move || public_objects(&tips));
        Ok(Page { objects: written.await.map_err(|_| TipError::Internal)??, last })
    }

    /// Who has something to get back, by row, as a JSON array; `has_address` asks for those with or without a lightning
    /// address.
    ///
    /// # Errors
    /// The store's. What fails after the first page ends the body early.
    pub async fn refundable_body(&self, has_address: Option<bool>) -> Result<Body, TipError> {
        let (first, after) = self.refundable_page(has_address, UserId(0)).await?;
        let begin = [b"[".as_slice(), first.as_slice()].concat();
        let rest = stream::try_unfold((self.clone(), after), move |(tips, after)| async move {
            let Some(after) = after else { return Ok(None) };
            let (page, after) = tips.refundable_page(has_address, after).await?;
            if page.is_empty() {
                return Ok(None);
            }
            Ok(Some((Bytes::from([b",".as_slice(), page.as_slice()].concat()), (tips, after))))
        });
        let begin = stream::iter([Ok::<_, TipError>(Bytes::from(begin))]);
        Ok(Body::from_stream(begin.chain(rest).chain(stream::iter([Ok(Bytes::from_static(b"]"))]))))
    }

    /// Some of them, and after whom to go on, if there may be more.
    async fn refundable_page(
        &self,
        has_address: Option<bool>,
        after: UserId,
    ) -> Result<(Vec<u8>, Option<UserId>), TipError> {
        let read =
            self.store().read(move |connection| store::refundable(connection, has_address, after, PAGE));
        let users = read.await?;
        let last = users.last().filter(|_| users.len() == PAGE).map(|user| user.id);
        let mut objects = Vec::new();
        for user in &users {
            if !objects.is_empty() {
                objects.push(b',');
            }
            objects.extend(json(&serde_json::json!({
                "id": user.public_id.to_string(),
                "name": user.name,
                "lightningAddress": user.lightning_address,
                "hasLightningAddress": user.lightning_address.is_some(),
            }))?);
        }
        Ok((objects, last))
    }

    /// The pages after a tip, each with a comma before it.
    fn rest(
        self,
        user: Option<UserId>,
        wanted: Wanted,
        after: Option<VoucherId>,
    ) -> impl futures_util::Stream<Item = Result<Bytes, TipError>> {
        stream::try_unfold((self, after), move |(tips, after)| async move {
            let Some(after) = after else { return Ok(None) };
            let page = tips.page(user, wanted, Some(after)).await?;
            if page.objects.is_empty() {
                return Ok(None);
            }
            let bytes = [b",".as_slice(), page.objects.as_slice()].concat();
            Ok(Some((Bytes::from(bytes), (tips, page.last.map(|(row, _)| row)))))
        })
    }

    async fn cursor(
        &self,
        user: Option<UserId>,
        cursor: Option<TipName>,
    ) -> Result<Option<VoucherId>, TipError> {
        let Some(cursor) = cursor else { return Ok(None) };
        let found = self.store().read(move |connection| cursor.find(connection)).await;
        let tip = found.ok().filter(|tip| user.is_none_or(|user| user == tip.tipper));
        Ok(Some(tip.ok_or_else(|| TipError::bad_request("cursor names no tip of yours"))?.id))
    }

    async fn page(
        &self,
        user: Option<UserId>,
        wanted: Wanted,
        after: Option<VoucherId>,
    ) -> Result<Page, TipError> {
        let most = if wanted.with_groups { PAGE_OF_GROUPS } else { PAGE };
        let limit = wanted.limit.unwrap_or(most);
        let listing = Listing {
            groups_as_one: wanted.with_groups,
            reclaimable: wanted.reclaimable,
            after,
            limit: Some(limit),
        };
        let now = self.now();
        let read = self.store().read(move |connection| -> Result<_, TipError> {
            let tips = store::given_by(connection, user, listing, now)?;
            let mut groups = Vec::with_capacity(tips.len());
            for tip in &tips {
                groups.push(match tip.group.filter(|_| wanted.with_groups) {
                    Some((id, _)) => store::group(connection, id)?
                        .map(|group| Ok::<_, TipError>((group, store::of_group(connection, id)?)))
                        .transpose()?,
                    None => None,
                });
            }
            Ok((tips, groups))
        });
        let (tips, groups) = read.await?;
        let last = tips.last().filter(|_| tips.len() == limit).map(|tip| (tip.id, tip.public_id));
        let keyring = self.keyring().clone();
        // Hundreds of tips take a while to write.
        let written = tokio::task::spawn_blocking(move || {
            let show = if user.is_some() { Shown::new } else { Shown::for_scheduler };
            let mut objects = Vec::new();
            for (tip, group) in tips.iter().zip(&groups) {
                if !objects.is_empty() {
                    objects.push(b',');
                }
                let shown = show(tip, &keyring);
                let group = group.as_ref().map(|(group, tips)| ShownGroup::new(group, tips, &keyring, show));
                objects.extend(match &group {
                    Some(group) => json(&shown.view().with_group(group.view()))?,
                    None => json(&shown.view())?,
                });
            }
            Ok::<_, TipError>(objects)
        });
        Ok(Page { objects: written.await.map_err(|_| TipError::Internal)??, last })
    }
}
