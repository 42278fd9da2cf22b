//! Lists of tips, read page by page: however many there are, memory holds one page.

use axum::body::Body;
use rusqlite::Connection;

use super::ids::{Cuid, HandleKind};
use super::queries::{Shown, ShownGroup, public_objects};
use super::store::{self, Listing, Tip};
use super::{TipError, Tips, json};
use crate::core::ids::{UserId, VoucherId};
use crate::http::pages::{self, Page};
use crate::services::users::User;

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

/// Tips of a page, and the last of them if there may be more.
type TipPage = Page<(VoucherId, Cuid)>;

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
        let after = self.cursor(wanted.cursor, move |tip| user.is_none_or(|user| user == tip.tipper)).await?;
        let first = self.page(user, wanted, after).await?;
        let tips = self.clone();
        let more = move |(after, _)| {
            let tips = tips.clone();
            async move { tips.page(user, wanted, Some(after)).await }
        };
        let name = |(row, id): (VoucherId, Cuid)| match user {
            Some(_) => id.to_string(),
            None => self.keyring().handle(HandleKind::Tip, row.0),
        };
        Ok(limited(first, wanted.limit, name, more))
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
        let own = move |tip: &Tip| tip.tippee.is_some_and(|(tippee, _)| tippee == user);
        let after = self.cursor(cursor, own).await?;
        let first = self.claimed_page(user, after, limit.unwrap_or(PAGE)).await?;
        let tips = self.clone();
        let more = move |(after, _)| {
            let tips = tips.clone();
            async move { tips.claimed_page(user, Some(after), PAGE).await }
        };
        Ok(limited(first, limit, |(_, id)| id.to_string(), more))
    }

    async fn claimed_page(
        &self,
        user: UserId,
        after: Option<VoucherId>,
        limit: usize,
    ) -> Result<TipPage, TipError> {
        let read = self.store().read(move |connection| store::claimed_by(connection, user, after, limit));
        let tips = read.await?;
        let next = tips.last().filter(|_| tips.len() == limit).map(|tip| (tip.id, tip.public_id));
        let written = tokio::task::spawn_blocking(move || public_objects(&tips));
        Ok(Page { objects: written.await.map_err(|_| TipError::Internal)??, next })
    }

    /// Who has something to get back, by row, as a JSON array; `has_address` asks for those with or without a lightning
    /// address.
    ///
    /// # Errors
    /// The store's. What fails after the first page ends the body early.
    pub async fn refundable_body(&self, has_address: Option<bool>) -> Result<Body, TipError> {
        let first = self.refundable_page(has_address, UserId(0)).await?;
        let tips = self.clone();
        let more = move |after| {
            let tips = tips.clone();
            async move { tips.refundable_page(has_address, after).await }
        };
        Ok(pages::body("[", first, more, "]"))
    }

    async fn refundable_page(
        &self,
        has_address: Option<bool>,
        after: UserId,
    ) -> Result<Page<UserId>, TipError> {
        let read =
            self.store().read(move |connection| store::refundable(connection, has_address, after, PAGE));
        let users = read.await?;
        let next = users.last().filter(|_| users.len() == PAGE).map(|user| user.id);
        let objects = users.iter().map(|user| {
            json(&serde_json::json!({
                "id": user.public_id.to_string(),
                "name": user.name,
                "lightningAddress": user.lightning_address,
                "hasLightningAddress": user.lightning_address.is_some(),
            }))
        });
        Ok(Page { objects: pages::joined(objects)?, next })
    }

    /// The row of the tip that a cursor names, if it is one of theirs.
    async fn cursor(
        &self,
        cursor: Option<TipName>,
        is_theirs: impl Fn(&Tip) -> bool,
    ) -> Result<Option<VoucherId>, TipError> {
        let Some(cursor) = cursor else { return Ok(None) };
        let found = self.store().read(move |connection| cursor.find(connection)).await;
        let tip = found.ok().filter(is_theirs);
        Ok(Some(tip.ok_or_else(|| TipError::bad_request("cursor names no tip of yours"))?.id))
    }

    async fn page(
        &self,
        user: Option<UserId>,
        wanted: Wanted,
        after: Option<VoucherId>,
    ) -> Result<TipPage, TipError> {
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
        let next = tips.last().filter(|_| tips.len() == limit).map(|tip| (tip.id, tip.public_id));
        let keyring = self.keyring().clone();
        // Hundreds of tips take a while to write.
        let written = tokio::task::spawn_blocking(move || {
            let show = if user.is_some() { Shown::new } else { Shown::for_scheduler };
            pages::joined(tips.iter().zip(&groups).map(|(tip, group)| {
                let shown = show(tip, &keyring);
                let group = group.as_ref().map(|(group, tips)| ShownGroup::new(group, tips, &keyring, show));
                match &group {
                    Some(group) => json(&shown.view().with_group(group.view())),
                    None => json(&shown.view()),
                }
            }))
        });
        Ok(Page { objects: written.await.map_err(|_| TipError::Internal)??, next })
    }
}

/// A list as a body: with a limit its first page and the name of the last tip on it, without one all pages.
fn limited<F, Fut>(
    first: TipPage,
    limit: Option<usize>,
    name: impl Fn((VoucherId, Cuid)) -> String,
    more: F,
) -> (Body, Option<String>)
where
    F: Fn((VoucherId, Cuid)) -> Fut + Send + 'static,
    Fut: Future<Output = Result<TipPage, TipError>> + Send + 'static,
{
    let cursor = first.next.filter(|_| limit.is_some());
    let first = Page { next: first.next.filter(|_| limit.is_none()), ..first };
    (pages::body("[", first, more, "]"), cursor.map(name))
}
