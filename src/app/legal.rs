//! The pages at `/privacy` and `/terms`: the operator's own files, or what the settings say.

use std::path::Path;

use super::AppError;
use crate::config::{ChainSource, Config, RatesFrom};
use crate::web::legal::{Facts, LARGEST_TEXT, LegalTexts, Text};

/// The texts of both pages. Reads the operator's files; blocks for a moment.
///
/// # Errors
/// [`AppError::System`] if a file that is named can't be read.
pub(crate) fn texts(config: &Config) -> Result<LegalTexts, AppError> {
    Ok(LegalTexts {
        privacy: own("legal.privacy_file", &config.legal.privacy_file)?,
        terms: own("legal.terms_file", &config.legal.terms_file)?,
        facts: facts(config),
    })
}

fn own(setting: &str, path: &str) -> Result<Option<Text>, AppError> {
    if path.is_empty() {
        return Ok(None);
    }
    let failed = |why: String| AppError::System(format!("{setting}: {path}: {why}"));
    let text = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
    if text.len() > LARGEST_TEXT {
        return Err(failed(format!("has more than {LARGEST_TEXT} bytes")));
    }
    let is_html = Path::new(path)
        .extension()
        .is_some_and(|end| end.eq_ignore_ascii_case("html") || end.eq_ignore_ascii_case("htm"));
    Ok(Some(if is_html { Text::Html(text) } else { Text::plain(&text) }))
}

fn facts(config: &Config) -> Facts {
    let own_chain = match config.chain.source {
        ChainSource::Bitcoind | ChainSource::BitcoindRest => true,
        ChainSource::Esplora | ChainSource::Electrum => false,
    };
    Facts {
        operator: config.legal.operator.clone(),
        contact: config.legal.contact.clone(),
        keep_unpaid_days: config.limits.keep_unpaid_days,
        limit_secs: config.http.rate_limits.then_some(config.limits.window_secs),
        webhook_days: config.webhooks.give_up_after_days,
        mail: !config.smtp.host.is_empty(),
        own_chain,
        asks_rates: config.rates.source == RatesFrom::Http,
        asks_names: config.withdrawals.enabled && !config.withdrawals.dns_over_https.is_empty(),
        relays: !config.nostr.relays.is_empty(),
        signup_sat: config.signup.enabled.then_some(config.signup.price_sat),
        gift_fee: (config.gifts.min_fee_sat, config.gifts.fee_percent),
        tip_fee: (config.tips.min_fee_sat, config.tips.fee_percent),
    }
}
