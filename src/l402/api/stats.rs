//! What was sold.

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::Who;
use crate::clock::iso::IsoSeconds;
use crate::http::keys::Scope;
use crate::http::problem::Failure;
use crate::http::respond;
use crate::l402::error::L402Error;
use crate::l402::{L402, Stats};

/// What was sold.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct StatsView<'a> {
    /// Requests since `since`, let in or not.
    requests: u64,
    /// Those that were let in.
    paid_requests: u64,
    #[schema(value_type = String, format = DateTime)]
    since: IsoSeconds,
    /// Challenges that were ever paid.
    payments: u64,
    /// What they brought in, in sat.
    revenue_sats: u64,
    /// What the operator took of that; only if there were fees.
    #[serde(skip_serializing_if = "Option::is_none")]
    fee_sats: Option<u64>,
    /// Those that brought in most, at most 50.
    resources: Vec<ResourceView<'a>>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ResourceView<'a> {
    resource: &'a str,
    /// Whose; 0 is the operator.
    merchant_id: i64,
    payments: u64,
    revenue_sats: u64,
}

impl<'a> StatsView<'a> {
    fn new(stats: &'a Stats) -> Self {
        let requests = stats.requests;
        Self {
            requests: requests.paid.saturating_add(requests.unpaid),
            paid_requests: requests.paid,
            since: IsoSeconds(stats.since),
            payments: stats.payments,
            revenue_sats: stats.received.sat_floor(),
            fee_sats: (stats.fees.get() > 0).then(|| stats.fees.sat_floor()),
            resources: stats
                .resources
                .iter()
                .map(|earned| ResourceView {
                    resource: &earned.resource,
                    merchant_id: earned.account,
                    payments: earned.payments,
                    revenue_sats: earned.received.sat_floor(),
                })
                .collect(),
        }
    }
}

/// What you have sold; with a key of scope `admin`, what everybody has.
#[utoipa::path(
    get, path = "/api/stats/l402", tag = "l402",
    responses((status = 200, description = "Sums", body = StatsView<'_>), Failure)
)]
pub(super) async fn stats(State(l402): State<L402>, Extension(caller): Who) -> Result<Response, L402Error> {
    let all = caller.scopes.contains(&Scope::Admin);
    let stats = l402.stats((!all).then_some(caller.account)).await?;
    Ok(respond::no_store(respond::json(StatusCode::OK, &StatsView::new(&stats))))
}
