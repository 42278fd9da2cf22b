//! The pages as people use them: a real browser at a phone's width, the real binary, real channels, wallets that
//! aren't ours.
//!
//! One network and one browser for all of gifts and one for tips, since each takes long to start. `PAGES_SCREENSHOTS=folder` keeps a
//! picture of every main state. Chromium and its driver must be installed (Debian: `chromium-driver`).

#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test's helpers fail it")]

mod common;

#[path = "pages/browser.rs"]
mod browser;
#[path = "pages/checkout.rs"]
mod checkout;
#[path = "pages/create.rs"]
mod create;
#[path = "pages/manage.rs"]
mod manage;
#[path = "pages/redeem.rs"]
mod redeem;
#[path = "pages/store.rs"]
mod store;
#[path = "pages/tips.rs"]
mod tips;

use browser::Browser;
use common::mailbox::Mailbox;
use common::{Scene, case};

/// Everybody who takes part.
pub struct Stage {
    /// The network, and the book of what is paid on it.
    pub scene: Scene,
    /// Whose pages are looked at.
    pub browser: Browser,
    /// Where its letters go.
    pub mailbox: Mailbox,
}

impl Stage {
    /// Pays an invoice that a page shows, without a look at the API.
    pub async fn pay(&self, invoice: &str) {
        self.scene.note_funding(0, invoice);
        self.scene.wallet(0).pay(invoice).await.unwrap();
    }

    /// Opens a page of this site.
    pub async fn open(&self, path: &str) {
        self.browser.goto(&format!("{}{path}", self.scene.api.url)).await;
    }
}

/// Runs a case, and looks for errors in the browser's console after it.
macro_rules! case {
    ($stage:expr, $case:path) => {
        case(stringify!($case), $case($stage)).await;
        $stage.browser.has_no_complaints().await;
    };
}

impl Stage {
    async fn set() -> Self {
        let mailbox = Mailbox::open();
        let settings = format!("{}\n[payments]\nexpiry_secs = 60\n", mailbox.settings());
        let (scene, browser) = tokio::join!(Scene::start(&settings), Browser::start());
        Self { scene, browser, mailbox }
    }

    async fn strike(self) {
        self.browser.stop().await;
        self.scene.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tips_can_be_claimed_on_their_pages() {
    let stage = Stage::set().await;
    case!(&stage, tips::a_guest_claims_and_withdraws);
    case!(&stage, tips::two_tips_leave_together);
    case!(&stage, tips::a_failure_is_told_and_can_be_tried_again);
    case!(&stage, tips::magic_words_lead_to_their_tip);
    case!(&stage, tips::a_group_s_link_leads_to_a_tip);
    case!(&stage, tips::a_group_s_link_greets_nobody_by_name);
    case!(&stage, tips::words_from_right_to_left_keep_their_direction);
    case!(&stage, tips::ends_are_told);
    case!(&stage, tips::a_letter_brings_a_guest_s_tip_to_another_browser);
    case!(&stage, tips::a_letter_that_can_t_be_sent_is_told);
    // The last: from then on this browser is somebody with a wallet.
    case!(&stage, tips::a_wallet_logs_in_and_claims);
    stage.strike().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn people_can_use_the_pages() {
    let stage = Stage::set().await;
    case!(&stage, create::errors_stand_beside_their_field);
    case!(&stage, create::all_wrong_fields_are_marked_at_once);
    case!(&stage, create::a_gift_is_made_and_paid);
    case!(&stage, create::a_gift_with_a_code_asks_for_it);
    case!(&stage, create::a_batch_has_a_link_for_each);
    case!(&stage, create::a_wallet_can_do_all_of_it);
    case!(&stage, redeem::by_an_invoice);
    case!(&stage, redeem::by_an_address);
    case!(&stage, redeem::by_a_wallet_that_scans);
    case!(&stage, redeem::without_scripts_a_spent_gift_shows_no_code);
    case!(&stage, redeem::words_from_right_to_left_keep_their_direction);
    case!(&stage, redeem::a_failure_is_told_and_can_be_tried_again);
    case!(&stage, redeem::a_gift_is_awaited);
    case!(&stage, redeem::guessing_a_code_locks_it);
    case!(&stage, redeem::an_end_comes_by_itself);
    case!(&stage, redeem::links_that_lead_nowhere);
    case!(&stage, manage::shows_the_history_and_takes_it_back);
    case!(&stage, manage::takes_it_back_to_an_address);
    case!(&stage, manage::follows_a_redemption);
    case!(&stage, manage::needs_the_whole_link);
    case!(&stage, manage::the_documentation_renders);
    case!(&stage, checkout::a_customer_pays_and_goes_back);
    case!(&stage, checkout::a_price_in_sat);
    case!(&stage, checkout::a_payment_goes_back);
    case!(&stage, checkout::a_customer_is_too_late);
    case!(&stage, checkout::links_that_lead_nowhere);
    case!(&stage, store::a_buyer_orders_pays_and_follows_it);
    case!(&stage, store::a_buyer_of_what_is_sold_out_gets_the_money_back);
    case!(&stage, store::without_scripts_the_pages_say_what_is_missing);
    case!(&stage, store::links_that_lead_nowhere);
    // The last: the browser asks which program is to open the link, and the next click is the answer.
    case!(&stage, redeem::without_a_wallet_the_button_says_what_to_do);
    stage.strike().await;
}
