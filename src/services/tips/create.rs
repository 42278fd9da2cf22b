//! Making tips and groups, changing them, giving them up unpaid, and giving them a new invoice.

use axum::http::StatusCode;
use lightning_invoice::Bolt11Invoice;

use super::ids::Cuid;
use super::passphrase::{Passphrase, WordCount};
use super::request::{Details, Edit, NewTips, PassphraseEdit};
use super::status::TipStatus;
use super::store::{self, Funds, NewTip, Shared, Tip, TipEdit};
use super::{Done, TipError, Tips, lookup, queries, save};
use crate::core::ids::UserId;
use crate::core::money::Msat;
use crate::core::time::UnixMillis;
use crate::http::idempotency::IdempotencyKey;
use crate::ledger::solvency::Sale;
use crate::ledger::{Family, charges};
use crate::lightning::{Draft, InvoiceDescription, InvoiceRequest};
use crate::services::users::User;
use crate::storage::Tx;
use crate::vouchers::{self, NewVoucher, VoucherState};

/// What the payer of an invoice reads. Nothing a stranger wrote is in it.
const MEMO: &str = "Lightsats tip";

/// Times that other magic words are drawn when somebody else has the first.
const DRAWS: usize = 8;

/// What so many tips of an amount hold together.
fn held(amount: Msat, quantity: u32) -> Option<Msat> {
    amount.get().checked_mul(quantity.into()).and_then(Msat::new)
}

/// So many tips of an amount, each with its fee.
fn sale(amount: Msat, fee: Msat, quantity: u32) -> Option<Sale> {
    let comes = held(amount.checked_add(fee)?, quantity)?;
    Some(Sale::Vouchers { comes, owed: held(amount, quantity)?, largest: amount })
}

impl Tips {
    /// Makes what was ordered, and the invoice for it; answers the tip, or the group with its tips.
    ///
    /// # Errors
    /// [`TipError::Invalid`] for webhooks that may not be called; of the node, of the budget, of the
    /// `Idempotency-Key`; the store's. Nothing is left behind by any.
    pub async fn create(
        &self,
        user: &User,
        new: NewTips,
        ask: Option<IdempotencyKey>,
    ) -> Result<Done, TipError> {
        if let Some(asked) = ask.clone() {
            let before =
                self.store().read(move |connection| Ok::<_, TipError>(lookup(connection, Some(&asked))));
            if let Some(recorded) = before.await?? {
                return Ok(Done::Before(recorded));
            }
        }
        if !self.rules().enabled {
            return Err(TipError::Unavailable);
        }
        self.check_webhooks(&new.details)?;
        let invoice = self
            .invoice(Sale::Vouchers {
                comes: new.total,
                owed: held(new.amount, new.quantity).ok_or(TipError::Internal)?,
                largest: new.amount,
            })
            .await?;
        let (tips, user, now) = (self.clone(), user.id, self.now());
        let written = self.store().write(move |tx| -> Result<_, TipError> {
            if let Some(recorded) = lookup(tx, ask.as_ref())? {
                return Ok(Done::Before(recorded));
            }
            let body = tips.create_in(tx, user, &new, &invoice, now)?;
            save(tx, ask.as_ref(), StatusCode::OK, &body, now)?;
            invoice.keep();
            Ok(Done::Now(body))
        });
        written.await
    }

    fn create_in(
        &self,
        tx: &Tx<'_>,
        user: UserId,
        new: &NewTips,
        invoice: &Bolt11Invoice,
        now: UnixMillis,
    ) -> Result<Vec<u8>, TipError> {
        let charge = charges::open(tx, Family::Tips, invoice, Some(new.total), now)?;
        let group = if new.quantity > 1 {
            let public_id = Cuid::random()?;
            let id =
                store::insert_group(tx, public_id, user, new.quantity, charge, new.enable_static_link, now)?;
            store::note_charge(tx, charge, Funds::Group(id))?;
            Some(id)
        } else {
            None
        };
        let voucher = NewVoucher {
            family: Family::Tips,
            charge,
            amount: new.amount,
            expires_at: Some(new.expiry),
            return_to: None,
        };
        let mut first = None;
        for (index, words) in (0_u32..).zip(&new.details.words) {
            let id = vouchers::issue(tx, &voucher, now)?;
            self.notifier().count(tx, "made", new.amount);
            first.get_or_insert(id);
            store::insert(
                tx,
                &NewTip {
                    id,
                    public_id: Cuid::random()?,
                    user,
                    group: group.map(|group| (group, index)),
                    fee: new.fee,
                    expires_at: new.expiry,
                    onboarding_flow: new.onboarding_flow,
                    anonymous: new.anonymous_tipper,
                    words,
                    details: shared(&new.details),
                    passphrase: new.details.passphrase.map(|count| self.draw(tx, count)).transpose()?,
                },
                now,
            )?;
        }
        match (group, first) {
            (Some(id), _) => {
                let group = store::group(tx, id)?.ok_or(TipError::Internal)?;
                self.notifier().record_group(tx, "tip_group.made", &group)?;
                queries::group_json(&group, &store::of_group(tx, id)?, self.keyring())
            }
            (None, Some(id)) => {
                store::note_charge(tx, charge, Funds::Tip(id))?;
                let tip = store::tip(tx, id)?.ok_or(TipError::Internal)?;
                self.notifier().record(tx, "tip.made", &tip)?;
                queries::tip_json(&tip, self.keyring())
            }
            (None, None) => Err(TipError::Internal),
        }
    }

