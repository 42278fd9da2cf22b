//! The access token: made from client id and secret (the client credentials grant), good for a day, renewed ahead of
//! its end. It is kept in memory alone.

use std::time::Duration;

use reqwest::Method;
use serde::Deserialize;
use tokio::sync::Mutex;

use super::client::{body_of, sent};
use super::error::ShopifyError;
use crate::config;
use crate::core::ids::Secret;
use crate::core::time::Clock;
use crate::outbound::fetch::GuardedClient;

/// What the app must be allowed.
pub(super) const SCOPES: [&str; 4] =
    ["read_products", "read_inventory", "write_orders", "write_draft_orders"];

/// Bytes of the answer.
const LARGEST: usize = 65_536;

/// A token is renewed so long before its end, or in the middle of a shorter life.
const AHEAD: Duration = Duration::from_secs(900);

/// The longest life that is believed: Shopify's are a day.
const LONGEST_LIFE: Duration = Duration::from_secs(86_400);

/// Makes tokens, and keeps the newest.
pub(super) struct Tokens {
    http: GuardedClient,
    url: String,
    client_id: String,
    client_secret: Secret,
    clock: Clock,
    held: Mutex<Option<Held>>,
}

struct Held {
    token: Secret,
    renew_at: Duration,
}

#[derive(Deserialize)]
struct Grant {
    access_token: String,
    #[serde(default)]
    scope: String,
    #[serde(default)]
    expires_in: u64,
}

impl Tokens {
    pub(super) fn new(http: GuardedClient, base: &str, shop: &config::Shopify, clock: Clock) -> Self {
        Self {
            http,
            url: format!("{base}/admin/oauth/access_token"),
            client_id: shop.client_id.trim().to_owned(),
            client_secret: shop.client_secret.clone(),
            clock,
            held: Mutex::new(None),
        }
    }

    /// A token that is good now.
    pub(super) async fn get(&self) -> Result<Secret, ShopifyError> {
        // Held over the request, so that one is made at a time.
        let mut held = self.held.lock().await;
        if let Some(held) = held.as_ref().filter(|held| self.clock.steady() < held.renew_at) {
            return Ok(held.token.clone());
        }
        let grant = self.grant().await?;
        let life = Duration::from_secs(grant.expires_in).min(LONGEST_LIFE);
        let renew_at = self.clock.steady().saturating_add(life.saturating_sub(AHEAD).max(life / 2));
        let token = Secret::new(grant.access_token);
        *held = Some(Held { token: token.clone(), renew_at });
        Ok(token)
    }

    /// A token was refused: the next one is made anew.
    pub(super) async fn refused(&self, token: &Secret) {
        let mut held = self.held.lock().await;
        if held.as_ref().is_some_and(|held| held.token.matches(token.expose())) {
            *held = None;
        }
    }

    /// Whether a text holds one of our secrets.
    pub(super) fn are_in(&self, text: &str, token: &Secret) -> bool {
        [token, &self.client_secret].iter().any(|secret| text.contains(secret.expose()))
    }

    async fn grant(&self) -> Result<Grant, ShopifyError> {
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", self.client_id.as_str()),
            ("client_secret", self.client_secret.expose()),
        ];
        let request =
            self.http.request(Method::POST, &self.url)?.header("accept", "application/json").form(&form);
        let response = sent(request).await?;
        match response.status().as_u16() {
            200 => {}
            status @ (400 | 401 | 403 | 404) => return Err(ShopifyError::Credentials(status)),
            429 => return Err(ShopifyError::Throttled),
            status => return Err(ShopifyError::Status(status)),
        }
        let body = body_of(response, LARGEST).await?;
        let grant: Grant = serde_json::from_slice(&body).map_err(|_| ShopifyError::NotJson)?;
        let token = &grant.access_token;
        if token.is_empty() || token.len() > 1_000 || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(ShopifyError::Nonsense("an access token that can't be one".into()));
        }
        let missing = missing(&grant.scope);
        if missing.is_empty() { Ok(grant) } else { Err(ShopifyError::MissingScope(missing.join(", "))) }
    }
}

/// The scopes that a grant lacks. Who may write something may read it.
fn missing(granted: &str) -> Vec<&'static str> {
    let has = |scope: &str| granted.split([',', ' ']).any(|granted| granted.trim() == scope);
    let allowed = |scope: &&str| {
        has(scope) || scope.strip_prefix("read_").is_some_and(|what| has(&format!("write_{what}")))
    };
    SCOPES.into_iter().filter(|scope| !allowed(scope)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_scopes_are_named() {
        assert_eq!(
            missing("read_products,read_inventory,write_orders,write_draft_orders"),
            Vec::<&str>::new()
        );
        assert_eq!(
            missing("write_products, write_inventory,write_orders,write_draft_orders"),
            Vec::<&str>::new()
        );
        assert_eq!(
            missing("read_products,read_orders,write_draft_orders"),
            ["read_inventory", "write_orders"]
        );
        assert_eq!(missing("").len(), 4);
    }
}
