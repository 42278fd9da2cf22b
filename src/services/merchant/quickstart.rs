//! What is set up, and what is missing, read from the real state.

use serde::Serialize;
use utoipa::ToSchema;

use super::store::{self, Profile};
use super::view::{L402StatusView, MeView};
use super::{MerchantError, Merchants, NodeState, ProxyCount, Webhooks};
use crate::core::ids::AccountId;
use crate::http::respond;

/// All that is known of an account.
pub(super) struct Standing {
    pub(super) profile: Profile,
    pub(super) webhooks: Webhooks,
    pub(super) proxies: ProxyCount,
    pub(super) node: NodeState,
    pub(super) l402_enabled: bool,
    pub(super) public_url: String,
}

/// What to do to sell here, in order.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct QuickstartView<'a> {
    merchant_id: i64,
    merchant_name: &'a str,
    completed_steps: usize,
    total_steps: usize,
    required_steps_completed: usize,
    required_steps_total: usize,
    /// All required steps are done.
    is_ready_for_production: bool,
    steps: Vec<Step>,
}

/// One thing to do.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Step {
    step_number: usize,
    #[schema(example = "Receive a first payment")]
    title: &'static str,
    description: String,
    is_completed: bool,
    is_required: bool,
    /// Where to read on.
    url: String,
}

impl Standing {
    /// The steps, without their numbers: title, description, done, required, link.
    fn steps(&self) -> [(&'static str, String, bool, bool, &'static str); 7] {
        let node = self.node;
        let https = self.public_url.starts_with("https://");
        [
            ("Get an API key", "You have one: it was shown with this request.".into(), true, true, "/docs"),
            (
                "Run the node on a chain source",
                "The operator's: the node must run and follow the chain.".into(),
                node.ready,
                true,
                "/health/ready",
            ),
            (
                "Have a channel with inbound capacity",
                match node.inbound_sat {
                    0 => {
                        "Nothing can come in: the operator needs a channel whose other side has sats.".into()
                    }
                    sat => format!("Up to {sat} sat can come in at once."),
                },
                node.inbound_sat > 0,
                true,
                "/docs",
            ),
            (
                "Serve it over https",
                format!("The public address is {}.", self.public_url),
                https,
                false,
                "/docs",
            ),
            (
                "Set a webhook address",
                "PUT /api/merchant/webhook-url tells your server of payments.".into(),
                self.webhooks.url.is_some(),
                false,
                "/docs",
            ),
            (
                "Put a price on an API",
                "POST /api/proxy sells a service by the request.".into(),
                self.proxies.active > 0,
                false,
                "/api/manifests/registry",
            ),
            (
                "Receive a first payment",
                "POST /api/payments, or a paid request to a proxy of yours.".into(),
                self.profile.was_paid,
                false,
                "/docs",
            ),
        ]
    }

    fn quickstart(&self, account: AccountId) -> QuickstartView<'_> {
        let rows = self.steps().into_iter().enumerate();
        let steps: Vec<_> = rows
            .map(|(at, (title, description, is_completed, is_required, path))| Step {
                step_number: at.saturating_add(1),
                title,
                description,
                is_completed,
                is_required,
                url: format!("{}{path}", self.public_url),
            })
            .collect();
        let count = |counts: &dyn Fn(&Step) -> bool| steps.iter().filter(|step| counts(step)).count();
        let required = count(&|step| step.is_required);
        let required_done = count(&|step| step.is_required && step.is_completed);
        QuickstartView {
            merchant_id: account.0,
            merchant_name: &self.profile.name,
            completed_steps: count(&|step| step.is_completed),
            total_steps: steps.len(),
            required_steps_completed: required_done,
            required_steps_total: required,
            is_ready_for_production: required_done == required,
            steps,
        }
    }
}

impl Merchants {
    async fn standing(&self, account: AccountId) -> Result<Standing, MerchantError> {
        let sources = &self.0.sources;
        Ok(Standing {
            profile: self.0.store.read(move |connection| store::profile(connection, account)).await?,
            webhooks: sources.webhooks(account).await?,
            proxies: sources.proxies(account).await?,
            node: sources.node().await,
            l402_enabled: self.rules().l402_enabled,
            public_url: self.rules().public_url.clone(),
        })
    }

    /// An account, as JSON; with the webhooks' secret if whoever asks may read it.
    ///
    /// # Errors
    /// The store's.
    pub(super) async fn me_json(&self, account: AccountId, secret: bool) -> Result<Vec<u8>, MerchantError> {
        let standing = self.standing(account).await?;
        Ok(respond::to_json(&MeView::new(account, &standing, secret))?)
    }

    /// What an account has done and has still to do, as JSON.
    ///
    /// # Errors
    /// The store's.
    pub(super) async fn quickstart_json(&self, account: AccountId) -> Result<Vec<u8>, MerchantError> {
        Ok(respond::to_json(&self.standing(account).await?.quickstart(account))?)
    }

    /// Whether requests can be sold.
    pub(super) fn l402_status(&self) -> L402StatusView {
        L402StatusView::new(self.rules().l402_enabled)
    }
}
