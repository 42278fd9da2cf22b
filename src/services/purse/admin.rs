//! All purses, for the operator.

use futures_util::future::BoxFuture;
use rusqlite::Connection;
use serde_json::{Value, json};

use super::limits::Left;
use super::store::payments;
use super::store::{self, ANY_HOST, Draft, Purse};
use super::view::{PaidView, PurseView};
use super::{PurseError, Purses};
use crate::admin::{AdminError, NewPurse, PurseAdmin};
use crate::core::ids::PurseId;
use crate::core::money::Msat;
use crate::http::audit_log::Act;
use crate::http::keys::{DEFAULT_ACCOUNT, KeyBounds, KeyError, KeyInfo, Scope};
use crate::storage::Tx;

/// Purses in one page.
const PAGE: usize = 100;

/// Receipts shown of one purse.
const SHOWN: usize = 20;

/// Hosts of one purse, and characters of one.
const MOST_HOSTS: usize = 50;
const LONGEST_HOST: usize = 260;

/// Characters of a name, as of any key.
const LONGEST_NAME: usize = 64;

impl PurseAdmin for Purses {
    fn create(&self, new: NewPurse, act: Act) -> BoxFuture<'_, Result<Value, AdminError>> {
        Box::pin(async move {
            let account = new.account.clone().unwrap_or_else(|| DEFAULT_ACCOUNT.to_owned());
            let draft = draft(&new)?;
            let (name, now, today) = (draft.name.clone(), self.now(), self.today());
            let taken = || AdminError::Refused(format!("there is a purse {name:?} already"));
            let wanted = draft.name.clone();
            let known = self.store().read(move |connection| store::by_name(connection, &wanted)).await;
            if known.map_err(told)?.is_some_and(|purse| purse.revoked_at.is_none()) {
                return Err(taken());
            }
            let note = move |tx: &Tx<'_>, made: &KeyInfo| {
                store::insert(tx, made.id, &draft, now)?;
                act.done(tx, now)
            };
            let keys = &self.0.parts.keys;
            let bounds = KeyBounds::default();
            let made = keys.create_noting(&name, &[Scope::Purse], Some(&account), &bounds, note).await;
            let (info, text) = made.map_err(|error| match error {
                KeyError::Store(error) => told(error),
                other => AdminError::BadRequest(other.to_string()),
            })?;
            let key = info.id;
            let read = move |connection: &Connection| -> Result<_, PurseError> {
                let purse = store::of_key(connection, key)?.ok_or(PurseError::Internal)?;
                Ok((Left::read(connection, &purse, today)?, purse))
            };
            let (left, purse) = self.store().read(read).await.map_err(told)?;
            let mut shown = shown(&purse, &left, &info.account)?;
            if let Some(members) = shown.as_object_mut() {
                members.insert("key".into(), json!(text.expose()));
            }
            Ok(shown)
        })
    }

    fn list(&self, before: Option<i64>) -> BoxFuture<'_, Result<Value, AdminError>> {
        Box::pin(async move {
            let today = self.today();
            let read = move |connection: &Connection| -> Result<_, PurseError> {
                let found = store::list(connection, before.map(PurseId), PAGE + 1)?;
                let with_left = found.into_iter().map(|purse| -> Result<_, PurseError> {
                    let account = crate::ledger::accounts::name(connection, purse.account)?;
                    Ok((Left::read(connection, &purse, today)?, purse, account))
                });
                with_left.collect::<Result<Vec<_>, PurseError>>()
            };
            let mut found = self.store().read(read).await.map_err(told)?;
            let more = found.len() > PAGE;
            found.truncate(PAGE);
            let next = found.last().filter(|_| more).map(|(_, last, _)| last.id);
            let purses: Result<Vec<_>, _> =
                found.iter().map(|(left, purse, account)| shown(purse, left, account)).collect();
            Ok(json!({ "purses": purses?, "next": next }))
        })
    }

    fn show(&self, name: String) -> BoxFuture<'_, Result<Value, AdminError>> {
        Box::pin(async move {
            let (today, purse) = (self.today(), self.named(name).await?);
            let read = move |connection: &Connection| -> Result<_, PurseError> {
                let receipts = payments::list(connection, purse.id, None, SHOWN)?;
                let account = crate::ledger::accounts::name(connection, purse.account)?;
                Ok((Left::read(connection, &purse, today)?, purse, account, receipts))
            };
            let (left, purse, account, receipts) = self.store().read(read).await.map_err(told)?;
            let receipts: Vec<_> = receipts.iter().map(PaidView::from).collect();
            Ok(json!({ "purse": shown(&purse, &left, &account)?, "receipts": receipts }))
        })
    }

    fn top_up(&self, name: String, sat: u64, act: Act) -> BoxFuture<'_, Result<Value, AdminError>> {
        Box::pin(async move {
            let (now, today, purse) = (self.now(), self.today(), self.named(name).await?);
            if purse.revoked_at.is_some() {
                return Err(AdminError::Refused("this purse was revoked; make a new one".into()));
            }
            let more = Msat::from_sat(sat).filter(|more| *more > Msat::ZERO);
            let more = more.ok_or_else(|| AdminError::BadRequest("sat must be at least 1".into()))?;
            let id = purse.id;
            let written = self.store().write(move |tx| -> Result<_, PurseError> {
                let purse = store::by_id(tx, id)?.ok_or(PurseError::Internal)?;
                let budget = purse.budget.checked_add(more).unwrap_or(Msat::MAX);
                store::set_budget(tx, id, budget)?;
                act.done(tx, now)?;
                let purse = Purse { budget, ..purse };
                let account = crate::ledger::accounts::name(tx, purse.account)?;
                Ok((Left::read(tx, &purse, today)?, purse, account))
            });
            let (left, purse, account) = written.await.map_err(told)?;
            shown(&purse, &left, &account)
        })
    }

    fn revoke(&self, name: String, act: Act) -> BoxFuture<'_, Result<Value, AdminError>> {
        Box::pin(async move {
            let (now, purse) = (self.now(), self.named(name).await?);
            let id = purse.id;
            let note = move |tx: &Tx<'_>| {
                store::revoke(tx, id, now)?;
                act.done(tx, now)
            };
            let revoked = self.0.parts.keys.revoke_noting(purse.key, note).await;
            revoked.map_err(|error| told(PurseError::from(error)))?;
            Ok(json!({ "revoked": purse.name }))
        })
    }
}

