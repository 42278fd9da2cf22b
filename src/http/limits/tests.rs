//! Quotas, the budget, the middleware.

use axum::body::Body;
use axum::extract::Request;
use axum::http::{Method, StatusCode};
use axum::response::IntoResponse;
use axum::{Router, middleware, routing};
use tower::ServiceExt;

use super::*;
use crate::http::client::Client;

const SETTINGS: LimitSettings = LimitSettings {
    enabled: true,
    window: Duration::from_secs(900),
    write: 3,
    read: 1000,
    key_write: 5,
    key_read: 1000,
};

fn client(text: &str) -> Client {
    Client::of(text.parse().unwrap())
}

#[test]
fn the_fourth_of_three_is_refused_and_others_are_not() {
    let limits = Limits::new(SETTINGS);
    for remaining in [2, 1, 0] {
        let allowance = limits.check(Class::Write, client("192.0.2.1"));
        assert_eq!((allowance.remaining, allowance.retry_after), (remaining, None));
        assert_eq!(allowance.limit, 3);
    }
    let refused = limits.check(Class::Write, client("192.0.2.1"));
    assert_eq!(refused.remaining, 0);
    assert!((299..=300).contains(&refused.retry_after.unwrap()), "{refused:?}");
    let full = refused.reset_epoch_secs - now_secs(Duration::ZERO);
    assert!((899..=901).contains(&full), "{full}");
    assert_eq!(limits.check(Class::Read, client("192.0.2.1")).retry_after, None);
    assert_eq!(limits.check(Class::Write, client("192.0.2.2")).retry_after, None);
}

#[test]
fn the_quota_refills() {
    let limits = Limits::new(LimitSettings { window: Duration::from_millis(300), ..SETTINGS });
    for _ in 0..3 {
        limits.check_named(Class::Write, 1);
    }
    assert!(limits.check_named(Class::Write, 1).retry_after.is_some());
    std::thread::sleep(Duration::from_millis(120));
    assert!(limits.check_named(Class::Write, 1).retry_after.is_none());
}

#[test]
fn switched_off_nothing_is_counted_or_said() {
    let limits = Limits::new(LimitSettings { enabled: false, ..SETTINGS });
    let mut headers = HeaderMap::new();
    for _ in 0..100 {
        limits.check_named(Class::Write, 1).write_headers(&mut headers);
    }
    assert!(headers.is_empty());
}

#[test]
fn memory_is_bounded_however_many_come() {
    let limits = Limits::with_memory(LimitSettings { write: 2, ..SETTINGS }, 1000);
    for stranger in 0..200_000 {
        limits.check_named(Class::Write, stranger);
    }
    let remembered = limits.clients.write.as_ref().unwrap().table.len();
    assert!(remembered <= 1_000 + 16, "{remembered}");
    // Limited all the same.
    assert!((0..3).any(|_| limits.check_named(Class::Write, 7).retry_after.is_some()));
}

#[test]
fn a_million_addresses_cost_bounded_memory_and_leave_others_their_quota() {
    let limits = Limits::new(LimitSettings { write: 5, window: Duration::from_secs(900), ..SETTINGS });
    let check = |address: [u8; 4]| {
        let holder = limits.client(Client::of(address.into()));
        limits.check_holder(Class::Write, holder).retry_after.is_none()
    };
    for number in 0..1_000_000_u32 {
        let [_, a, b, c] = number.to_be_bytes();
        check([20 + a, b, c, 1]);
    }
    let remembered = limits.clients.write.as_ref().unwrap().table.len();
    assert!(remembered <= REMEMBERED + 16, "{remembered}");
    // A few of a hundred networks of one region share a quota; each of another has its own.
    let unhurt = (0..100).filter(|network| (0..5).all(|_| check([9, 9, *network, 7]))).count();
    assert!(unhurt >= 80, "{unhurt}");
    assert!((40..100).all(|region| (0..6).filter(|_| check([region, 9, 9, 9])).count() == 5));
}

#[test]
fn a_crowd_of_one_region_is_limited_and_costs_others_nothing() {
    let limits = Limits::with_memory(LimitSettings { write: 5, ..SETTINGS }, 10_000);
    let check =
        |address: std::net::IpAddr| limits.check(Class::Write, Client::of(address)).retry_after.is_none();
    let crowd = (0..100_000_u128).filter(|number| {
        let bits = (0x2a00_0db8_u128 << 96) | ((number % 65_536) << 80) | ((number / 65_536) << 64);
        check(std::net::Ipv6Addr::from_bits(bits).into())
    });
    let passed = crowd.count();
    // Each that is remembered, and five of each quota that the others share.
    assert!((10_000..16_000).contains(&passed), "{passed}");
    for number in 0..200_u8 {
        assert_eq!((0..6).filter(|_| check([number, 9, 9, 9].into())).count(), 5, "{number}");
    }
}

