//! Tips on a real network: made, claimed and withdrawn in every way there is, over in every state, raced for.
//! Each is paid out once, whoever asks how often, or stays what it was.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's helpers fail it"
)]

mod common;
#[path = "tips/endings.rs"]
mod endings;
#[path = "tips/flows.rs"]
mod flows;
#[path = "tips/races.rs"]
mod races;

use common::tips::Person;
use common::{Scene, case};

#[tokio::test(flavor = "multi_thread")]
async fn a_tip_reaches_whom_it_is_for_or_comes_back() {
    let scene = Scene::start("").await;
    let tipper = Person::tipper(&scene).await;
    case("DEFAULT: a guest claims", flows::by_guest(&scene, &tipper)).await;
    case("LIGHTNING: a wallet logs in and claims", flows::by_wallet(&scene, &tipper)).await;
    case("SKIP: nobody claims", flows::by_nobody(&scene, &tipper)).await;
    case("25 DEFAULT", flows::group_by_guests(&scene, &tipper)).await;
    case("25 LIGHTNING", flows::group_by_wallet(&scene, &tipper)).await;
    case("25 SKIP", flows::group_by_nobody(&scene, &tipper)).await;
    case("over, unclaimed", endings::unclaimed(&scene, &tipper)).await;
    case("over, claimed", endings::claimed(&scene, &tipper)).await;
    case("over, half withdrawn", endings::half_withdrawn(&scene, &tipper)).await;
    case("a payout that fails, and another", endings::fails_and_again(&scene, &tipper)).await;
    case("paid for twice, paid for when deleted", endings::paid_for_nothing(&scene, &tipper)).await;
    case("into another tip of this node", endings::into_another_tip(&scene, &tipper)).await;
    case("an address that refuses, and gives later", endings::refund_refused(&scene, &tipper)).await;
    case("a refund that fails, and another", endings::refund_fails(&scene, &tipper)).await;
    case("refunds by themselves", endings::refund_by_itself(&scene, &tipper)).await;
    assert_eq!(scene.channels_closed().await, 0);
    scene.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_who_race_for_a_tip_one_wins() {
    let scene = Scene::start("").await;
    let tipper = Person::tipper(&scene).await;
    case("200 times: taken back or withdrawn", races::reclaim_or_withdrawal(&scene, &tipper, 200)).await;
    case("200 times: two claim", races::two_claims(&scene, &tipper, 200)).await;
    case("200 times: one code, two invoices", races::two_callbacks(&scene, &tipper, 200)).await;
    case("200 times: one link for two", races::static_link(&scene, &tipper, 200)).await;
    scene.close().await;
}
