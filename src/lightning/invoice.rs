//! Reading the invoice that somebody wants to be paid with.

use std::time::Duration;

use bitcoin::Network;
use bitcoin::hashes::Hash;
use lightning_invoice::{Bolt11Invoice, Currency};

use super::target::{self, Target};
use crate::core::ids::PaymentHash;
use crate::core::time::UnixMillis;

/// Blocks for which a recipient may ask to be able to hold the payment: two days. Ordinary wallets ask for
/// 9 to 144; more would only serve to keep our channels busy.
const LONGEST_HOLD_BLOCKS: u64 = 288;

/// Why an invoice is not paid. The texts are for whoever gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadInvoice {
    /// The text is none, or not all of one.
    #[error("this is not an invoice, or not all of one")]
    Unreadable,
    /// It leaves the amount to the payer.
    #[error("this invoice has no amount; make one with an amount")]
    NoAmount,
    /// It is of another network than ours.
    #[error("this invoice is for another network")]
    OtherNetwork,
    /// It is over, or will be before it could be paid.
    #[error("this invoice has expired or is about to; make a new one")]
    Expired,
    /// Its recipient could hold the payment for days.
    #[error("this invoice lets its recipient hold the payment for days; make an ordinary one")]
    HeldTooLong,
    /// It was paid, or tried, before. One payment hash is paid once at most, for ever.
    #[error("this invoice was used before; make a new one")]
    Used,
}

/// The payment hash of an invoice, in our type.
pub fn hash_of(invoice: &Bolt11Invoice) -> PaymentHash {
    PaymentHash(invoice.payment_hash().to_byte_array())
}

/// Reads an invoice as people paste it: whatever [`target::read`] finds one in. Its signature is right if this succeeds.
///
/// # Errors
/// [`BadInvoice`].
pub fn read(text: &str) -> Result<Bolt11Invoice, BadInvoice> {
    match target::read(text) {
        Ok(Target::Invoice(invoice)) => Ok(*invoice),
        _ => Err(BadInvoice::Unreadable),
    }
}

/// Whether we can pay it now: of our network, with an amount, payable for at least `at_least`, and not to be
/// held for days.
///
/// # Errors
/// [`BadInvoice`].
pub fn check_payable(
    invoice: &Bolt11Invoice,
    network: Network,
    now: UnixMillis,
    at_least: Duration,
) -> Result<(), BadInvoice> {
    check_sendable(invoice, network, now, at_least)?;
    if invoice.amount_milli_satoshis().is_some() { Ok(()) } else { Err(BadInvoice::NoAmount) }
}

/// The same for one that may leave the amount to us.
///
/// # Errors
/// [`BadInvoice`].
pub fn check_sendable(
    invoice: &Bolt11Invoice,
    network: Network,
    now: UnixMillis,
    at_least: Duration,
) -> Result<(), BadInvoice> {
    let now = Duration::from_millis(u64::try_from(now).unwrap_or(0));
    if invoice.currency() != Currency::from(network) {
        return Err(BadInvoice::OtherNetwork);
    }
    if invoice.expires_at().is_some_and(|end| end < now.saturating_add(at_least)) {
        return Err(BadInvoice::Expired);
    }
    if invoice.min_final_cltv_expiry_delta() > LONGEST_HOLD_BLOCKS {
        return Err(BadInvoice::HeldTooLong);
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use bitcoin::hashes::{Hash, sha256};
    use bitcoin::secp256k1::{Secp256k1, SecretKey};
    use lightning_invoice::{InvoiceBuilder, PaymentSecret};

    /// An invoice of somebody's, made at `at` seconds and payable for `expiry` more.
    pub(crate) fn invoice(
        currency: Currency,
        msat: Option<u64>,
        at: u64,
        expiry: u64,
        nonce: u8,
    ) -> Bolt11Invoice {
        let key = SecretKey::from_slice(&[0x2a; 32]).unwrap();
        let builder = InvoiceBuilder::new(currency)
            .description("a wallet".into())
            .payment_hash(sha256::Hash::hash(&[nonce]))
            .payment_secret(PaymentSecret([0x11; 32]))
            .duration_since_epoch(Duration::from_secs(at))
            .min_final_cltv_expiry_delta(144)
            .expiry_time(Duration::from_secs(expiry));
        let builder = match msat {
            Some(msat) => builder.amount_milli_satoshis(msat),
            None => builder,
        };
        builder.build_signed(|hash| Secp256k1::new().sign_ecdsa_recoverable(hash, &key)).unwrap()
    }

    fn payable(text: &str, now_secs: i64) -> Result<(), BadInvoice> {
        check_payable(&read(text)?, Network::Regtest, now_secs * 1_000, Duration::from_secs(30))
    }

    #[test]
    fn an_invoice_is_read_however_it_was_pasted() {
        let text = invoice(Currency::Regtest, Some(1_000_000), 1_000, 3_600, 1).to_string();
        let upper = text.to_uppercase();
        let broken = format!("  {}\n {}\t", &text[..40], &text[40..]);
        let forms = [
            text.clone(),
            upper.clone(),
            format!("lightning:{text}"),
            format!("LIGHTNING:{upper}"),
            format!("lightning://{text}"),
            broken,
            format!("bitcoin:?lightning={upper}"),
            format!("bitcoin:bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080?amount=0.00001&lightning={text}"),
            format!("\u{feff}\u{201c}{text}\u{201d}\u{200b}"),
        ];
        for form in forms {
            assert_eq!(payable(&form, 1_000), Ok(()), "{form}");
        }
    }

    #[test]
    fn what_can_t_be_paid_is_refused() {
        let good = invoice(Currency::Regtest, Some(1_000_000), 1_000, 3_600, 1).to_string();
        let other_networks =
            [Currency::Bitcoin, Currency::BitcoinTestnet, Currency::Signet, Currency::Simnet]
                .map(|currency| invoice(currency, Some(1_000_000), 1_000, 3_600, 1).to_string());
        let amountless = invoice(Currency::Regtest, None, 1_000, 3_600, 1).to_string();
        let mut bad_signature = good.clone();
        let middle = bad_signature.len() - 30;
        let flipped = if &good[middle..=middle] == "q" { "p" } else { "q" };
        bad_signature.replace_range(middle..=middle, flipped);
        let garbage = vec![
            String::new(),
            " ".into(),
            "lightning:".into(),
            "lnbcrt".into(),
            "bitcoin:bcrt1qqq".into(),
            "LNURL1DP68GURN8GHJ7".into(),
            "user@example.com".into(),
            good[..good.len() - 1].into(),
            format!("{good}x"),
            "x".repeat(100_000),
            "\u{202e}lnbc1".into(),
            bad_signature,
        ];
        for text in garbage {
            assert_eq!(payable(&text, 1_000), Err(BadInvoice::Unreadable), "{text}");
        }
        for text in other_networks {
            assert_eq!(payable(&text, 1_000), Err(BadInvoice::OtherNetwork), "{text}");
        }
        assert_eq!(payable(&amountless, 1_000), Err(BadInvoice::NoAmount));
    }

    #[test]
    fn an_invoice_must_last_long_enough_to_be_paid() {
        let text = invoice(Currency::Regtest, Some(1_000_000), 1_000, 60, 1).to_string();
        assert_eq!(payable(&text, 1_030), Ok(()));
        assert_eq!(payable(&text, 1_031), Err(BadInvoice::Expired));
        assert_eq!(payable(&text, 5_000), Err(BadInvoice::Expired));
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,200}") {
            let _ = read(&text);
        }
    }
}
