//! Selling an account: one payment, one account, one key, however often the payment is shown.

use std::fmt;

use axum::http::HeaderMap;
use axum::response::Response;
use bitcoin::hashes::{Hash, HashEngine, Hmac, HmacEngine, sha256};

use super::view::SignupView;
use super::{MerchantError, Merchants, Paid, store};
use crate::core::ids::{AccountId, PaymentHash, Secret};
use crate::crash_point;
use crate::http::client::Client;
use crate::http::keys;
use crate::http::respond;
use crate::outbound::mail::Address;

/// Where accounts are sold; the name of what is sold, too.
pub const SIGNUP_PATH: &str = "/api/signup/l402";

/// What the payer reads.
const DESCRIPTION: &str = "An account on this server";

/// Binds what is derived to its use. Changing it would change every key that was sold.
const LABEL: &[u8] = b"satchel signup keys 1";

/// Hex digits of the payment hash in the name of an account that was bought.
const NAME_DIGITS: usize = 16;

/// Derives the keys that are sold. Cheap to clone.
#[derive(Clone)]
pub struct KeyDerivation(HmacEngine<sha256::Hash>);

impl fmt::Debug for KeyDerivation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyDerivation(..)")
    }
}

impl KeyDerivation {
    /// From the node's seed words, from which nothing else here learns anything.
    pub fn new(seed_words: &Secret) -> Self {
        let mut engine = HmacEngine::<sha256::Hash>::new(seed_words.expose().as_bytes());
        engine.input(LABEL);
        let root = Hmac::from_engine(engine).to_byte_array();
        Self(HmacEngine::new(&root))
    }

    /// The key that a payment buys: the same every time.
    fn key(&self, hash: PaymentHash) -> Secret {
        let mut engine = self.0.clone();
        engine.input(&hash.0);
        keys::key_of(&Hmac::from_engine(engine).to_byte_array())
    }
}

/// What becomes of a request for an account.
pub(super) enum SignedUp {
    /// The account and its key, as JSON, and what belongs on the answer.
    Done(Vec<u8>, HeaderMap),
    /// What else to answer: 402, or why there is no challenge.
    Answer(Response),
}

impl Merchants {
    /// Sells an account, or asks for its price. A payment that was made is honoured also after accounts are sold no
    /// more or at another price.
    ///
    /// # Errors
    /// [`MerchantError::SignupDisabled`], [`MerchantError::Invalid`], [`MerchantError::KeyRevoked`], the store's.
    /// Nothing is taken by any: the same credential can be shown again.
    pub(super) async fn sign_up(
        &self,
        client: Client,
        headers: &HeaderMap,
        email: Option<&str>,
    ) -> Result<SignedUp, MerchantError> {
        let email = email.unwrap_or_default().parse::<Address>();
        let email = email.map_err(|_| {
            MerchantError::invalid("invalid_email", "email must be an address like bob@example.com")
        });
        let paid = match self.0.challenger.proven(headers, SIGNUP_PATH).await {
            Ok(paid) => paid,
            Err(answer) => return Ok(SignedUp::Answer(answer)),
        };
        let Some(paid) = paid else {
            // Before anything is asked for, so that nobody pays in vain.
            if !self.rules().signup_enabled {
                return Err(MerchantError::SignupDisabled);
            }
            email?;
            let price = self.rules().signup_price_sat;
            return Ok(SignedUp::Answer(
                self.0.challenger.ask(client, SIGNUP_PATH, price, DESCRIPTION).await,
            ));
        };
        self.register(paid, email).await
    }

    /// The account of a payment, made if this is the first time that the payment is shown.
    async fn register(
        &self,
        paid: Paid,
        email: Result<Address, MerchantError>,
    ) -> Result<SignedUp, MerchantError> {
        let (hash, paid_sat) = (paid.payment_hash, paid.amount_sat);
        let (key, now) = (self.0.derivation.key(hash), self.0.clock.now());
        let (text, scopes) = (key.clone(), self.rules().signup_scopes.clone());
        let written = self.0.store.write(move |tx| -> Result<_, MerchantError> {
            let bought = match store::signup(tx, hash)? {
                Some(bought) => bought,
                None => {
                    let name = account_name(hash);
                    let (_, account) = keys::insert(tx, &text, "signup", &scopes, &name)?;
                    let email = email?.as_str().to_owned();
                    store::insert_signup(tx, (hash, paid_sat), account, &email, now)?;
                    (account, email)
                }
            };
            // An old key of a seed that was replaced is nobody's any more.
            let info = keys::info(tx, &text)?;
            if info.is_none_or(|info| info.revoked_at.is_some()) {
                return Err(MerchantError::KeyRevoked);
            }
            crash_point!("signup.before_commit");
            Ok(bought)
        });
        let bought = written.await?;
        crash_point!("signup.after_commit");
        let body = self.signup_json(&bought, &key)?;
        Ok(SignedUp::Done(body, paid.headers))
    }

    fn signup_json(
        &self,
        (account, email): &(AccountId, String),
        key: &Secret,
    ) -> Result<Vec<u8>, MerchantError> {
        let dashboard = format!("{}/docs", self.rules().public_url);
        Ok(respond::to_json(&SignupView::new(*account, email, key, &dashboard))?)
    }
}

/// What an account that was bought is called.
fn account_name(hash: PaymentHash) -> String {
    format!("signup-{}", hash.to_string().chars().take(NAME_DIGITS).collect::<String>())
}

#[cfg(test)]
mod key_tests {
    use super::*;

    #[test]
    fn keys_are_the_same_every_time_and_of_one_seed_and_payment_alone() {
        let (one, other) =
            (KeyDerivation::new(&Secret::new("abandon")), KeyDerivation::new(&Secret::new("zoo")));
        let (first, second) = (PaymentHash([1; 32]), PaymentHash([2; 32]));
        let key = one.key(first);
        assert!(key.expose().starts_with("satchel_") && key.expose().len() == 72);
        assert_eq!(one.key(first).expose(), key.expose());
        assert_ne!(one.key(second).expose(), key.expose());
        assert_ne!(other.key(first).expose(), key.expose());
        assert_eq!(format!("{one:?}"), "KeyDerivation(..)");
    }
}