    /// Magic words that nobody else has, as they are stored.
    fn draw(&self, tx: &Tx<'_>, count: WordCount) -> Result<([u8; 32], Vec<u8>), TipError> {
        for _ in 0..DRAWS {
            let words = Passphrase::random(count)?;
            let hash = self.keyring().sealer().lookup_hash(&words);
            if store::by_passphrase(tx, hash)?.is_none() {
                return Ok((hash, self.keyring().sealer().seal(&words)?));
            }
        }
        Err(TipError::Unavailable)
    }

    async fn invoice(&self, sale: Sale) -> Result<Draft, TipError> {
        let total = sale.comes();
        self.0.gate.check(sale).await?;
        self.0.parts.budget.take().map_err(|retry_after| TipError::TooMany { retry_after })?;
        let description = InvoiceDescription::Text(MEMO.into());
        let expiry = self.rules().invoice_expiry;
        Ok(self
            .0
            .parts
            .node
            .draft_invoice(InvoiceRequest { amount: Some(total), description, expiry, hold: None })
            .await?)
    }

    /// Whether the webhooks may be called at all.
    fn check_webhooks(&self, details: &Details) -> Result<(), TipError> {
        let urls = [
            ("CLAIM_WEBHOOK_URL_INVALID", "claimWebhookUrl", &details.claim_webhook_url),
            ("WITHDRAW_WEBHOOK_URL_INVALID", "withdrawWebhookUrl", &details.withdraw_webhook_url),
        ];
        for (code, name, url) in urls {
            let Some(url) = url else { continue };
            self.0.parts.guard.check_url(url.expose()).map_err(|why| TipError::Invalid {
                code,
                message: format!("{name} must be a public web address: {why}"),
            })?;
        }
        Ok(())
    }

    /// A tipper's tip; with a new invoice if its own can't be paid any more.
    ///
    /// # Errors
    /// [`TipError::NotFound`], [`TipError::Forbidden`], the store's. A new invoice that can't be made now is made
    /// the next time.
    pub async fn given_json(&self, user: &User, id: Cuid) -> Result<Vec<u8>, TipError> {
        let tip = self.given(user.id, id).await?;
        let now = self.now();
        let renewable = tip.invoice_expires_at <= now && tip.expires_at > now;
        if tip.status() == TipStatus::Unfunded && tip.group.is_none() && renewable {
            let sale = sale(tip.amount, tip.fee, 1).ok_or(TipError::Internal)?;
            self.renew(Funds::Tip(tip.id), sale).await?;
            return queries::tip_json(&self.given(user.id, id).await?, self.keyring());
        }
        queries::tip_json(&tip, self.keyring())
    }

    /// A tipper's group, in the same way.
    ///
    /// # Errors
    /// As [`Tips::given_json`].
    pub async fn group_json(&self, user: &User, id: Cuid) -> Result<Vec<u8>, TipError> {
        let (group, tips) = self.given_group(user.id, id).await?;
        let (unfunded, now) = (group.status() == super::status::GroupStatus::Unfunded, self.now());
        let alive = tips.iter().any(|tip| tip.expires_at > now);
        if unfunded && alive && group.invoice_expires_at <= now {
            let sale = tips.first().and_then(|tip| sale(tip.amount, tip.fee, group.quantity));
            self.renew(Funds::Group(group.id), sale.ok_or(TipError::Internal)?).await?;
            let (group, tips) = self.given_group(user.id, id).await?;
            return queries::group_json(&group, &tips, self.keyring());
        }
        queries::group_json(&group, &tips, self.keyring())
    }