impl Purses {
    async fn named(&self, name: String) -> Result<Purse, AdminError> {
        let wanted = name.clone();
        let found = self.store().read(move |connection| store::by_name(connection, &wanted)).await;
        found.map_err(told)?.ok_or_else(|| {
            AdminError::NotFound(format!("there is no purse {name:?}; see `satchel purse list`"))
        })
    }
}

fn shown(purse: &Purse, left: &Left, account: &str) -> Result<Value, AdminError> {
    let mut view = serde_json::to_value(PurseView::new(purse, left)).map_err(AdminError::internal)?;
    if let Some(members) = view.as_object_mut() {
        members.insert("account".into(), json!(account));
        members.insert("keyId".into(), json!(purse.key.0.to_string()));
    }
    Ok(view)
}

/// What the operator asked for, checked.
fn draft(new: &NewPurse) -> Result<Draft, AdminError> {
    let bad = |why: &str| AdminError::BadRequest(why.into());
    if new.name.is_empty()
        || new.name.chars().count() > LONGEST_NAME
        || new.name.chars().any(char::is_control)
    {
        return Err(bad("name must have 1 to 64 characters"));
    }
    let sats = |sat: u64| Msat::from_sat(sat).ok_or_else(|| bad("an amount is more than there is bitcoin"));
    if new.hosts.is_empty() || new.hosts.len() > MOST_HOSTS {
        return Err(bad("hosts must name 1 to 50 hosts, or \"*\" for any public one"));
    }
    let hosts = new.hosts.iter().map(|host| {
        host_of(host).ok_or_else(|| {
            AdminError::BadRequest(format!(
                "{host:?} is no host: give a name like api.example.com, with or without a port, or \"*\""
            ))
        })
    });
    Ok(Draft {
        name: new.name.clone(),
        budget: sats(new.budget_sat)?,
        per_day: new.per_day_sat.map(sats).transpose()?,
        per_request: new.per_request_sat.map(sats).transpose()?,
        hosts: hosts.collect::<Result<_, _>>()?,
        invoices: new.pay_invoices,
        allow_http: new.allow_http,
    })
}

/// A host as URLs spell it, with its port if one was given.
fn host_of(text: &str) -> Option<String> {
    if text == ANY_HOST {
        return Some(text.to_owned());
    }
    if text.len() > LONGEST_HOST || text.contains(['/', '@', '?', '#', ' ', '*']) {
        return None;
    }
    let url = url::Url::parse(&format!("http://{text}")).ok()?;
    let host = url.host_str().filter(|host| !host.is_empty())?;
    // The usual port of http is left out by the parser, and means http alone.
    let port = text.rsplit_once(':').filter(|(before, _)| !before.contains(':') || before.ends_with(']'));
    match port {
        Some((_, port)) => Some(format!("{host}:{}", port.parse::<u16>().ok()?)),
        None => Some(host.to_owned()),
    }
}

fn told(error: impl Into<PurseError>) -> AdminError {
    let error = error.into();
    match error.status() {
        503 => AdminError::Unavailable(error.message()),
        _ => AdminError::internal(error),
    }
}

#[cfg(test)]
mod tests {
    use super::host_of;

    #[test]
    fn hosts_are_names_with_or_without_a_port() {
        for (text, host) in [
            ("api.example.com", "api.example.com"),
            ("API.Example.com", "api.example.com"),
            ("api.example.com:8443", "api.example.com:8443"),
            ("127.0.0.1:80", "127.0.0.1:80"),
            ("[::1]:80", "[::1]:80"),
            ("[::1]", "[::1]"),
            ("*", "*"),
        ] {
            assert_eq!(host_of(text).as_deref(), Some(host));
        }
        for text in ["", "https://a.com", "a.com/x", "*.a.com", "u@a.com", "a b", "a.com:x", "a.com:70000"] {
            assert_eq!(host_of(text), None, "{text}");
        }
    }
}
