//! Public programs that pay for requests: installed by name, and run.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use tempfile::TempDir;
use tokio::process::Command;

use crate::common;

/// How long a client may take for all that it is asked.
const PATIENCE: Duration = Duration::from_secs(300);

/// What programs of both languages get from the machine, in words for whoever runs the tests.
const NEEDED: &str = "install the packages nodejs, npm, python3 and python3-venv (the tests' script does), and see \
                      that the registries of npm and PyPI can be reached";

/// Where a client comes from, and so what it runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    Npm,
    PyPi,
}

/// A client: a package of an exact version, and a program that asks with it.
#[derive(Clone, Copy, Debug)]
pub struct Client {
    /// For whoever reads what a test says.
    pub name: &'static str,
    pub from: From,
    pub package: &'static str,
    pub version: &'static str,
    /// Whether what was paid for is shown again. Those that keep nothing pay each time.
    pub keeps: bool,
    program: &'static str,
}

const ALBY: (&str, &str) = ("@getalby/lightning-tools", "9.0.1");

/// A client of the Model Context Protocol.
#[allow(dead_code, reason = "the tests of purses use it")]
pub const MCP: Client = Client {
    name: "mcp",
    from: From::PyPi,
    package: "mcp",
    version: "2.3.0",
    keeps: false,
    program: include_str!("../purse/tools.py"),
};

/// In the order of the columns of the table of what each can read.
pub const CLIENTS: [Client; 6] = [
    Client {
        name: "l402-requests",
        from: From::PyPi,
        package: "l402-requests",
        version: "0.9.0",
        keeps: true,
        program: include_str!("l402_requests.py"),
    },
    Client {
        name: "le-agent-sdk",
        from: From::PyPi,
        package: "le-agent-sdk",
        version: "0.4.3",
        // It remembers what it paid for a token, but asks without one, and is answered with another.
        keeps: false,
        program: include_str!("le_agent_sdk.py"),
    },
    Client {
        name: "lightning-enable-mcp",
        from: From::PyPi,
        package: "lightning-enable-mcp",
        version: "2.1.1",
        keeps: false,
        program: include_str!("lightning_enable_mcp.py"),
    },
    Client {
        name: "l402",
        from: From::Npm,
        package: "l402",
        version: "0.5.1",
        keeps: true,
        program: include_str!("l402.mjs"),
    },
    Client {
        name: "fetchWithL402",
        from: From::Npm,
        package: ALBY.0,
        version: ALBY.1,
        keeps: true,
        program: include_str!("alby_l402.mjs"),
    },
    Client {
        name: "fetch402",
        from: From::Npm,
        package: ALBY.0,
        version: ALBY.1,
        keeps: true,
        program: include_str!("alby_402.mjs"),
    },
];

/// What a client got for a request.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Got {
    Answer {
        status: u16,
        body: String,
    },
    Failed {
        #[expect(dead_code, reason = "for whoever reads what a test says")]
        failed: String,
    },
}

impl Client {
    /// One of them.
    pub fn named(name: &str) -> Self {
        *CLIENTS.iter().find(|client| client.name == name).unwrap()
    }

    /// The program that asks with it.
    #[allow(dead_code, reason = "the tests of purses use it")]
    pub fn program(&self) -> &'static str {
        self.program
    }

    /// Its package and version, as its installer wants them.
    pub fn exactly(&self) -> String {
        match self.from {
            From::Npm => format!("{}@{}", self.package, self.version),
            From::PyPi => format!("{}=={}", self.package, self.version),
        }
    }

    /// What programs that use it are run with: a folder to run them in, and the program that runs them.
    pub async fn workshop(&self) -> (TempDir, PathBuf) {
        let home = self.installed().await;
        let folder = tempfile::tempdir().unwrap();
        let runner = match self.from {
            From::Npm => {
                std::os::unix::fs::symlink(home.join("node_modules"), folder.path().join("node_modules"))
                    .unwrap();
                PathBuf::from("node")
            }
            From::PyPi => home.join("bin").join("python"),
        };
        (folder, runner)
    }

    /// Has it ask for one URL after the other and pay from a wallet.
    pub async fn asks(&self, wallet: &str, urls: &[String]) -> Vec<Got> {
        let (folder, runner) = self.workshop().await;
        let (shared, own) = match self.from {
            From::Npm => (("wallet.mjs", include_str!("wallet.mjs")), "ask.mjs"),
            From::PyPi => (("wallet.py", include_str!("wallet.py")), "ask.py"),
        };
        for (name, text) in [shared, (own, self.program)] {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let mut command = Command::new(runner);
        command.arg(own).current_dir(folder.path()).env("W0", wallet).env("URLS", urls.join(" "));
        let said = run(&mut command, self.name).await;
        let got: Vec<Got> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(got.len(), urls.len(), "{}: {said}", self.name);
        got
    }

    /// Where it is installed: under the user's cache, so that it is fetched once.
    pub async fn installed(&self) -> PathBuf {
        let cache = regtest::bitcoind::cache_path().unwrap();
        let cache = cache.ancestors().nth(3).unwrap().join("clients");
        // What is built for one Python doesn't run in another.
        let runs_on = match self.from {
            From::Npm => "npm".to_owned(),
            From::PyPi => {
                run(Command::new(common::python()).arg("-V"), "python3").await.trim().replace(' ', "-")
            }
        };
        let home = cache.join(format!("{runs_on}-{}-{}", self.package.replace('/', "-"), self.version));
        if home.exists() {
            return home;
        }
        eprintln!("   installing {}", self.exactly());
        std::fs::create_dir_all(&cache).unwrap();
        let new = tempfile::Builder::new().prefix(".new-").tempdir_in(&cache).unwrap();
        match self.from {
            From::Npm => self.npm(new.path()).await,
            From::PyPi => self.pip(new.path()).await,
        }
        let new = new.keep();
        if std::fs::rename(&new, &home).is_err() {
            // Another test was quicker.
            assert!(home.exists(), "can't move {} to {}", new.display(), home.display());
            std::fs::remove_dir_all(&new).unwrap();
        }
        home
    }

    async fn npm(&self, folder: &Path) {
        let mut command = Command::new("npm");
        command.args(["install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix"]).arg(folder);
        run(command.arg(self.exactly()), "npm").await;
    }

    async fn pip(&self, folder: &Path) {
        run(Command::new(common::python()).args(["-m", "venv"]).arg(folder), "python3 -m venv").await;
        let mut command = Command::new(folder.join("bin").join("python"));
        command.args(["-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"]);
        run(command.arg(self.exactly()), "pip").await;
    }
}

/// Runs a program to its good end, and answers what it printed.
pub async fn run(command: &mut Command, name: &str) -> String {
    let ended = tokio::time::timeout(PATIENCE, command.kill_on_drop(true).output()).await;
    let ran = match ended.unwrap_or_else(|_| panic!("{name} doesn't end; {NEEDED}")) {
        Ok(ran) => ran,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            panic!("{name}: there is no {}; {NEEDED}", command.as_std().get_program().display())
        }
        Err(error) => panic!("{name}: {error}"),
    };
    let (said, complained) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success(), "{name} failed; {NEEDED}:\n{said}\n{complained}");
    said.into_owned()
}
