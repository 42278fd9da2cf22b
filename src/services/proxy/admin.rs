//! Proxies as the admin API manages them.

use futures_util::future::BoxFuture;
use serde_json::{Map, Value, json};

use super::PaidProxies;
use super::endpoints::PartPrice;
use super::error::ProxyError;
use super::manage::{Page, Who};
use crate::admin::{AdminError, ProxyAdmin, ProxyPage, ProxyPrice};

/// Items of a page if nobody says, and at most.
const PAGE: u64 = 50;
const LARGEST_PAGE: u64 = 100;

impl ProxyAdmin for PaidProxies {
    fn create(&self, mut asked: Map<String, Value>) -> BoxFuture<'_, Result<Value, AdminError>> {
        Box::pin(async move {
            let owner = match asked.remove("account") {
                None | Some(Value::Null) => None,
                Some(Value::String(name)) => {
                    let found = self.account(name.clone()).await.map_err(admin_error)?;
                    let missing = || AdminError::NotFound(format!("there is no account {name:?}"));
                    Some(found.ok_or_else(missing)?)
                }
                Some(_) => return Err(AdminError::BadRequest("account must be a name".into())),
            };
            let change = self.read_new(&asked).map_err(told)?;
            value(self.create(owner, change).await)
        })
    }

    fn list(&self, asked: ProxyPage) -> BoxFuture<'_, Result<Value, AdminError>> {
        Box::pin(async move {
            let page = Page {
                number: asked.page.unwrap_or(1).max(1),
                size: asked.page_size.unwrap_or(PAGE).clamp(1, LARGEST_PAGE),
            };
            value(self.list_json(Who::Operator, page).await)
        })
    }

    fn price(&self, id: String, asked: ProxyPrice) -> BoxFuture<'_, Result<Value, AdminError>> {
        Box::pin(async move {
            let Some(path) = asked.path else {
                let change = json!({ "defaultPriceSats": asked.sats });
                let change =
                    self.read_change(change.as_object().unwrap_or(&Map::new())).map_err(admin_error)?;
                return value(self.change(Who::Operator, id, change).await);
            };
            let part = PartPrice { path, method: asked.method, sats: asked.sats };
            value(self.price_part(Who::Operator, id, part).await)
        })
    }

    fn retire(&self, id: String, reason: Option<String>) -> BoxFuture<'_, Result<Value, AdminError>> {
        Box::pin(async move { value(self.retire(Who::Operator, id, reason).await) })
    }
}

fn value(done: Result<Vec<u8>, ProxyError>) -> Result<Value, AdminError> {
    serde_json::from_slice(&done.map_err(admin_error)?).map_err(AdminError::internal)
}

/// What an operator can do about a service that may not be sold yet.
fn told(error: ProxyError) -> AdminError {
    match &error {
        ProxyError::Invalid { code: "invalid_target", message } => AdminError::BadRequest(format!(
            "{message}; a service on this machine or network must stand in l402.proxy.allow_hosts, like \
             \"localhost:8080\", when satchel starts"
        )),
        _ => admin_error(error),
    }
}

fn admin_error(error: ProxyError) -> AdminError {
    match error.status() {
        400 => AdminError::BadRequest(error.message().to_owned()),
        404 => AdminError::NotFound("there is no such proxy; `satchel proxy list` shows all".into()),
        503 => AdminError::Unavailable("the database does not answer now; see the log".into()),
        _ => AdminError::internal(error),
    }
}
