//! What callers read.

use serde::Serialize;
use utoipa::ToSchema;

use super::quickstart::Standing;
use crate::core::ids::{AccountId, Secret};
use crate::core::time::iso::IsoSeconds;

/// The plan of every account: there are none to buy.
pub(super) const PLAN: &str = "self-hosted";

/// The state of every account.
pub(super) const ACTIVE: &str = "active";

/// Who takes the payments.
pub(super) const PROVIDER: &str = "ldk";

/// Your account.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct MeView<'a> {
    /// The number of the account, as `verify` tells it too.
    merchant_id: i64,
    account_id: String,
    name: &'a str,
    /// Of whoever bought the account; `null` for one that the operator made.
    email: Option<&'a str>,
    #[schema(example = "self-hosted")]
    plan_tier: &'static str,
    #[schema(example = "active")]
    subscription_status: &'static str,
    is_active: bool,
    l402_enabled: bool,
    #[schema(value_type = String, format = DateTime)]
    created_at: IsoSeconds,
    features: Features,
    onboarding: Onboarding,
    #[schema(example = "ldk")]
    payment_provider: &'static str,
    webhook_url: Option<&'a str>,
    callback_url: Option<&'a str>,
    /// Signs the webhooks; only for keys of the scope `payments`.
    webhook_secret: Option<&'a str>,
}

/// What there is.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Features {
    refunds_enabled: bool,
    multi_currency_enabled: bool,
    analytics_enabled: bool,
    priority_support: bool,
    custom_branding_enabled: bool,
    max_webhook_endpoints: u32,
    /// Always `null`: nobody promises any here.
    sla_uptime_percentage: Option<f64>,
    l402_enabled: bool,
}

/// What is set up.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Onboarding {
    /// Always `false`: no credential of another service is kept.
    has_open_node_key: bool,
    /// The same.
    has_strike_key: bool,
    /// The same.
    has_nwc_connection: bool,
    /// Always `true`: the node is the provider.
    has_payment_provider_key: bool,
    has_webhook_url: bool,
    has_active_proxy: bool,
    proxy_count: u64,
    /// Always `true`: there is nothing to connect. What is missing is told by the quickstart.
    is_fully_configured: bool,
}

impl<'a> MeView<'a> {
    /// `secret`: whether whoever asks may read the webhooks' secret.
    pub(super) fn new(account: AccountId, standing: &'a Standing, secret: bool) -> Self {
        let Standing { profile, webhooks, proxies, l402_enabled, .. } = standing;
        Self {
            merchant_id: account.0,
            account_id: account.to_string(),
            name: &profile.name,
            email: profile.email.as_deref(),
            plan_tier: PLAN,
            subscription_status: ACTIVE,
            is_active: true,
            l402_enabled: *l402_enabled,
            created_at: IsoSeconds(profile.created_at),
            features: Features {
                refunds_enabled: true,
                multi_currency_enabled: true,
                analytics_enabled: true,
                priority_support: false,
                custom_branding_enabled: false,
                max_webhook_endpoints: 2,
                sla_uptime_percentage: None,
                l402_enabled: *l402_enabled,
            },
            onboarding: Onboarding {
                has_open_node_key: false,
                has_strike_key: false,
                has_nwc_connection: false,
                has_payment_provider_key: true,
                has_webhook_url: webhooks.url.is_some(),
                has_active_proxy: proxies.active > 0,
                proxy_count: proxies.all,
                is_fully_configured: true,
            },
            payment_provider: PROVIDER,
            webhook_url: webhooks.url.as_deref(),
            callback_url: webhooks.callback_url.as_deref(),
            webhook_secret: webhooks.secret.as_ref().filter(|_| secret).map(Secret::expose),
        }
    }
}

/// Whether you may sell requests.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct L402StatusView {
    l402_enabled: bool,
    plan_tier: &'static str,
    subscription_status: &'static str,
    is_active: bool,
}

impl L402StatusView {
    pub(super) fn new(l402_enabled: bool) -> Self {
        Self { l402_enabled, plan_tier: PLAN, subscription_status: ACTIVE, is_active: true }
    }
}

/// Your subscription: there is none, and it never ends.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct SubscriptionView {
    plan_tier: &'static str,
    subscription_status: &'static str,
    is_active: bool,
    /// Always `null`.
    #[schema(value_type = Option<String>)]
    current_period_end: Option<IsoSeconds>,
    /// Always `null`.
    #[schema(value_type = Option<String>)]
    trial_ends_at: Option<IsoSeconds>,
    cancel_at_period_end: bool,
    message: &'static str,
}

impl SubscriptionView {
    pub(super) const NONE: Self = Self {
        plan_tier: PLAN,
        subscription_status: ACTIVE,
        is_active: true,
        current_period_end: None,
        trial_ends_at: None,
        cancel_at_period_end: false,
        message: "This server has no plans: the account is active and nothing has to be renewed",
    };
}

/// A change was made, or nothing had to change.
#[derive(Serialize, ToSchema)]
pub(super) struct DoneView {
    pub(super) success: bool,
    pub(super) message: &'static str,
}

/// An account that was bought, with its key.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct SignupView<'a> {
    #[schema(example = "active")]
    status: &'static str,
    merchant_id: i64,
    /// The API key. The same payment answers the same key again.
    api_key: &'a str,
    email: &'a str,
    plan_tier: &'static str,
    subscription_status: &'static str,
    /// Always `null`.
    #[schema(value_type = Option<String>)]
    trial_ends_at: Option<IsoSeconds>,
    /// What the key is for.
    dashboard_url: &'a str,
}

impl<'a> SignupView<'a> {
    pub(super) fn new(account: AccountId, email: &'a str, key: &'a Secret, dashboard_url: &'a str) -> Self {
        Self {
            status: ACTIVE,
            merchant_id: account.0,
            api_key: key.expose(),
            email,
            plan_tier: PLAN,
            subscription_status: ACTIVE,
            trial_ends_at: None,
            dashboard_url,
        }
    }
}
