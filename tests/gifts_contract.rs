//! The gifts contract through the HTTP server: the real binary, real channels, wallets that aren't ours.
//!
//! One network for all of it; each case is a function, run one after the other, because each would need
//! minutes for a network of its own.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test's helpers fail it")]

#[path = "gifts/door.rs"]
mod test_server;
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

use test_server::TestServer;

/// Announces a case, so that a failure's log says where it happened.
macro_rules! case {
    ($server:expr, $case:path) => {
        println!("--- {}", stringify!($case));
        $case($server).await;
    };
}

#[tokio::test(flavor = "multi_thread")]
async fn the_contract_holds_on_a_real_network() {
    let server = TestServer::open().await;
    case!(&server, examples::both_documents);
    case!(&server, examples::answers_are_one_line_with_a_length);
    case!(&server, examples::any_page_may_call);
    case!(&server, errors::creation);
    case!(&server, errors::strange_requests);
    case!(&server, errors::redemption);
    case!(&server, errors::codes_lock_through_a_kill);
    case!(&server, wallets::withdraws);
    case!(&server, wallets::pays_for_a_gift);
    case!(&server, payouts::webhook_is_told_and_signed);
    case!(&server, payouts::a_hold_invoice_keeps_it_pending);
    case!(&server, payouts::one_of_many_wins);
    case!(&server, payouts::a_gift_pays_for_a_gift);
    case!(&server, sender::a_batch);
    case!(&server, sender::takes_it_back);
    case!(&server, sender::it_goes_back_by_itself);
    case!(&server, sender::a_page_follows_it);
    let audit = server.network.satchel.admin_get("/admin/v1/audit").await.unwrap();
    assert_eq!(audit["clean"], true, "{audit}");
    server.network.shutdown().await.unwrap();
}
