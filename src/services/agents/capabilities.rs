//! Offering something, and taking it back.

use axum::http::StatusCode;

use super::Agents;
use super::backend::NewProxy;
use super::error::AgentError;
use super::event::{CAPABILITY, DELETION, Draft};
use super::fields::{Fields, Lines};
use super::ids::{EventId, Pubkey};
use super::store::capabilities::Capability;
use super::store::{agents, capabilities, search};
use super::view::PublishedView;
use crate::core::ids::{AccountId, random_hex};
use crate::http::body::JsonObject;
use crate::http::idempotency::{IdempotencyKey, Reply, lookup, save};
use crate::http::respond;
use crate::storage::{StoreError, Tx};

const SERVICE_LEN: usize = 100;
const CONTENT_LEN: usize = 2_000;
const LIST_LEN: usize = 20;
const ITEM_LEN: usize = 50;
const URL_LEN: usize = 2_048;

/// Characters of a proxy's name and description.
const PROXY_NAME_LEN: usize = 100;
const PROXY_DESCRIPTION_LEN: usize = 1_000;

/// What an agent wants to offer.
#[derive(Clone, Debug)]
pub(super) struct NewCapability {
    service_id: String,
    content: String,
    categories: Vec<String>,
    hashtags: Vec<String>,
    price_sat: u64,
    endpoint: Option<String>,
    target: Option<String>,
    pubkey: Option<Pubkey>,
}

impl NewCapability {
    pub(super) fn read(body: &JsonObject, max_price_sat: u64) -> Result<Self, AgentError> {
        let fields = Fields(body);
        let target = fields.text("targetUrl", URL_LEN, Lines::One)?;
        let least = u64::from(target.is_some());
        let categories = fields.list("categories", LIST_LEN, ITEM_LEN)?;
        if categories.is_empty() {
            return Err(super::fields::wrong("categories must name at least one".into()));
        }
        let hashtags = fields.list("hashtags", LIST_LEN, ITEM_LEN)?;
        let mut hashtags: Vec<_> =
            hashtags.iter().map(|tag| tag.trim_start_matches('#').to_lowercase()).collect();
        hashtags.retain(|tag| !tag.is_empty());
        Ok(Self {
            service_id: fields.needed("serviceId", SERVICE_LEN, Lines::One)?,
            content: fields.needed("content", CONTENT_LEN, Lines::Several)?,
            categories,
            hashtags,
            price_sat: fields
                .number("priceSats", least..=max_price_sat)?
                .ok_or_else(|| super::fields::wrong("priceSats is required".into()))?,
            endpoint: fields.link("l402Endpoint")?,
            target,
            pubkey: match body.get("pubkey") {
                None => None,
                Some(_) => Some(fields.hex("pubkey", "invalid_pubkey", 64)?),
            },
        })
    }

    fn proxy(&self) -> Option<NewProxy> {
        let line = |text: &str, most| {
            let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
            words.chars().take(most).collect::<String>()
        };
        self.target.as_ref().map(|target| NewProxy {
            name: line(&self.service_id, PROXY_NAME_LEN),
            description: line(&self.content, PROXY_DESCRIPTION_LEN),
            target: target.clone(),
            price_sat: self.price_sat,
            categories: self.categories.clone(),
        })
    }
}

