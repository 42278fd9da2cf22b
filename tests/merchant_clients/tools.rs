//! The MCP server of PyPI's `lightning-enable-mcp`, with satchel's address and a key in place of the original's.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::clients::Client;

/// How long a tool may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// Its settings: no pause between payments, and no human who must confirm them.
const CONFIG: &str = r#"{"session": {"cooldownSeconds": 0}, "tiers": {"autoApprove": 1000}}"#;

/// A running server. Its home folder outlives it, as a user's does.
pub struct Tools {
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    _workshop: TempDir,
}

impl Tools {
    /// A home folder, with settings.
    pub fn home() -> TempDir {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join(".lightning-enable");
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("config.json"), CONFIG).unwrap();
        home
    }

    /// Starts it in a home folder, against a satchel, with a wallet.
    pub async fn start(home: &Path, satchel: &str, wallet: &str) -> Self {
        let (workshop, python) = Client::named("lightning-enable-mcp").workshop().await;
        for (name, text) in
            [("wallet.py", include_str!("../l402_clients/wallet.py")), ("tools.py", include_str!("tools.py"))]
        {
            std::fs::write(workshop.path().join(name), text).unwrap();
        }
        let mut command = Command::new(python);
        command.arg("tools.py").current_dir(workshop.path()).env("HOME", home).env("W0", wallet);
        command.env("LIGHTNING_ENABLE_API_URL", satchel).env_remove("LIGHTNING_ENABLE_API_KEY");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Self { child, input, output: BufReader::new(output).lines(), _workshop: workshop }
    }

    /// Calls a tool.
    pub async fn call(&mut self, tool: &str, arguments: Value) -> Value {
        let line = format!("{}\n", json!({ "tool": tool, "arguments": arguments }));
        self.input.write_all(line.as_bytes()).await.unwrap();
        let said = tokio::time::timeout(PATIENCE, self.output.next_line()).await;
        let said = said.unwrap_or_else(|_| panic!("{tool} says nothing")).unwrap();
        let said = said.unwrap_or_else(|| panic!("it ended at {tool}: {:?}", self.child.try_wait()));
        eprintln!("   {tool}: {}", said.chars().take(400).collect::<String>());
        serde_json::from_str(&said).unwrap()
    }

    /// The same for one that must succeed.
    pub async fn ok(&mut self, tool: &str, arguments: Value) -> Value {
        let said = self.call(tool, arguments).await;
        assert_eq!(said["success"], true, "{tool}: {said}");
        said
    }

    /// The same for one of the producer's tools.
    pub async fn produce(&mut self, action: &str, arguments: Value) -> Value {
        let mut all = arguments;
        all["action"] = action.into();
        self.call("l402_producer", all).await
    }
}
