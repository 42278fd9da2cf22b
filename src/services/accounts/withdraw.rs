//! Taking out what an account has.

use std::str::FromStr;

use axum::http::StatusCode;
use bitcoin::Address;
use lightning::offers::offer::Offer;
use lightning_invoice::Bolt11Invoice;
use rusqlite::Connection;

use super::ids::WithdrawalKey;
use super::store::{self, Carrier, Draft, Withdrawal, WithdrawalStatus};
use super::target::{Asked, TARGET_LEN, Target, unusable};
use super::view::WithdrawalView;
use super::{AccountError, Accounts};
use crate::core::ids::{AccountId, FeeReserveId};
use crate::core::money::Msat;
use crate::crash_point;
use crate::http::body::JsonObject;
use crate::http::idempotency::{IdempotencyKey, Reply, lookup, save};
use crate::http::keys::KeyId;
use crate::http::respond;
use crate::ledger::accounts::{self, Change, LineKind};
use crate::ledger::coin_fees::{self, Prices};
use crate::ledger::coins::{self, CoinFee, CoinsWanted};
use crate::ledger::payouts::{self, Order, Queued};
use crate::ledger::{Family, LedgerError, PayoutStatus, charges, offer_payouts, routing, solvency};
use crate::lightning::{Model, invoice};
use crate::storage::Tx;

/// A withdrawal to make.
#[derive(Clone, Debug)]
pub struct NewWithdrawal {
    /// Where to, as it was given.
    pub target: String,
    /// How much; `None`: what the target asks for, or all that there is.
    pub amount: Option<Msat>,
}

impl NewWithdrawal {
    /// Reads one.
    ///
    /// # Errors
    /// [`AccountError::Invalid`].
    pub fn read(body: &JsonObject) -> Result<Self, AccountError> {
        let target = match body.get("target") {
            Some(serde_json::Value::String(text)) if !text.trim().is_empty() && text.len() <= TARGET_LEN => {
                text.trim().to_owned()
            }
            _ => return Err(unusable("give a text of at most 8192 bytes")),
        };
        let amount = match body.get("amountSat") {
            None => None,
            Some(value) => {
                let sat = value.as_u64().filter(|sat| *sat > 0).and_then(Msat::from_sat);
                let bad = || {
                    AccountError::invalid(
                        "INVALID_AMOUNT",
                        "amountSat must be a whole number of sat, at least 1",
                    )
                };
                Some(sat.ok_or_else(bad)?)
            }
        };
        Ok(Self { target, amount })
    }
}

/// Who asks for a withdrawal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// A key of the account's: it has a budget.
    Key(KeyId),
    /// The operator, or a sweep that the operator has set.
    Operator,
}

/// What the node said before the transaction.
#[derive(Clone, Debug, Default)]
struct Wallet {
    running: bool,
    /// Coins that may be sent, in sat.
    spendable: u64,
    /// What the miners would get, if it was asked.
    prices: Option<Prices>,
    /// What the channels can carry, if that matters.
    model: Model,
}

/// What the transaction works with.
struct Plan<'a> {
    account: AccountId,
    by: By,
    new: &'a NewWithdrawal,
    /// What is asked for: by the caller or the target.
    amount: Option<Msat>,
    wallet: Wallet,
}

