//! Looking at tips: the tipper's answers, the public's, and magic words.

use rusqlite::Connection;

use super::ids::{Cuid, HandleKind, Keyring};
use super::passphrase::Passphrase;
use super::status::OnboardingFlow;
use super::store::{self, Group, Tip};
use super::view::{GroupData, GroupView, Person, PublicTipView, StaticLinkView, TipData, TipView};
use super::{TipError, Tips, json};
use crate::core::ids::UserId;
use crate::http::client::Client;
use crate::http::pages;
use crate::services::users::User;

impl Tips {
    pub(super) async fn given(&self, user: UserId, id: Cuid) -> Result<Tip, TipError> {
        self.store().read(move |connection| given_in(connection, user, id)).await
    }

    pub(super) async fn given_group(&self, user: UserId, id: Cuid) -> Result<(Group, Vec<Tip>), TipError> {
        self.store().read(move |connection| given_group_in(connection, user, id)).await
    }

    /// A tip as anybody with its link sees it.
    ///
    /// # Errors
    /// [`TipError::NotFound`], the store's.
    pub async fn public_json(&self, id: Cuid) -> Result<Vec<u8>, TipError> {
        let found = self.store().read(move |connection| store::by_public_id(connection, id)).await?;
        public(&found.ok_or(TipError::NotFound)?, |view| json(&view))
    }

    /// A tip that anybody may withdraw, in a list of one.
    ///
    /// # Errors
    /// [`TipError::NotFound`], also for a tip that must be claimed first; the store's.
    pub async fn anonymous_json(&self, id: Cuid) -> Result<Vec<u8>, TipError> {
        let found = self.store().read(move |connection| store::by_public_id(connection, id)).await?;
        let tip =
            found.filter(|tip| tip.onboarding_flow == OnboardingFlow::Skip).ok_or(TipError::NotFound)?;
        public(&tip, |view| json(&[view]))
    }

    /// The tip that magic words lead to, in a list of one; an empty list for wrong ones.
    ///
    /// # Errors
    /// [`TipError::TooMany`], the store's.
    pub async fn by_words_json(&self, words: &str, client: Client) -> Result<Vec<u8>, TipError> {
        let counted = self.rules().guess_limits.then(|| self.0.guesses.begin(client)).transpose();
        let counted = counted.map_err(|retry_after| TipError::TooMany { retry_after })?;
        let found = match Passphrase::parse(words) {
            Some(words) => {
                let hash = self.keyring().sealer().lookup_hash(&words);
                self.store().read(move |connection| store::by_passphrase(connection, hash)).await?
            }
            None => None,
        };
        if let (Some(look_up), Some(_)) = (counted, &found) {
            self.0.guesses.was_right(look_up);
        }
        list(found.as_slice())
    }

    /// Where the one link of a group leads this visitor.
    ///
    /// # Errors
    /// [`TipError::NotFound`], the store's.
    pub async fn static_json(&self, id: Cuid, visitor: Option<&User>) -> Result<Vec<u8>, TipError> {
        let (visitor, now) = (visitor.map(|user| user.id), self.now());
        let read = self.store().read(move |connection| -> Result<_, TipError> {
            let group = store::group_by_public_id(connection, id)?.ok_or(TipError::NotFound)?;
            if group.deleted_at.is_some() {
                return Err(TipError::NotFound);
            }
            let locale = store::of_group_locale(connection, group.id)?;
            if !group.static_link {
                return Ok((locale, None));
            }
            let own = match visitor {
                Some(visitor) => store::has_one_of(connection, group.id, visitor)?,
                None => None,
            };
            let tip = match own {
                Some(own) => Some(own),
                None => store::free_one_of(connection, group.id, now)?,
            };
            Ok((locale, tip))
        });
        let (locale, tip) = read.await?;
        let tip = tip.map(|tip| tip.to_string());
        json(&StaticLinkView { tippee_locale: locale.as_deref(), tip_id: tip.as_deref() })
    }
}

/// A tip, if this tipper gives it.
pub(super) fn given_in(connection: &Connection, user: UserId, id: Cuid) -> Result<Tip, TipError> {
    let tip = store::by_public_id(connection, id)?.ok_or(TipError::NotFound)?;
    if tip.tipper == user { Ok(tip) } else { Err(TipError::Forbidden) }
}

/// A group and its tips, if this tipper gives it.
pub(super) fn given_group_in(
    connection: &Connection,
    user: UserId,
    id: Cuid,
) -> Result<(Group, Vec<Tip>), TipError> {
    let group = store::group_by_public_id(connection, id)?.ok_or(TipError::NotFound)?;
    if group.tipper != user {
        return Err(TipError::Forbidden);
    }
    let tips = store::of_group(connection, group.id)?;
    Ok((group, tips))
}

pub(super) fn tip_json(tip: &Tip, keyring: &Keyring) -> Result<Vec<u8>, TipError> {
    json(&Shown::new(tip, keyring).view())
}

pub(super) fn group_json(group: &Group, tips: &[Tip], keyring: &Keyring) -> Result<Vec<u8>, TipError> {
    json(&ShownGroup::new(group, tips, keyring, Shown::new).view())
}

fn list(tips: &[Tip]) -> Result<Vec<u8>, TipError> {
    Ok([b"[".as_slice(), public_objects(tips)?.as_slice(), b"]"].concat())
}

