//! A mail server on loopback that keeps what it is given.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use super::{SOON, until};

/// Letters, as they came.
#[derive(Clone)]
pub struct Mailbox {
    port: u16,
    letters: Arc<Mutex<Vec<String>>>,
    refuses: Arc<AtomicBool>,
}

impl Mailbox {
    pub fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mailbox = Self {
            port: listener.local_addr().unwrap().port(),
            letters: Arc::default(),
            refuses: Arc::default(),
        };
        let serving = mailbox.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // The connection ends, as with a server that is down behind its proxy.
                if serving.refuses.load(Ordering::SeqCst) {
                    continue;
                }
                let letters = Arc::clone(&serving.letters);
                let refuses = Arc::clone(&serving.refuses);
                std::thread::spawn(move || drop(talk(stream, &letters, &refuses)));
            }
        });
        mailbox
    }

    /// Satchel's settings that lead here.
    pub fn settings(&self) -> String {
        format!(
            "[smtp]\nhost = \"127.0.0.1\"\nport = {}\nsecurity = \"none\"\nfrom = \"tips@satchel.example\"\n",
            self.port
        )
    }

    /// Whether it is away from now on.
    pub fn refuse(&self, refuses: bool) {
        self.refuses.store(refuses, Ordering::SeqCst);
    }

    /// How many have come.
    pub fn count(&self) -> usize {
        self.letters.lock().unwrap().len()
    }

    /// The letter of this number, from 1.
    pub async fn letter(&self, number: usize) -> String {
        let what = format!("letter {number}");
        until(&what, SOON, || async { self.letters.lock().unwrap().get(number - 1).cloned() }).await
    }
}

fn talk(stream: TcpStream, letters: &Mutex<Vec<String>>, refuses: &AtomicBool) -> std::io::Result<()> {
    let mut writing = stream.try_clone()?;
    let mut lines = BufReader::new(stream).lines();
    writing.write_all(b"220 test ESMTP\r\n")?;
    while let Some(line) = lines.next().transpose()? {
        if refuses.load(Ordering::SeqCst) {
            return Ok(());
        }
        let answer = match line.to_ascii_uppercase().as_str() {
            "DATA" => {
                writing.write_all(b"354 go on\r\n")?;
                let mut letter = String::new();
                while let Some(line) = lines.next().transpose()?.filter(|line| line != ".") {
                    letter.push_str(line.strip_prefix('.').unwrap_or(&line));
                    letter.push('\n');
                }
                letters.lock().unwrap().push(letter);
                "250 kept"
            }
            "QUIT" => "221 bye",
            _ => "250 fine",
        };
        writing.write_all(format!("{answer}\r\n").as_bytes())?;
    }
    Ok(())
}