impl Accounts {
    /// Takes out what an account has, or a part of it. The same invoice or address again, while what carries it has not
    /// failed, is the same withdrawal.
    ///
    /// # Errors
    /// [`AccountError::Invalid`] for a target or amount that can't be paid; [`AccountError::Conflict`] for more than
    /// there is, for a key's budget, and for what was used before; of the wallet; of the idempotency key; the store's.
    /// Nothing is left behind by any.
    pub async fn withdraw(
        &self,
        account: AccountId,
        by: By,
        new: NewWithdrawal,
        ask: Option<IdempotencyKey>,
    ) -> Result<Reply, AccountError> {
        let asked_before = ask.clone();
        let (before, available) = self
            .store()
            .read(move |connection| -> Result<_, AccountError> {
                let before = lookup(connection, asked_before.as_ref())?;
                Ok((before, accounts::balance(connection, account)?.available))
            })
            .await?;
        if let Some(recorded) = before {
            return Ok(Reply::Replayed(recorded));
        }
        if !self.rules().enabled {
            return Err(AccountError::Disabled);
        }
        // Nobody else is bothered for what can't be done anyway; the transaction decides.
        let least = new.amount.unwrap_or(Msat::from_sat(1).unwrap_or(Msat::ZERO));
        if available < least {
            return Err(AccountError::no_balance(least, available));
        }
        let Asked { target, amount } = self.read_target(&new.target).await?;
        let amount = match (new.amount, amount) {
            (Some(wanted), Some(asked)) if wanted != asked => {
                let message =
                    format!("The target asks for exactly {asked}; leave amountSat out, or give the same");
                return Err(AccountError::invalid("AMOUNT_MISMATCH", message));
            }
            (wanted, asked) => wanted.or(asked),
        };
        let (target, amount) = match target {
            Target::Pay(request) => {
                let amount = amount.unwrap_or_else(|| self.rules().all_by_lightning(available));
                if amount == Msat::ZERO {
                    return Err(AccountError::no_balance(self.rules().routing_reserve(amount), available));
                }
                let invoice = self.invoice_for(&request, amount).await?;
                (Target::Invoice(Box::new(invoice)), Some(amount))
            }
            other => (other, amount),
        };
        let wallet = self.wallet(&target).await;
        if !wallet.running {
            return Err(AccountError::Unavailable);
        }
        let this = self.clone();
        let written = self.store().write(move |tx| -> Result<Reply, AccountError> {
            if let Some(recorded) = lookup(tx, ask.as_ref())? {
                return Ok(Reply::Replayed(recorded));
            }
            let plan = Plan { account, by, new: &new, amount, wallet };
            let (status, withdrawal) = match &target {
                Target::Invoice(invoice) => this.to_invoice(tx, &plan, invoice)?,
                Target::Offer(offer) => this.to_offer(tx, &plan, offer)?,
                Target::Address(address) => this.to_address(tx, &plan, address)?,
                Target::Pay(_) => return Err(AccountError::Internal),
            };
            let body = respond::to_json(&WithdrawalView::new(&withdrawal))?;
            save(tx, ask.as_ref(), status, &body, this.now())?;
            Ok(Reply::New(status, body))
        });
        let done = written.await?;
        crash_point!("account.after_withdrawal");
        Ok(done)
    }

    /// What has to be asked of the node before the transaction that decides.
    async fn wallet(&self, target: &Target) -> Wallet {
        let (onchain, rules) = (matches!(target, Target::Address(_)), self.rules().onchain_fees);
        let asked = self.0.parts.node.ask(move |node| {
            let onchain = onchain && node.is_running();
            let prices = || {
                let asked = coin_fees::prices(node, &rules);
                asked.map_err(|error| tracing::warn!(%error, "nothing goes to an address")).ok()
            };
            Wallet {
                running: node.is_running(),
                spendable: if onchain { node.balances().onchain_spendable_sat } else { 0 },
                prices: if onchain { prices() } else { None },
                model: if onchain { Model::default() } else { solvency::model_of(node) },
            }
        });
        asked.await.unwrap_or_default()
    }

    fn to_invoice(
        &self,
        tx: &Tx<'_>,
        plan: &Plan<'_>,
        invoice: &Bolt11Invoice,
    ) -> Result<(StatusCode, Withdrawal), AccountError> {
        if let Some(payout) = payouts::by_hash(tx, charges::hash_of(invoice))? {
            let live = payout.status != PayoutStatus::Failed && payout.invoice == invoice.to_string();
            return same(tx, plan, Carrier::Payout(payout.id), live).ok_or_else(|| {
                AccountError::conflict(
                    "INVOICE_USED",
                    "This invoice was paid or tried before; give a fresh one",
                )
            });
        }
        let rules = self.rules();
        if invoice::check_sendable(invoice, rules.network, self.now(), rules.min_invoice_expiry).is_err() {
            return Err(unusable(
                "the invoice must be of this network, with time left, and not ask to be held for days",
            ));
        }
        let inside = charges::by_hash(tx, charges::hash_of(invoice))?.is_some();
        let (draft, max_fee) = self.take(tx, plan, inside)?;
        let order = Order { family: Family::Accounts, invoice, amount: draft.amount, max_fee };
        let now = self.now();
        let queued = payouts::queue(tx, self.ledger(), &order, |payout| {
            store::insert(tx, &Draft { carrier: Carrier::Payout(payout), ..draft }, now).map(drop)
        })?;
        match queued {
            Queued::New(payout) => {
                payouts::note_source(tx, payout.id, Some(&source_of(plan.account)))?;
                if !rules.account_pays_routing {
                    routing::note_account(tx, payout.id, plan.account)?;
                }
                self.begun(tx, Carrier::Payout(payout.id))
            }
            Queued::Existing(_) | Queued::Unpayable => {
                Err(unusable("it is an invoice of this server that is paid, over, or not as it was made"))
            }
        }
    }

