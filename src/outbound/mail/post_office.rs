//! A mail server for tests: plain SMTP on loopback, which keeps what it is given.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use super::Mailer;
use crate::config::{Smtp, SmtpSecurity};

/// What came in.
#[derive(Clone, Debug)]
pub struct Received {
    /// Whom the envelope names.
    pub to: String,
    /// Headers and text as they came over the wire, dots unstuffed.
    pub raw: String,
}

impl Received {
    /// The text below the headers.
    pub fn text(&self) -> String {
        self.raw.split_once("\r\n\r\n").unwrap().1.to_owned()
    }
}

/// The server. Ends with the runtime.
#[derive(Clone)]
pub struct PostOffice {
    /// Where it listens.
    pub port: u16,
    received: Arc<Mutex<Vec<Received>>>,
    answers: Arc<Mutex<Vec<&'static str>>>,
}

impl PostOffice {
    /// Opens one on a free port.
    pub async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let office = Self {
            port: listener.local_addr().unwrap().port(),
            received: Arc::default(),
            answers: Arc::default(),
        };
        let serving = office.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let office = serving.clone();
                tokio::spawn(async move { drop(office.talk(stream).await) });
            }
        });
        office
    }

    /// The settings that lead here.
    pub fn settings(&self) -> Smtp {
        Smtp {
            host: "127.0.0.1".into(),
            port: self.port,
            security: SmtpSecurity::None,
            from: "Satchel <tips@satchel.example>".into(),
            ..Smtp::default()
        }
    }

    /// A mailer that is in a hurry.
    pub fn mailer(&self, max_per_hour: u32) -> Mailer {
        let settings = Smtp { max_per_hour, ..self.settings() };
        Mailer::with_pauses(&settings, vec![Duration::from_millis(20)]).unwrap().unwrap()
    }

    /// What the next recipients are answered instead of being taken, one after the other.
    pub fn answer(&self, lines: &[&'static str]) {
        self.answers.lock().unwrap().extend(lines.iter().rev());
    }

    /// All letters so far.
    pub fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    /// The letter of this number, from 1, once it is there.
    pub async fn letter(&self, number: usize) -> Received {
        for _ in 0..2_000 {
            if let Some(letter) = self.received().get(number - 1) {
                return letter.clone();
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("no letter {number}");
    }

    async fn talk(&self, stream: TcpStream) -> std::io::Result<()> {
        let (reading, mut writing) = stream.into_split();
        let mut lines = BufReader::new(reading).lines();
        writing.write_all(b"220 test ESMTP\r\n").await?;
        let mut to = String::new();
        while let Some(line) = lines.next_line().await? {
            let upper = line.to_ascii_uppercase();
            let answer = if upper.starts_with("RCPT TO:") {
                to = line.split(['<', '>']).nth(1).unwrap_or_default().to_owned();
                self.answers.lock().unwrap().pop().unwrap_or("250 fine")
            } else if upper == "DATA" {
                writing.write_all(b"354 go on\r\n").await?;
                let mut raw = String::new();
                while let Some(line) = lines.next_line().await?.filter(|line| line != ".") {
                    raw.push_str(line.strip_prefix('.').unwrap_or(&line));
                    raw.push_str("\r\n");
                }
                self.received.lock().unwrap().push(Received { to: to.clone(), raw });
                "250 kept"
            } else if upper == "QUIT" {
                "221 bye"
            } else {
                "250 fine"
            };
            writing.write_all(answer.as_bytes()).await?;
            writing.write_all(b"\r\n").await?;
        }
        Ok(())
    }
}