    /// Puts a fresh invoice in the place of one that is over, unless it was paid or replaced meanwhile.
    async fn renew(&self, funds: Funds, sale: Sale) -> Result<(), TipError> {
        let total = sale.comes();
        let invoice = match self.invoice(sale).await {
            Ok(invoice) => invoice,
            Err(TipError::Internal) => return Err(TipError::Internal),
            Err(error) => {
                tracing::info!(%error, "an invoice is over and can't be renewed now");
                return Ok(());
            }
        };
        let now = self.now();
        let written = self.store().write(move |tx| -> Result<(), TipError> {
            let waits = match funds {
                Funds::Tip(id) => store::tip(tx, id)?
                    .is_some_and(|tip| tip.status() == TipStatus::Unfunded && tip.invoice_expires_at <= now),
                Funds::Group(id) => store::group(tx, id)?.is_some_and(|group| {
                    group.status() == super::status::GroupStatus::Unfunded && group.invoice_expires_at <= now
                }),
            };
            if !waits {
                return Ok(());
            }
            let charge = charges::open(tx, Family::Tips, &invoice, Some(total), now)?;
            match funds {
                Funds::Tip(id) => vouchers::fund_by(tx, id, charge, None)?,
                Funds::Group(id) => store::show_charge(tx, id, charge)?,
            }
            store::note_charge(tx, charge, funds)?;
            invoice.keep();
            Ok(())
        });
        written.await
    }

    /// Changes a tip.
    ///
    /// # Errors
    /// [`TipError::NotFound`], [`TipError::Forbidden`], [`TipError::Conflict`] once it is nobody's or somebody
    /// else's to change; of its webhooks; the store's.
    pub async fn edit(&self, user: &User, id: Cuid, edit: Edit) -> Result<Vec<u8>, TipError> {
        self.check_webhooks(&edit.details)?;
        let (tips, user, now) = (self.clone(), user.id, self.now());
        let written = self.store().write(move |tx| -> Result<_, TipError> {
            let tip = queries::given_in(tx, user, id)?;
            tips.edit_in(tx, &tip, &edit, 0, now)?;
            let tip = store::tip(tx, tip.id)?.ok_or(TipError::Internal)?;
            tips.notifier().record(tx, "tip.changed", &tip)?;
            queries::tip_json(&tip, tips.keyring())
        });
        written.await
    }

    /// Changes every tip of a group that can still be changed.
    ///
    /// # Errors
    /// As [`Tips::edit`].
    pub async fn edit_group(
        &self,
        user: &User,
        id: Cuid,
        edit: impl FnOnce(u32) -> Result<Edit, TipError> + Send + 'static,
    ) -> Result<Vec<u8>, TipError> {
        let (tips, user, now) = (self.clone(), user.id, self.now());
        let (group, _) = self.given_group(user, id).await?;
        let edit = edit(group.quantity)?;
        self.check_webhooks(&edit.details)?;
        let written = self.store().write(move |tx| -> Result<_, TipError> {
            let (group, members) = queries::given_group_in(tx, user, id)?;
            for (index, tip) in members.iter().enumerate() {
                if changeable(tip, now).is_ok() {
                    tips.edit_in(tx, tip, &edit, index, now)?;
                }
            }
            store::edit_group(tx, group.id, edit.enable_static_link, now)?;
            let (group, members) = queries::given_group_in(tx, user, id)?;
            tips.notifier().record_group(tx, "tip_group.changed", &group)?;
            queries::group_json(&group, &members, tips.keyring())
        });
        written.await
    }

    fn edit_in(
        &self,
        tx: &Tx<'_>,
        tip: &Tip,
        edit: &Edit,
        index: usize,
        now: UnixMillis,
    ) -> Result<(), TipError> {
        changeable(tip, now)?;
        // Who has claimed it was promised it till then.
        if tip.tippee.is_some() && edit.expiry.is_some_and(|at| at < tip.expires_at) {
            return Err(TipError::Conflict {
                code: "TIP_CLAIMED",
                message: "The tip has been claimed; its expiry can only be put off",
            });
        }
        let words = edit.details.words.get(index).ok_or(TipError::Internal)?;
        store::edit(
            tx,
            tip.id,
            &TipEdit {
                words,
                details: shared(&edit.details),
                expires_at: edit.expiry,
                onboarding_flow: edit.onboarding_flow,
                anonymous: edit.anonymous_tipper,
            },
            now,
        )?;
        if let Some(at) = edit.expiry {
            vouchers::reschedule(tx, tip.id, at)?;
        }
        let current =
            tip.passphrase_sealed.as_deref().and_then(|sealed| self.keyring().sealer().open(sealed));
        match edit.passphrase_for(current.as_ref()) {
            PassphraseEdit::Keep => {}
            PassphraseEdit::Remove => store::set_passphrase(tx, tip.id, None, now)?,
            PassphraseEdit::New(count) => {
                let drawn = self.draw(tx, count)?;
                store::set_passphrase(tx, tip.id, Some(&drawn), now)?;
            }
        }
        self.notifier().refresh(tx, tip);
        Ok(())
    }