    fn to_offer(
        &self,
        tx: &Tx<'_>,
        plan: &Plan<'_>,
        offer: &Offer,
    ) -> Result<(StatusCode, Withdrawal), AccountError> {
        let (draft, max_fee) = self.take(tx, plan, false)?;
        let (text, note) = (offer.to_string(), draft.public_id.to_string());
        let source = source_of(plan.account);
        let wanted = offer_payouts::Wanted {
            family: Family::Accounts,
            offer: &text,
            amount: draft.amount,
            max_fee,
            public_id: &note,
            source: Some(&source),
            routing_account: (!self.rules().account_pays_routing).then_some(plan.account),
        };
        let carrier = Carrier::Offer(offer_payouts::queue(tx, self.ledger(), &wanted)?);
        store::insert(tx, &Draft { carrier, ..draft }, self.now())?;
        self.begun(tx, carrier)
    }

    fn to_address(
        &self,
        tx: &Tx<'_>,
        plan: &Plan<'_>,
        address: &Address,
    ) -> Result<(StatusCode, Withdrawal), AccountError> {
        if let Some(send) = coins::by_address(tx, address)? {
            return same(tx, plan, Carrier::Coins(send.id), true).ok_or_else(|| {
                AccountError::conflict("ADDRESS_USED", "This address was used before; give a fresh one")
            });
        }
        let rules = self.rules();
        if rules.min_onchain == Msat::ZERO {
            return Err(AccountError::invalid(
                "ONCHAIN_NOT_SUPPORTED",
                "This server sends nothing to addresses",
            ));
        }
        let prices = plan.wallet.prices.as_ref().ok_or(AccountError::NoFeeRate)?;
        let available = accounts::balance(tx, plan.account)?.available;
        let quote = prices.quote(plan.amount.unwrap_or(available));
        let operator_bears = (!rules.account_pays_miners).then_some(plan.account);
        let hour = self.ledger().clock.last_hour();
        if let Err(refused) = coin_fees::check(tx, &rules.onchain_fees, &quote, operator_bears, &hour)? {
            return Err(AccountError::MinersFee(refused));
        }
        let amount = plan.amount.unwrap_or_else(|| rules.all_onchain(available, quote.max));
        let least = coins::least(address).max(rules.min_onchain.sat_floor());
        if amount.sat_floor() < least {
            let message = format!("{amount} are too little for an address, which takes {least} sat or more");
            return Err(AccountError::invalid("AMOUNT_TOO_SMALL", message));
        }
        let promised = coins::promised(tx)?.sat_floor();
        let needed = amount.sat_floor().saturating_add(quote.max.sat_floor()).saturating_add(promised);
        if plan.wallet.spendable < needed {
            return Err(AccountError::NoCoins);
        }
        let reserve = if rules.account_pays_miners { quote.max } else { Msat::ZERO };
        let draft = self.debit(tx, plan, amount, reserve)?;
        let fee = CoinFee { account: plan.account, quote, reserve: draft.fee_reserve };
        let wanted = CoinsWanted { family: Family::Accounts, address, amount, fee: Some(fee) };
        let carrier = Carrier::Coins(coins::queue(tx, self.ledger(), &wanted)?);
        store::insert(tx, &Draft { carrier, ..draft }, self.now())?;
        self.begun(tx, carrier)
    }

