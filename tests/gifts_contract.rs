//! The gifts contract through the front door: the real binary, real channels, wallets that aren't ours.
//!
//! One network for all of it; each case is a function, run one after the other, because each would need
//! minutes for a network of its own.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test's helpers fail it")]

#[path = "gifts/door.rs"]
mod door;
#[path = "gifts/errors.rs"]
mod errors;
#[path = "gifts/examples.rs"]
mod examples;
#[path = "gifts/payouts.rs"]
mod payouts;
#[path = "gifts/sender.rs"]
mod sender;
#[path = "gifts/wallets.rs"]
mod wallets;

use door::Door;

/// Announces a case, so that a failure's log says where it happened.
macro_rules! case {
    ($door:expr, $case:path) => {
        println!("--- {}", stringify!($case));
        $case($door).await;
    };
}

#[tokio::test(flavor = "multi_thread")]
async fn the_contract_holds_on_a_real_network() {
    let door = Door::open().await;
    case!(&door, examples::both_documents);
    case!(&door, examples::answers_are_one_line_with_a_length);
    case!(&door, examples::any_page_may_call);
    case!(&door, errors::creation);
    case!(&door, errors::redemption);
    case!(&door, errors::codes_lock_through_a_kill);
    case!(&door, wallets::withdraws);
    case!(&door, wallets::pays_for_a_gift);
    case!(&door, payouts::webhook_is_told_and_signed);
    case!(&door, payouts::a_hold_invoice_keeps_it_pending);
    case!(&door, payouts::one_of_many_wins);
    case!(&door, payouts::a_gift_pays_for_a_gift);
    case!(&door, sender::a_batch);
    case!(&door, sender::takes_it_back);
    case!(&door, sender::it_goes_back_by_itself);
    case!(&door, sender::a_page_follows_it);
    let audit = door.network.satchel.admin_get("/admin/v1/audit").await.unwrap();
    assert_eq!(audit["clean"], true, "{audit}");
    door.network.shutdown().await.unwrap();
}