/// Tips as the public sees them, with commas between them.
pub(super) fn public_objects(tips: &[Tip]) -> Result<Vec<u8>, TipError> {
    pages::joined(tips.iter().map(|tip| public(tip, |view| json(&view))))
}

/// What anybody with the link may see, handed to `write`.
pub(super) fn public<T>(
    tip: &Tip,
    write: impl FnOnce(PublicTipView<'_>) -> Result<T, TipError>,
) -> Result<T, TipError> {
    let shown = Shown::without_words(tip);
    let tipper = Person { name: tip.tipper_name.as_deref() };
    let tippee = Person { name: tip.claimer_name.as_deref() };
    write(PublicTipView::new(&shown.data(), tipper, tippee))
}

/// A tip with its ids as text.
pub(super) struct Shown<'a> {
    tip: &'a Tip,
    id: String,
    tipper: String,
    tippee: Option<String>,
    group: Option<String>,
    words: Option<String>,
    /// Whether what people wrote about each other and where to tell them is shown.
    personal: bool,
}

impl<'a> Shown<'a> {
    pub(super) fn for_scheduler(tip: &'a Tip, keyring: &Keyring) -> Self {
        Self {
            id: keyring.handle(HandleKind::Tip, tip.id.0),
            group: tip.group.map(|(id, _)| keyring.handle(HandleKind::Group, id.0)),
            personal: false,
            ..Self::without_words(tip)
        }
    }

    pub(super) fn new(tip: &'a Tip, keyring: &Keyring) -> Self {
        Self { words: store::words_of(tip, keyring.sealer()), ..Self::without_words(tip) }
    }

    fn without_words(tip: &'a Tip) -> Self {
        Self {
            tip,
            id: tip.public_id.to_string(),
            tipper: tip.tipper_id.to_string(),
            tippee: tip.tippee.map(|(_, id)| id.to_string()),
            group: tip.group.map(|(_, id)| id.to_string()),
            words: None,
            personal: true,
        }
    }

    fn of_people(&self, text: Option<&'a str>) -> Option<&'a str> {
        text.filter(|_| self.personal)
    }

    fn data(&self) -> TipData<'_> {
        let tip = self.tip;
        let single = tip.group.is_none();
        let taken = tip
            .withdrawal
            .as_ref()
            .filter(|withdrawal| withdrawal.status != crate::ledger::PayoutStatus::Failed);
        TipData {
            id: &self.id,
            amount: tip.amount,
            fee: tip.fee,
            tipper_id: &self.tipper,
            tippee_id: self.tippee.as_deref(),
            tippee_name: self.of_people(tip.tippee_name.as_deref()),
            tippee_locale: tip.tippee_locale.as_deref(),
            invoice: single.then_some(tip.invoice.as_str()),
            invoice_id: single.then_some(tip.invoice_id.as_str()),
            preparation_invoice: None,
            preparation_invoice_id: None,
            status: tip.status(),
            created: tip.created_at,
            updated: tip.updated_at,
            claimed: tip.claimed_at,
            expiry: tip.expires_at,
            copied_claim_url: tip.copied_at,
            currency: tip.currency.as_deref(),
            note: self.of_people(tip.note.as_deref()),
            note_without_name: self.of_people(tip.note_without_name.as_deref()),
            withdrawal_id: taken.map(|withdrawal| withdrawal.public_id.as_str()),
            onboarding_flow: tip.onboarding_flow,
            last_withdrawal: tip.withdrawal_at,
            group_id: self.group.as_deref(),
            group_tip_index: tip.group_index,
            claimed_from_printed_card: tip.claimed_printed,
            recommended_wallet_id: tip.wallet.as_deref(),
            anonymous_tipper: tip.anonymous,
            passphrase: self.words.as_deref(),
            claim_webhook_url: self.of_people(tip.claim_webhook.as_deref()),
            withdraw_webhook_url: self.of_people(tip.withdraw_webhook.as_deref()),
            advertisement_image_url: tip.ad_image_url.as_deref(),
            advertisement_url: tip.ad_url.as_deref(),
            withdrawal_pending: tip.withdrawal_pending(),
        }
    }

    pub(super) fn view(&self) -> TipView<'_> {
        TipView::new(&self.data())
    }
}

/// A group with its ids as text.
pub(super) struct ShownGroup<'a> {
    group: &'a Group,
    id: String,
    tipper: String,
    tips: Vec<Shown<'a>>,
}

impl<'a> ShownGroup<'a> {
    pub(super) fn new(
        group: &'a Group,
        tips: &'a [Tip],
        keyring: &Keyring,
        show: fn(&'a Tip, &Keyring) -> Shown<'a>,
    ) -> Self {
        let tips: Vec<_> = tips.iter().map(|tip| show(tip, keyring)).collect();
        let personal = tips.iter().all(|tip| tip.personal);
        let id = match personal {
            true => group.public_id.to_string(),
            false => keyring.handle(HandleKind::Group, group.id.0),
        };
        Self { group, id, tipper: group.tipper_id.to_string(), tips }
    }

    pub(super) fn view(&self) -> GroupView<'_> {
        let group = self.group;
        let data = GroupData {
            id: &self.id,
            created: group.created_at,
            updated: group.updated_at,
            status: group.status(),
            quantity: group.quantity,
            tipper_id: &self.tipper,
            invoice: Some(&group.invoice),
            invoice_id: Some(&group.invoice_id),
            enable_static_link: group.static_link,
        };
        GroupView::new(&data, self.tips.iter().map(Shown::view).collect())
    }
}