    /// Gives a tip other magic words, three of them.
    ///
    /// # Errors
    /// As [`Tips::edit`].
    pub async fn new_passphrase(
        &self,
        user: &User,
        id: Cuid,
        ask: Option<IdempotencyKey>,
    ) -> Result<(), TipError> {
        let (tips, user, now) = (self.clone(), user.id, self.now());
        let count = WordCount::new(super::passphrase::MIN_WORDS).ok_or(TipError::Internal)?;
        let written = self.once(ask, move |tx| {
            let tip = queries::given_in(tx, user, id)?;
            changeable(&tip, now)?;
            let drawn = tips.draw(tx, count)?;
            store::set_passphrase(tx, tip.id, Some(&drawn), now)?;
            Ok(tips.notifier().record(tx, "tip.changed", &tip)?)
        });
        written.await
    }

    /// Notes that the tipper copied the link.
    ///
    /// # Errors
    /// [`TipError::NotFound`], [`TipError::Forbidden`], the store's.
    pub async fn mark_copied(&self, user: &User, id: Cuid) -> Result<(), TipError> {
        let (user, now) = (user.id, self.now());
        let written = self.store().write(move |tx| -> Result<(), TipError> {
            let tip = queries::given_in(tx, user, id)?;
            Ok(store::note_copied(tx, tip.id, now)?)
        });
        written.await
    }

    /// Gives up a tip that nobody has paid. Should its invoice be paid all the same, the sats are its tipper's.
    ///
    /// # Errors
    /// [`TipError::NotFound`], [`TipError::Forbidden`], [`TipError::Conflict`], the store's.
    pub async fn delete(&self, user: &User, id: Cuid) -> Result<(), TipError> {
        let (tips, user, now) = (self.clone(), user.id, self.now());
        let written = self.store().write(move |tx| -> Result<(), TipError> {
            let tip = queries::given_in(tx, user, id)?;
            if tip.group.is_some() {
                return Err(TipError::Conflict {
                    code: "TIP_IN_GROUP",
                    message: "A tip of a group can only be deleted with its group",
                });
            }
            only_unfunded(tip.status() == TipStatus::Unfunded)?;
            store::delete(tx, tip.id, now)?;
            tips.notifier().record(tx, "tip.deleted", &tip)?;
            tips.notifier().count(tx, "deleted", tip.amount);
            tips.notifier().refresh(tx, &tip);
            Ok(())
        });
        written.await
    }

    /// The same for a group.
    ///
    /// # Errors
    /// As [`Tips::delete`].
    pub async fn delete_group(&self, user: &User, id: Cuid) -> Result<(), TipError> {
        let (tips, user, now) = (self.clone(), user.id, self.now());
        let written = self.store().write(move |tx| -> Result<(), TipError> {
            let (group, members) = queries::given_group_in(tx, user, id)?;
            only_unfunded(group.status() == super::status::GroupStatus::Unfunded)?;
            for tip in &members {
                store::delete(tx, tip.id, now)?;
                tips.notifier().count(tx, "deleted", tip.amount);
            }
            store::delete_group(tx, group.id, now)?;
            Ok(tips.notifier().record_group(tx, "tip_group.deleted", &group)?)
        });
        written.await
    }
}

fn only_unfunded(unfunded: bool) -> Result<(), TipError> {
    if unfunded {
        return Ok(());
    }
    Err(TipError::Conflict { code: "NOT_UNFUNDED", message: "Only what nobody has paid for can be deleted" })
}

/// Whether a tip is still its tipper's to change.
fn changeable(tip: &Tip, now: UnixMillis) -> Result<(), TipError> {
    let over = tip.expires_at <= now && tip.state == VoucherState::Open;
    match tip.status() {
        TipStatus::Unfunded | TipStatus::Unseen | TipStatus::Seen | TipStatus::Claimed
            if !tip.withdrawal_pending() && !over =>
        {
            Ok(())
        }
        _ => Err(TipError::Conflict {
            code: "TIP_OVER",
            message: "The tip is withdrawn, being withdrawn, reclaimed or deleted, and can't be changed",
        }),
    }
}

fn shared(details: &Details) -> Shared<'_> {
    Shared {
        tippee_locale: details.tippee_locale.as_deref(),
        currency: details.currency.as_deref(),
        wallet: details.recommended_wallet_id.as_deref(),
        ad_url: details.advertisement_url.as_deref(),
        ad_image_url: details.advertisement_image_url.as_deref(),
        claim_webhook: details.claim_webhook_url.as_ref(),
        withdraw_webhook: details.withdraw_webhook_url.as_ref(),
    }
}