    /// Takes what goes by Lightning out of the balance, and says what routing may cost. `inside`: it is for an invoice of
    /// this server, and needs no channel.
    fn take<'a>(
        &self,
        tx: &Tx<'_>,
        plan: &Plan<'a>,
        inside: bool,
    ) -> Result<(Draft<'a>, Msat), AccountError> {
        let rules = self.rules();
        let amount = match plan.amount {
            Some(amount) => amount,
            None => rules.all_by_lightning(accounts::balance(tx, plan.account)?.available),
        };
        let draft = self.debit(tx, plan, amount, rules.routing_reserve(amount))?;
        // The channels may carry less than the balance at once, however long one waits.
        if !inside && let Some(shortfall) = plan.wallet.model.no_way_out(amount) {
            return Err(AccountError::no_capacity(&shortfall));
        }
        Ok((draft, rules.max_fee(amount)))
    }

    /// Takes an amount and a reserve for fees out of the balance, within the key's budget.
    fn debit<'a>(
        &self,
        tx: &Tx<'_>,
        plan: &Plan<'a>,
        amount: Msat,
        reserve: Msat,
    ) -> Result<Draft<'a>, AccountError> {
        let (account, now) = (plan.account, self.now());
        let available = accounts::balance(tx, account)?.available;
        let whole = amount.checked_add(reserve).unwrap_or(Msat::MAX);
        if amount == Msat::ZERO || available < whole {
            return Err(AccountError::no_balance(whole, available));
        }
        let key = match plan.by {
            By::Key(key) => Some(key),
            By::Operator => None,
        };
        if let Some(key) = key {
            let today = self.ledger().clock.day();
            self.within_budget(tx, key, today, amount)?;
            store::add_key_day(tx, key, today, amount.signed())?;
        }
        let public_id = WithdrawalKey::random()?;
        let reference = public_id.to_string();
        let change = Change { account, kind: LineKind::Withdrawal, reference: &reference, amount };
        if !accounts::debit(tx, &change, now)? {
            return Err(AccountError::no_balance(whole, available));
        }
        let fee_reserve: Option<FeeReserveId> = if reserve == Msat::ZERO {
            None
        } else {
            let withheld = accounts::withhold(tx, account, reserve, &reference, now)?;
            Some(withheld.ok_or_else(|| AccountError::no_balance(whole, available))?)
        };
        accounts::add_pending(tx, account, whole)?;
        // The carrier follows.
        let carrier = Carrier::Payout(crate::core::ids::PayoutId(0));
        Ok(Draft { public_id, account, key, target: &plan.new.target, amount, reserve, fee_reserve, carrier })
    }

    fn within_budget(&self, tx: &Tx<'_>, key: KeyId, today: i64, amount: Msat) -> Result<(), AccountError> {
        let (own, used) = store::key_day(tx, key, today)?;
        let limit = own.unwrap_or(self.rules().key_day);
        let fits = used.checked_add(amount).is_some_and(|sum| sum <= limit);
        if limit == Msat::ZERO || fits {
            return Ok(());
        }
        let message = format!(
            "The API key may withdraw {limit} in a day (UTC), of which {} are left",
            limit.saturating_sub(used)
        );
        Err(AccountError::conflict("WITHDRAWAL_LIMIT", message))
    }

    fn begun(&self, tx: &Tx<'_>, carrier: Carrier) -> Result<(StatusCode, Withdrawal), AccountError> {
        let withdrawal = store::by_carrier(tx, carrier)?.ok_or(AccountError::Internal)?;
        self.0.parts.notifier.record(tx, "withdrawal.created", &withdrawal)?;
        Ok((StatusCode::CREATED, withdrawal))
    }

    /// A withdrawal of an account, as JSON.
    ///
    /// # Errors
    /// [`AccountError::WithdrawalNotFound`], also for another account's; the store's.
    pub async fn withdrawal_json(&self, account: AccountId, id: &str) -> Result<Vec<u8>, AccountError> {
        let id = WithdrawalKey::from_str(id).map_err(|_| AccountError::WithdrawalNotFound)?;
        let read = move |connection: &Connection| -> Result<Withdrawal, AccountError> {
            let found = store::by_public_id(connection, id)?;
            found.filter(|withdrawal| withdrawal.account == account).ok_or(AccountError::WithdrawalNotFound)
        };
        Ok(respond::to_json(&WithdrawalView::new(&self.store().read(read).await?))?)
    }
}

/// For whom payouts of an account are made, for those who share out the channels.
fn source_of(account: AccountId) -> String {
    format!("account {}", account.0)
}

/// The withdrawal that this very invoice or address was given for: by the same account, for the same amount.
fn same(tx: &Tx<'_>, plan: &Plan<'_>, carrier: Carrier, live: bool) -> Option<(StatusCode, Withdrawal)> {
    let known: Result<Option<Withdrawal>, LedgerError> = store::by_carrier(tx, carrier);
    let known = known.ok().flatten().filter(|known| {
        let amount = plan.amount.is_none_or(|amount| amount == known.amount);
        live && known.account == plan.account && known.status != WithdrawalStatus::Failed && amount
    });
    known.map(|withdrawal| (StatusCode::OK, withdrawal))
}
