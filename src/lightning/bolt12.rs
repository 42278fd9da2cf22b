//! Reading the BOLT12 offer that somebody wants to be paid by. Pure: nobody is asked for an invoice.

use std::str::FromStr;
use std::time::Duration;

use bitcoin::Network;
use bitcoin::constants::ChainHash;
use lightning::offers::offer::{Amount, Offer};

use super::target::{self, Target};
use crate::core::ids::OfferId;
use crate::core::money::Msat;
use crate::core::time::UnixMillis;

/// An offer that can be paid: of our network, in sats, in time, for one of whatever it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PayableOffer {
    /// Its text in the one form that it has, in lower case: the same offer has the same text.
    pub text: String,
    /// What names it.
    pub id: OfferId,
    /// What it asks for. `None`: it leaves the amount to the payer.
    pub asks: Option<Msat>,
}

/// Why an offer is not paid. The texts are for whoever gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadOffer {
    /// The text is none, or not all of one.
    #[error("this is not a BOLT12 offer, or not all of one")]
    Unreadable,
    /// It is of another network than ours.
    #[error("this offer is for another network")]
    OtherNetwork,
    /// Its time is over.
    #[error("this offer has expired; make a new one")]
    Expired,
    /// Its amount is in another currency.
    #[error("this offer's amount is in another currency; make one in sats, or without an amount")]
    Currency,
    /// It sells a number of something.
    #[error("this offer asks for a quantity; make one without")]
    Quantity,
    /// It needs what we don't know.
    #[error("this offer needs something that this server does not know")]
    Features,
    /// It asks for another amount than there is.
    #[error("this offer is for {asks}; make one for exactly what there is, {amount}, or without an amount")]
    Amount {
        /// What it asks for.
        asks: Msat,
        /// What there is.
        amount: Msat,
    },
    /// It is of this same node, which can't pay itself by an offer.
    #[error("this offer is of this same server, which can't pay it; give an invoice")]
    Own,
}

/// Reads an offer as people paste it: whatever [`target::read`] finds one in.
///
/// # Errors
/// [`BadOffer`].
pub fn read(text: &str, network: Network, now: UnixMillis) -> Result<PayableOffer, BadOffer> {
    let Ok(Target::Offer(text)) = target::read(text) else { return Err(BadOffer::Unreadable) };
    let offer = Offer::from_str(&text).map_err(|_| BadOffer::Unreadable)?;
    if !offer.supports_chain(ChainHash::using_genesis_block(network)) {
        return Err(BadOffer::OtherNetwork);
    }
    let now = Duration::from_millis(u64::try_from(now).unwrap_or(0));
    if offer.absolute_expiry().is_some_and(|end| end <= now) {
        return Err(BadOffer::Expired);
    }
    if offer.offer_features().requires_unknown_bits() {
        return Err(BadOffer::Features);
    }
    let asks = asks(&offer)?;
    Ok(PayableOffer { text: offer.to_string(), id: OfferId(offer.id().0), asks })
}

/// What an offer asks for one of whatever it is for; `None`: it leaves the amount to the payer.
///
/// # Errors
/// [`BadOffer::Quantity`], [`BadOffer::Currency`]; [`BadOffer::Unreadable`] for more sats than there are.
pub fn asks(offer: &Offer) -> Result<Option<Msat>, BadOffer> {
    if offer.expects_quantity() {
        return Err(BadOffer::Quantity);
    }
    match offer.amount() {
        None => Ok(None),
        Some(Amount::Bitcoin { amount_msats }) => {
            Ok(Some(Msat::new(amount_msats).ok_or(BadOffer::Unreadable)?))
        }
        Some(Amount::Currency { .. }) => Err(BadOffer::Currency),
    }
}

/// Whether a text was meant as an offer, whole or not.
pub fn is_meant(text: &str) -> bool {
    target::clean(text).get(..4).is_some_and(|start| start.eq_ignore_ascii_case("lno1"))
}