#[test]
fn a_million_credentials_cost_bounded_memory_and_each_has_its_own() {
    let rate = Rate::per_minute(3);
    for number in 0..1_000_000_u32 {
        assert!(rate.take(number).is_ok());
    }
    assert!(rate.remembered() <= 2 * 57_344, "{}", rate.remembered());
    assert_eq!((0..5).filter(|_| rate.take("another").is_ok()).count(), 3);
}

#[test]
fn the_sweep_forgets_who_has_a_full_quota() {
    let limits = Limits::with_memory(LimitSettings { window: Duration::from_millis(3), ..SETTINGS }, 10);
    for stranger in 0..100 {
        limits.check_named(Class::Write, stranger);
    }
    std::thread::sleep(Duration::from_millis(20));
    limits.sweep();
    assert_eq!(limits.clients.write.as_ref().unwrap().table.len(), 0);
}

#[test]
fn the_budget_ends() {
    let budget = Budget::per_minute(2);
    assert_eq!((budget.take(), budget.take()), (Ok(()), Ok(())));
    assert!((29..=30).contains(&budget.take().unwrap_err()));
    let none = Budget::per_minute(0);
    assert!((0..1000).all(|_| none.take().is_ok()));
}

#[tokio::test]
async fn the_middleware_refuses_in_the_family_s_words_and_never_counts_options() {
    let limiter = Limiter {
        limits: Arc::new(Limits::new(SETTINGS)),
        proxies: Arc::default(),
        class: Class::Write,
        refusal: |_| (StatusCode::TOO_MANY_REQUESTS, "slow down").into_response(),
    };
    let layer = middleware::from_fn_with_state(limiter, limit);
    let app = Router::new().route("/", routing::any(|| async {})).layer(layer);
    let ask = async |method: Method| {
        let request = Request::builder().method(method).uri("/").body(Body::empty()).unwrap();
        app.clone().oneshot(request).await.unwrap()
    };
    for _ in 0..10 {
        assert_eq!(ask(Method::OPTIONS).await.status(), StatusCode::OK);
    }
    for _ in 0..3 {
        assert_eq!(ask(Method::POST).await.status(), StatusCode::OK);
    }
    let refused = ask(Method::POST).await;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(refused.headers()["x-ratelimit-limit"], "3");
    assert_eq!(refused.headers()["x-ratelimit-remaining"], "0");
    assert!(refused.headers().contains_key("x-ratelimit-reset"));
    assert!(refused.headers().contains_key("retry-after"));
}

mod flood {
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

    use super::super::fair::Strangers;
    use super::*;
    use crate::core::ids::AccountId;
    use crate::http::client::Asker;

    /// The budget of a minute.
    const BUDGET: u32 = 1_200;
    const ADDRESSES: u64 = 40_000;
    const MINUTES: u64 = 5;

    /// How many of what was asked were let through.
    #[derive(Default)]
    struct Let {
        through: u32,
        of: u32,
    }

    impl Let {
        fn count(&mut self, taken: Result<(), u64>) {
            self.of += 1;
            self.through += u32::from(taken.is_ok());
        }
    }

    /// Five minutes of strangers who ask twenty times as often as the budget allows; a shop with a key, ten requests
    /// a second; and honest strangers, each from a network of its own, ten a minute.
    fn flood(attacker: impl Fn(u64) -> IpAddr) -> (Let, Let, Let) {
        let budget = Budget::per_minute(BUDGET);
        let shop = Some(Asker::Account(AccountId(7)));
        let (mut attackers, mut shops, mut honest) = (Let::default(), Let::default(), Let::default());
        let asked = MINUTES * 20 * u64::from(BUDGET);
        for number in 0..asked {
            let now = number * MINUTES * 60_000 / asked;
            // Every address in turn, but not in order.
            let address = attacker(number * 7_919 % ADDRESSES);
            attackers.count(budget.take_for(Some(Asker::Stranger(address)), now));
            if number % 40 == 0 {
                shops.count(budget.take_for(shop, now));
            }
            if number % 2_400 == 1_200 {
                let quiet =
                    Ipv4Addr::from_bits(0x0810_0000 + u32::try_from(number / 2_400).unwrap() * 0x1_0100);
                honest.count(budget.take_for(Some(Asker::Stranger(quiet.into())), now));
            }
        }
        (attackers, shops, honest)
    }

    #[test]
    fn flood_from_few_networks_shuts_out_neither_shops_nor_strangers() {
        type Address = fn(u64) -> IpAddr;
        let kinds: [(&str, Address); 3] = [
            ("one /16", |n| Ipv4Addr::from_bits(0x0505_0000 + u32::try_from(n).unwrap()).into()),
            ("157 /24 in 157 /16", |n| {
                let n = u32::try_from(n).unwrap();
                Ipv4Addr::from_bits(0x1400_0000 + n / 256 * 0x1_0000 + n % 256).into()
            }),
            ("40,000 /48 of one /32", |n| {
                Ipv6Addr::from_bits((0x2a00_1450_u128 << 96) | (u128::from(n) << 80)).into()
            }),
        ];
        for (kind, attacker) in kinds {
            let (attackers, shops, honest) = flood(attacker);
            assert_eq!(shops.through, shops.of, "{kind}");
            assert_eq!((honest.through, honest.of), (50, 50), "{kind}");
            // What the budget allows is still given out: nobody is kept out while there is room.
            assert!(attackers.through > 2 * BUDGET, "{kind}: {}", attackers.through);
            assert!(attackers.through < 6 * BUDGET + BUDGET / 5, "{kind}: {}", attackers.through);
        }
    }

