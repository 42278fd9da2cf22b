//! What was sold.

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use crate::core::time::iso::IsoSeconds;
use crate::http::keys::{Caller, Scope};
use crate::http::respond;
use crate::services::l402::error::L402Error;
use crate::services::l402::{L402, Stats};

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
    /// Challenges that were made. With a key: of yours those that are kept; unpaid ones are for three hours.
    challenges: u64,
    /// Those that were ever paid.
    paid: u64,
    /// The same.
    payments: u64,
    /// What they brought in, in sat; `null` without a key: what is earned is told to its owner.
    revenue_sats: Option<u64>,
    /// What the operator took of that; only if there were fees.
    #[serde(skip_serializing_if = "Option::is_none")]
    fee_sats: Option<u64>,
    /// Those that brought in most, at most 50; none without a key.
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
    /// What its owner is told.
    fn new(stats: &'a Stats) -> Self {
        let requests = stats.requests;
        Self {
            requests: requests.paid.saturating_add(requests.unpaid),
            paid_requests: requests.paid,
            since: IsoSeconds(stats.since),
            challenges: stats.challenges,
            paid: stats.payments,
            payments: stats.payments,
            revenue_sats: Some(stats.received.sat_floor()),
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

/// What was sold: with a key of scope `l402` by you, with one of scope `admin` by everybody with what it brought in,
/// without a key only how much was sold.
#[utoipa::path(
    get, path = "/api/stats/l402", tag = "l402",
    responses((status = 200, description = "Sums", body = StatsView<'_>))
)]
pub(super) async fn stats(
    State(l402): State<L402>,
    caller: Option<Extension<Caller>>,
) -> Result<Response, L402Error> {
    let seller = caller.map(|Extension(caller)| caller).filter(|caller| caller.may(Scope::L402));
    let all = seller.as_ref().is_none_or(|caller| caller.scopes.contains(&Scope::Admin));
    let whose = seller.as_ref().filter(|_| !all).map(|caller| caller.account);
    let stats = l402.stats(whose).await?;
    let mut view = StatsView::new(&stats);
    if seller.is_none() {
        (view.revenue_sats, view.fee_sats, view.resources) = (None, None, Vec::new());
    }
    Ok(respond::no_store(respond::json(StatusCode::OK, &view)))
}
