//! The words of the dialect for where a tip stands and how it is handed over.

use crate::core::names::named;

named!(
    /// Where a tip stands.
    TipStatus {
        /// Its invoice is not paid.
        Unfunded = "UNFUNDED",
        /// Paid; nobody has opened its page.
        Unseen = "UNSEEN",
        /// Somebody other than the tipper has opened its page.
        Seen = "SEEN",
        /// It belongs to a tippee, who has not withdrawn it.
        Claimed = "CLAIMED",
        /// Its sats have left. Final.
        Withdrawn = "WITHDRAWN",
        /// It belongs to its tipper again, who has not been paid yet.
        Reclaimed = "RECLAIMED",
        /// Its tipper has the sats back. Final.
        Refunded = "REFUNDED",
        /// Given up before it was paid. Final.
        Deleted = "DELETED",
    }
);

named!(
    /// Where a group of tips stands.
    GroupStatus {
        /// Its invoice is not paid.
        Unfunded = "UNFUNDED",
        /// Paid, and all its tips with it.
        Funded = "FUNDED",
        /// Given up before it was paid. Final.
        Deleted = "DELETED",
    }
);

named!(
    /// How a tippee gets at the sats.
    OnboardingFlow {
        /// Claims first, then is led to a wallet.
        Default = "DEFAULT",
        /// Withdraws at once, without claiming.
        Skip = "SKIP",
        /// Gets a wallet first and claims with it.
        Lightning = "LIGHTNING",
    }
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::names::UnknownName;

    #[test]
    fn names_are_read_as_they_are_written() {
        for status in TipStatus::ALL {
            assert_eq!(status.name().parse(), Ok(*status));
            assert_eq!(serde_json::to_value(status).unwrap(), status.name());
        }
        for status in GroupStatus::ALL {
            assert_eq!(status.name().parse(), Ok(*status));
            assert_eq!(serde_json::to_value(status).unwrap(), status.name());
        }
        for flow in OnboardingFlow::ALL {
            assert_eq!(flow.name().parse(), Ok(*flow));
            assert_eq!(serde_json::to_value(flow).unwrap(), flow.name());
        }
        assert_eq!("default".parse::<OnboardingFlow>(), Err(UnknownName));
        assert_eq!("FUNDED".parse::<TipStatus>(), Err(UnknownName));
    }
}