impl Agents {
    /// Lists a capability, with the proxy that sells it if there is a target. Each call makes a new listing.
    ///
    /// # Errors
    /// [`AgentError::Proxy`] and [`AgentError::Invalid`] if the target or the endpoint may not be;
    /// [`AgentError::AgentNotFound`] for a key that is not the account's; [`AgentError::Conflict`] if the account has
    /// as many as it may; the store's.
    pub(super) async fn publish(
        &self,
        account: AccountId,
        new: NewCapability,
        ask: Option<IdempotencyKey>,
    ) -> Result<Reply, AgentError> {
        let asked = ask.clone();
        let before =
            self.store().read(move |connection| lookup(connection, asked.as_ref()).map_err(AgentError::from));
        if let Some(recorded) = before.await? {
            return Ok(Reply::Replayed(recorded));
        }
        let prepared = match new.proxy() {
            Some(proxy) => Some(self.0.backend.prepare(account, proxy).await?),
            None => None,
        };
        let (this, now) = (self.clone(), self.now());
        let suffix = random_hex::<6>()?;
        let written = self.store().write(move |tx| -> Result<Reply, AgentError> {
            if let Some(recorded) = lookup(tx, ask.as_ref())? {
                return Ok(Reply::Replayed(recorded));
            }
            if capabilities::count(tx, account)? >= this.rules().max_capabilities {
                let message = "The account has as many capabilities as it may";
                return Err(AgentError::conflict("too_many_capabilities", message));
            }
            let agent = this.agent_of(tx, account, new.pubkey)?;
            let proxy_id = match prepared {
                Some(prepared) => Some(prepared.insert(tx)?),
                None => this.own_proxy(tx, account, new.endpoint.as_deref())?,
            };
            let endpoint = match (&proxy_id, &new.target) {
                (Some(id), Some(_)) => Some(format!("{}/l402/proxy/{id}", this.rules().public_url)),
                _ => new.endpoint,
            };
            let mut capability = Capability {
                id: 0,
                account,
                agent: agent.as_ref().map(|agent| agent.id),
                d_tag: format!("{}-{suffix}", new.service_id),
                service_id: new.service_id,
                content: new.content,
                categories: new.categories,
                hashtags: new.hashtags,
                price_sat: new.price_sat,
                endpoint,
                proxy_id,
                event_id: EventId([0; 32]),
                latest_event_id: EventId([0; 32]),
                event_at: 0,
                listed: true,
                removed_at: None,
                created_at: now,
                provider: agent.filter(|agent| agent.verified_at.is_some()).map(|agent| agent.pubkey),
            };
            let event = this.publisher().sign(draft(&capability), now, None);
            (capability.event_id, capability.latest_event_id) = (event.id, event.id);
            capability.event_at = event.created_at;
            capability.id = capabilities::insert(tx, &capability)?;
            search::insert(tx, &capability)?;
            this.publisher().publish(tx, &event, None, now)?;
            this.listings().record(tx, "agent.capability_published", capability.event_id)?;
            let body = respond::to_json(&PublishedView::new(&capability))?;
            let status = StatusCode::CREATED;
            save(tx, ask.as_ref(), status, &body, now)?;
            Ok(Reply::New(status, body))
        });
        written.await
    }

    /// Takes a listing back, and its proxy out of service; answers what it was as JSON. Twice is fine.
    ///
    /// # Errors
    /// [`AgentError::CapabilityNotFound`], also for another account's; the store's.
    pub(super) async fn withdraw(&self, account: AccountId, event: EventId) -> Result<Vec<u8>, AgentError> {
        let (this, now) = (self.clone(), self.now());
        let written = self.store().write(move |tx| -> Result<Capability, AgentError> {
            let found = capabilities::by_event(tx, event)?;
            let mut capability = found
                .filter(|capability| capability.account == account)
                .ok_or(AgentError::CapabilityNotFound)?;
            if let Some(proxy) = &capability.proxy_id {
                // That tells the listings, which take this one back.
                this.0.backend.retire(tx, account, proxy)?;
                capability = capabilities::by_id(tx, capability.id)?.ok_or(AgentError::Internal)?;
            }
            this.listings().remove(tx, &mut capability, now)?;
            Ok(capability)
        });
        Ok(respond::to_json(&PublishedView::new(&written.await?))?)
    }

    /// The agent that an account acts as: the one it names, or its usual one.
    pub(super) fn agent_of(
        &self,
        tx: &Tx<'_>,
        account: AccountId,
        named: Option<Pubkey>,
    ) -> Result<Option<agents::Agent>, AgentError> {
        let now = self.now();
        match named {
            None => Ok(agents::of_account(tx, account, now)?),
            Some(pubkey) => {
                let found = agents::by_pubkey(tx, pubkey, now)?.filter(|agent| agent.account == account);
                found.map(Some).ok_or(AgentError::AgentNotFound)
            }
        }
    }