impl PayableOffer {
    /// Whether it can be paid with exactly this amount.
    ///
    /// # Errors
    /// [`BadOffer::Amount`].
    pub fn check_amount(&self, amount: Msat) -> Result<(), BadOffer> {
        match self.asks {
            Some(asks) if asks != amount => Err(BadOffer::Amount { asks, amount }),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use bitcoin::secp256k1::{PublicKey, Secp256k1, SecretKey};
    use lightning::offers::offer::{OfferBuilder, Quantity};

    use super::*;

    const NOW: UnixMillis = 1_800_000_000_000;

    /// A stranger's offer on regtest: another one for another number.
    pub(crate) fn offer(number: u8, asks: Option<u64>) -> String {
        let builder = OfferBuilder::new(key(number)).chain(Network::Regtest);
        let builder = match asks {
            Some(msat) => builder.amount_msats(msat),
            None => builder,
        };
        builder.build().unwrap().to_string()
    }

    /// One that is over.
    pub(crate) fn expired() -> String {
        let builder = OfferBuilder::new(key(1)).chain(Network::Regtest);
        builder.absolute_expiry(Duration::from_millis(NOW.unsigned_abs())).build().unwrap().to_string()
    }

    /// One that sells some.
    pub(crate) fn with_quantity() -> String {
        let builder = OfferBuilder::new(key(1)).chain(Network::Regtest).amount_msats(1_000);
        builder.supported_quantity(Quantity::Unbounded).build().unwrap().to_string()
    }

    /// One of mainnet.
    pub(crate) fn of_mainnet() -> String {
        OfferBuilder::new(key(1)).build().unwrap().to_string()
    }

    /// One over 100 dollars.
    pub(crate) const IN_DOLLARS: &str = "lno1qgsqvgnwgcg35z6ee2h3yczraddm72xrfua9uve2rlrm9deu7xyfzrcxqd24x3qgqgn3qzsyw3jhxaqkyypwa3\
        eyt44h6txtxquqh7lz5djge4afgfjn7k4rgrkuag0jsd5xvxg";

    fn key(number: u8) -> PublicKey {
        PublicKey::from_secret_key(&Secp256k1::new(), &SecretKey::from_slice(&[number; 32]).unwrap())
    }

    fn sat(sat: u64) -> Msat {
        Msat::from_sat(sat).unwrap()
    }

    fn of(text: &str) -> Result<PayableOffer, BadOffer> {
        read(text, Network::Regtest, NOW)
    }

    #[test]
    fn the_same_offer_has_one_text() {
        let text = offer(1, Some(1_000_000));
        let read = of(&text).unwrap();
        assert_eq!(read.asks, Some(sat(1_000)));
        for same in [
            text.to_uppercase(),
            format!(" lightning:{text}\n"),
            format!("bitcoin:?lno={text}"),
            format!("{}+\n {}", &text[..20], &text[20..]),
        ] {
            assert_eq!(of(&same).as_ref(), Ok(&read), "{same}");
        }
        assert_ne!(of(&offer(2, Some(1_000_000))).unwrap(), read);
    }

    #[test]
    fn refusals_say_what_it_is() {
        let text = offer(1, None);
        for (text, why) in [
            (text[..text.len() - 1].to_owned(), BadOffer::Unreadable),
            ("me@wallet.example".to_owned(), BadOffer::Unreadable),
            (of_mainnet(), BadOffer::OtherNetwork),
            (expired(), BadOffer::Expired),
            (with_quantity(), BadOffer::Quantity),
        ] {
            assert_eq!(of(&text), Err(why), "{text}");
        }
        assert!(is_meant(" LIGHTNING:LNO1qq") && !is_meant("lnbc1") && !is_meant(""));
    }

    #[test]
    fn amount_fits_or_is_open() {
        let (amount, other) = (sat(1_000), sat(1_001));
        assert_eq!(of(&offer(1, None)).unwrap().check_amount(amount), Ok(()));
        let fixed = of(&offer(1, Some(1_000_000))).unwrap();
        assert_eq!(fixed.check_amount(amount), Ok(()));
        assert_eq!(fixed.check_amount(other), Err(BadOffer::Amount { asks: amount, amount: other }));
    }

    #[test]
    fn another_currency_is_refused() {
        assert_eq!(of(IN_DOLLARS), Err(BadOffer::Currency));
    }
}
