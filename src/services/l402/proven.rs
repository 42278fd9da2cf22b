//! What a credential proves for good: for what is sold once and not for a time, like an API key.

use ::l402::{Admitted, Credential, Presented, b64};
use axum::http::HeaderMap;

use super::{L402, L402Error};

impl L402 {
    /// The payment for this resource of the operator's that a request proves. Nothing is taken and nothing expires: the
    /// same credential proves the same payment again, also after a crash.
    ///
    /// The token must be the very one that was handed out. A bare preimage is refused, because every node on the
    /// payment's way knows it.
    ///
    /// # Errors
    /// 400 for a bare preimage, [`L402Error::Settling`], the store's.
    pub async fn proven(&self, headers: &HeaderMap, resource: &str) -> Result<Option<Admitted>, L402Error> {
        let mut refused = Ok(None);
        for presented in Presented::read(headers) {
            let Presented::Credential(credential) = presented else { continue };
            match self.proven_by(&credential, resource).await {
                Ok(None) => {}
                Ok(proven) => return Ok(proven),
                Err(error) => refused = Err(error),
            }
        }
        refused
    }

    async fn proven_by(
        &self,
        credential: &Credential,
        resource: &str,
    ) -> Result<Option<Admitted>, L402Error> {
        let preimage = match credential {
            Credential::Token { preimage, .. } => *preimage,
            Credential::Payment(shown) => match self.proof(shown) {
                Ok(preimage) => preimage,
                Err(_) => return Ok(None),
            },
            Credential::Preimage(_) => {
                let message = "Show the token with the preimage: Authorization: L402 <macaroon>:<preimage>";
                return Err(L402Error::invalid("token_required", message));
            }
        };
        let found = self.settled(preimage.payment_hash().into()).await?;
        let Some(challenge) = found.filter(|found| found.account.is_none() && found.resource == resource)
        else {
            return Ok(None);
        };
        let receipt = match credential {
            Credential::Token { macaroons, .. } => {
                let own = self.issued(&challenge).macaroon;
                if !macaroons.iter().any(|shown| b64::standard(&shown.to_bytes()) == own) {
                    return Ok(None);
                }
                None
            }
            Credential::Payment(shown) => self.receipt(challenge.payment_hash.into(), &shown.challenge.id),
            Credential::Preimage(_) => None,
        };
        if challenge.paid_at.is_none() {
            return Err(L402Error::Settling);
        }
        Ok(Some(Admitted { receipt, ..challenge.admitted() }))
    }
}