    #[test]
    fn flood_from_everywhere_leaves_everybody_their_fair_share_and_shops_all_of_theirs() {
        // Each in a /16 of its own, as far as there are so many.
        let (attackers, shops, honest) = flood(|n| {
            let n = u32::try_from(n).unwrap();
            Ipv4Addr::from_bits(0x2000_0000 + n * 0x1_0000 / 2).into()
        });
        assert_eq!(shops.through, shops.of);
        assert!(attackers.through <= 6 * BUDGET, "{}", attackers.through);
        // Who asks seldom gets no less than those of the flood.
        let (honest, flood) = (honest.through * attackers.of, attackers.through * honest.of);
        assert!(honest >= flood, "{honest} {flood}");
    }

    /// Both families share the budget, so neither may count on the other's half.
    #[test]
    fn flood_from_both_families_leaves_an_honest_stranger_their_share() {
        let (a_minute, mut strangers) = (1_200.0, Strangers::new(1_200.0));
        let v4 = |n: u32| IpAddr::from(Ipv4Addr::from_bits(0x5000_0000 + (n % 4) * 0x1_0000 + n % 60_000));
        let v6 = |n: u32| {
            let bits = ((0x2a00_u128 << 16 | u128::from(n % 4)) << 96) | (u128::from(n) << 64);
            IpAddr::from(Ipv6Addr::from_bits(bits))
        };
        let honest = IpAddr::from([203, 0, 113, 7]);
        let (mut through, mut tries) = (0, 0);
        // A thousand tries a second, for twenty minutes; the honest one asks once in two minutes, as each /24 may.
        for tick in 0..1_200_000_u32 {
            let now = u64::from(tick);
            let _ = strangers.take(Some(if tick % 2 == 0 { v4(tick) } else { v6(tick) }), now);
            if tick >= 60_000 && tick % 120_000 == 7_000 {
                tries += 1;
                through += usize::from(strangers.take(Some(honest), now).is_ok());
            }
        }
        assert!(through * 10 >= tries * 9, "{through} of {tries} with {a_minute} a minute");
    }

    #[test]
    fn crowd_is_forgotten_before_it_costs_much() {
        let mut strangers = Strangers::new(1_200.0);
        for number in 0..1_000_000_u32 {
            let address = Ipv6Addr::from_bits((0x2a00_u128 << 112) | (u128::from(number) << 64));
            let _ = strangers.take(Some(address.into()), u64::from(number));
        }
        // Four sizes of two generations, about 40 bytes an entry: 18 MB.
        assert!(strangers.remembered() <= 4 * 2 * 57_344, "{}", strangers.remembered());
    }

    #[test]
    fn one_address_has_a_part_of_the_budget_and_its_network_a_larger_one() {
        let budget = Budget::per_minute(BUDGET);
        let take = |text: &str| budget.take_for(Some(Asker::Stranger(text.parse().unwrap())), 0);
        assert_eq!((0..200).filter(|_| take("8.8.8.8").is_ok()).count(), 150);
        assert_eq!(take("8.8.8.8"), Err(1));
        assert_eq!((0..500).filter(|n| take(&format!("8.8.8.{}", n % 200)).is_ok()).count(), 450);
        assert!(take("8.8.9.1").is_ok());
        let v6 = Budget::per_minute(BUDGET);
        let take = |text: &str| v6.take_for(Some(Asker::Stranger(text.parse().unwrap())), 0);
        assert_eq!((0..200).filter(|_| take("2a00:1:1:1::1").is_ok()).count(), 150);
        assert_eq!((0..400).filter(|n| take(&format!("2a00:1:1:{:x}::1", n % 255)).is_ok()).count(), 150);
        assert_eq!(
            (0..400).filter(|n| take(&format!("2a00:1:1:{:x}::1", 256 + n % 200 * 256)).is_ok()).count(),
            300
        );
        assert!(take("2a00:1:2::1").is_ok());
    }

    #[test]
    fn account_has_a_ceiling_of_its_own() {
        let budget = Budget::of(10, 3);
        let take = |account| budget.take_for(Some(Asker::Account(AccountId(account))), 0);
        assert_eq!((take(1), take(1), take(1), take(1)), (Ok(()), Ok(()), Ok(()), Err(20)));
        assert_eq!(take(2), Ok(()));
        for _ in 0..10 {
            assert_eq!(budget.take_for(None, 0), Ok(()));
        }
        assert!(budget.take_for(None, 0).is_err());
        assert_eq!(take(2), Ok(()), "what strangers use up is not the account's");
    }
}
