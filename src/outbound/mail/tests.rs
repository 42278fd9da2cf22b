//! Letters to a small server on loopback.

use std::time::Duration;

use super::post_office::PostOffice;
use super::*;

fn letter() -> Letter {
    Letter { to: "ada@mail.example".parse().unwrap(), subject: "Hello".into(), text: "One\n.two\n".into() }
}

#[tokio::test]
async fn without_a_server_there_is_no_mailer() {
    assert!(Mailer::new(&Smtp::default()).unwrap().is_none());
}

#[tokio::test]
async fn a_letter_arrives_whole() {
    let office = PostOffice::open().await;
    office.mailer(1).deliver(&letter()).await.unwrap();
    let came = office.letter(1).await;
    assert_eq!(came.to, "ada@mail.example");
    assert_eq!(came.text().trim_end(), "One\r\n.two");
    for header in [
        "From: \"Satchel\" <tips@satchel.example>",
        "To: ada@mail.example",
        "Subject: Hello",
        "Auto-Submitted: auto-generated",
        "Date: ",
        "Message-ID: <",
    ] {
        assert!(came.raw.contains(header), "{header}: {}", came.raw);
    }
}

#[tokio::test]
async fn a_refusal_of_the_recipient_is_final_and_anything_else_is_not() {
    let office = PostOffice::open().await;
    let mailer = office.mailer(1);
    office.answer(&["550 no such user", "451 later", "530 log in first"]);
    for expected in [NotSent::Refused, NotSent::NotNow, NotSent::NotNow] {
        assert_eq!(mailer.deliver(&letter()).await, Err(expected));
    }
    let nobody = Smtp { port: 1, ..office.settings() };
    let mailer = Mailer::new(&nobody).unwrap().unwrap();
    assert_eq!(mailer.deliver(&letter()).await, Err(NotSent::NotNow));
}

#[tokio::test]
async fn a_server_that_speaks_no_tls_gets_nothing() {
    let office = PostOffice::open().await;
    for security in [SmtpSecurity::Starttls, SmtpSecurity::Tls] {
        let settings = Smtp { security, host: "localhost".into(), ..office.settings() };
        let mailer = Mailer::new(&settings).unwrap().unwrap();
        let sent = tokio::time::timeout(Duration::from_secs(5), mailer.deliver(&letter())).await;
        assert!(!matches!(sent, Ok(Ok(()))));
    }
    assert!(office.received().is_empty());
}

#[tokio::test]
async fn what_is_posted_is_tried_again_and_room_is_bounded() {
    let office = PostOffice::open().await;
    let mailer = office.mailer(1);
    office.answer(&["451 later", "421 busy"]);
    mailer.place().unwrap().post(letter(), Duration::from_secs(60));
    office.letter(1).await;
    let places: Vec<_> = std::iter::from_fn(|| mailer.place().ok()).collect();
    assert!((MOST - 1..=MOST).contains(&places.len()), "{}", places.len());
    assert_eq!(mailer.place().err(), Some(Full));
    drop(places);
    assert!(mailer.place().is_ok());
}

#[tokio::test]
async fn server_that_is_away_is_known_to_be_and_asked_once() {
    let office = PostOffice::open().await;
    let mailer = office.mailer(1);
    assert!(mailer.is_reachable().await);
    // A refusal is an answer.
    office.answer(&["451 later"]);
    assert_eq!(mailer.deliver(&letter()).await, Err(NotSent::NotNow));
    assert!(mailer.is_reachable().await);
    assert!(office.received().is_empty());

    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = closed.local_addr().unwrap().port();
    drop(closed);
    let away = Mailer::new(&Smtp { port, ..office.settings() }).unwrap().unwrap();
    let asked = futures_util::future::join_all((0..20).map(|_| away.is_reachable())).await;
    assert!(asked.iter().all(|up| !up));
    assert_eq!(away.deliver(&letter()).await, Err(NotSent::NotNow));
    assert!(!away.is_reachable().await);
}

#[tokio::test]
async fn a_letter_is_given_up_when_its_time_is_over() {
    let office = PostOffice::open().await;
    let mailer = office.mailer(1);
    office.answer(&["451 later"; 50]);
    mailer.place().unwrap().post(letter(), Duration::from_millis(60));
    for _ in 0..2_000 {
        if mailer.0.places.available_permits() == MOST {
            return assert!(office.received().is_empty());
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it is tried still");
}