    /// The proxy of ours that an endpoint leads to. Somebody else's may not be listed as one's own.
    fn own_proxy(
        &self,
        tx: &Tx<'_>,
        account: AccountId,
        endpoint: Option<&str>,
    ) -> Result<Option<String>, AgentError> {
        let prefix = format!("{}/l402/proxy/", self.rules().public_url);
        let Some(rest) = endpoint.and_then(|endpoint| endpoint.strip_prefix(&prefix)) else {
            return Ok(None);
        };
        let id = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if !self.0.backend.serves(tx, account, id)? {
            let message = "l402Endpoint leads to a proxy that you don't have";
            return Err(AgentError::invalid("invalid_endpoint", message));
        }
        let live = capabilities::by_proxy(tx, id)?.filter(|listed| listed.removed_at.is_none());
        if live.is_some() {
            return Err(AgentError::conflict(
                "already_listed",
                "This proxy is listed already; take that back first",
            ));
        }
        Ok(Some(id.to_owned()))
    }
}

impl super::Listings {
    /// Takes a listing back: it is found no more, relays are told, and what is open of it ends.
    pub(super) fn remove(
        &self,
        tx: &Tx<'_>,
        capability: &mut Capability,
        now: i64,
    ) -> Result<(), StoreError> {
        if capability.removed_at.is_some() {
            return Ok(());
        }
        capability.removed_at = Some(now);
        if capability.listed {
            search::remove(tx, capability.id)?;
            capability.listed = false;
        }
        let before = capability.latest_event_id;
        self.republish(tx, capability, now)?;
        let deletion = deletion(capability, before, self.publisher().pubkey());
        let deletion = deletion.sign(self.publisher().key(), capability.event_at);
        self.publisher().take_back(tx, &deletion, capability.latest_event_id, now)?;
        super::store::agreements::end_all(tx, capability.id, now)?;
        self.record(tx, "agent.capability_removed", capability.event_id)
    }

    /// Publishes what a listing is now in place of what it was, and writes it down.
    pub(super) fn republish(
        &self,
        tx: &Tx<'_>,
        capability: &mut Capability,
        now: i64,
    ) -> Result<(), StoreError> {
        let event = self.publisher().sign(draft(capability), now, Some(capability.event_at));
        self.publisher().publish(tx, &event, Some(capability.latest_event_id), now)?;
        capability.latest_event_id = event.id;
        capability.event_at = event.created_at;
        capabilities::update(tx, capability)?;
        Ok(())
    }
}

/// What relays are told of a capability.
fn draft(capability: &Capability) -> Draft {
    let price = capability.price_sat.to_string();
    let draft = Draft::new(CAPABILITY, &capability.content)
        .tag(["d", &capability.d_tag])
        .tags("s", &capability.categories)
        .tag(["price", &price, "sats", "per-request"]);
    let draft = match &capability.endpoint {
        Some(endpoint) => draft.tag(["l402", endpoint]),
        None => draft,
    };
    let draft = draft.tags("t", &capability.hashtags).tag(["negotiable", "false"]);
    let draft = match capability.provider {
        Some(provider) => draft.tag(["p", &provider.to_string(), "", "provider"]),
        None => draft,
    };
    if capability.listed { draft } else { draft.tag(["status", "removed"]) }
}

/// That relays should forget a capability: by its address, which takes all its versions, and by their ids.
fn deletion(capability: &Capability, before: EventId, author: Pubkey) -> Draft {
    let address = format!("{CAPABILITY}:{author}:{}", capability.d_tag);
    let mut ids = vec![capability.event_id, before, capability.latest_event_id];
    ids.dedup();
    let draft = Draft::new(DELETION, "").tag(["a", &address]).tag(["k", &CAPABILITY.to_string()]);
    ids.iter().fold(draft, |draft, id| draft.tag(["e", &id.to_string()]))
}
