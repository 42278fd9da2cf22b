//! `satchel init`: makes a data folder. The seed is written last and never over another, so an
//! interrupted `init` can simply be run again.

use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};

use bitcoin::Network;
use clap::Args;
use serde_json::json;

use super::args::{Global, network_parser};
use super::error::CliError;
use super::report::Report;
use super::seed::NEEDED_AT_START;
use crate::config::data_dir::{self, DataDirError, Passphrase};
use crate::config::{Config, EXAMPLE, admin_key_path, default_esplora_url, seed_path};
use crate::core::ids::Secret;

/// How to make it.
#[derive(Args, Debug)]
pub struct InitArgs {
    /// Which chain; fixed for the life of the data folder [default: bitcoin]
    #[arg(long, value_parser = network_parser(), value_name = "NETWORK")]
    network: Option<Network>,
    /// Read the words of an old seed from standard input instead of making new ones
    #[arg(long)]
    restore: bool,
    /// Encrypt the seed file with the passphrase in the first line of this file (at least 12 characters)
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// With --json: put the seed words into the answer
    #[arg(long)]
    show_seed: bool,
}

const RESTORE_WARNING: &str = "\
WARNING: seed words bring back coins on-chain. They do NOT bring back channels: what was in them is known
only to the old data folder. If you still have that folder, use it as it is instead of restoring. Never run
two satchels with the same words, and never an old copy of a data folder: both can lose all channel funds.";

pub fn run(global: &Global, args: &InitArgs) -> Result<Report, CliError> {
    let overrides = global.overrides();
    let data_dir = Config::data_dir_for(&overrides);
    let data_dir = std::path::absolute(&data_dir).unwrap_or(data_dir);
    let seed_file = seed_path(&data_dir);
    if seed_file.exists() {
        return Err(CliError::failed(format!("there is a seed in {} already", data_dir.display()))
            .help("it may stand for money and is never overwritten; give another --data-dir"));
    }
    let config_file = Config::file_for(&overrides).unwrap_or_else(|| data_dir.join("config.toml"));
    let network = network(global, args, &config_file)?;
    // Asked for before anything is written.
    let passphrase = args.passphrase_file.as_deref().map(Passphrase::new_in_file).transpose()?;
    let words = if args.restore { Some(restored_words()?) } else { None };

    data_dir::create_folder(&data_dir)?;
    let wrote_config = write_config(&config_file, network)?;
    let key = admin_key(&data_dir)?;
    let words = match words {
        Some(words) => words,
        None => data_dir::new_words()?,
    };
    let seed = data_dir::seed_text(&words, passphrase.as_ref())?;
    data_dir::write_private(&seed_file, seed.expose())?;

    let mut json = json!({
        "data_dir": data_dir,
        "config": config_file,
        "admin_key": key.expose(),
        "network": network.to_string(),
        "seed_encrypted": passphrase.is_some(),
    });
    if let (true, Some(fields)) = (args.show_seed, json.as_object_mut()) {
        fields.insert("seed".into(), json!(words.expose()));
    }
    let (restored, encrypted) = (args.restore, passphrase.is_some());
    let made = Made { data_dir, config_file, wrote_config, network, words, restored, encrypted };
    Ok(Report::new(json, made.text()))
}

/// The network asked for, unless a configuration that is there says otherwise.
fn network(global: &Global, args: &InitArgs, config_file: &Path) -> Result<Network, CliError> {
    if !config_file.exists() {
        return Ok(args.network.unwrap_or(Network::Bitcoin));
    }
    let configured = Config::load_unchecked(&global.overrides())?.network;
    match args.network {
        Some(asked) if asked != configured => {
            Err(CliError::usage(format!("{} is for {configured}, not {asked}", config_file.display()))
                .help("change `network` in that file, or leave --network out"))
        }
        _ => Ok(configured),
    }
}

fn restored_words() -> Result<Secret, CliError> {
    eprintln!("{RESTORE_WARNING}");
    if std::io::stdin().is_terminal() {
        eprintln!("\nType the words with spaces between, then Enter and Ctrl-D:");
    }
    let mut text = String::new();
    let read = std::io::stdin().lock().take(4_096).read_to_string(&mut text);
    read.map_err(|error| CliError::failed(format!("can't read the words: {error}")))?;
    data_dir::parse_words(&text).ok_or_else(|| {
        CliError::usage("these are not BIP39 seed words").help(
            "give 12 to 24 English words in their order; one that is misspelled or missing spoils them all",
        )
    })
}

/// Writes the example with the network set, unless there is a configuration already.
fn write_config(path: &Path, network: Network) -> Result<bool, CliError> {
    let text = EXAMPLE.replacen("network = \"bitcoin\"", &format!("network = \"{network}\""), 1);
    match data_dir::write_private(path, &text) {
        Ok(()) => Ok(true),
        Err(DataDirError::Exists(_)) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn admin_key(data_dir: &Path) -> Result<Secret, CliError> {
    let key = data_dir::new_admin_key()?;
    match data_dir::write_private(&admin_key_path(data_dir), &format!("{}\n", key.expose())) {
        Ok(()) => Ok(key),
        Err(DataDirError::Exists(_)) => Ok(data_dir::read_admin_key(data_dir)?),
        Err(error) => Err(error.into()),
    }
}

impl From<DataDirError> for CliError {
    fn from(error: DataDirError) -> Self {
        let help = match &error {
            DataDirError::Missing(_)
            | DataDirError::Exists(_)
            | DataDirError::NoPassphrase(_)
            | DataDirError::WrongPassphrase { .. } => None,
            DataDirError::PassphraseFile { .. } => {
                Some("give a file whose first line is the passphrase, and that this user can read")
            }
            DataDirError::Garbled { .. } => Some("put the right file back, or use another --data-dir"),
            DataDirError::Io { .. } => Some("check the path, its owner, and the space on the disk"),
            DataDirError::NoRandomness(_) => Some("the system is not healthy; do not make a seed on it"),
        };
        Self { help: help.map(Into::into), ..Self::failed(error.to_string()) }
    }
}

/// What was made, for people.
struct Made {
    data_dir: PathBuf,
    config_file: PathBuf,
    wrote_config: bool,
    network: Network,
    words: Secret,
    restored: bool,
    encrypted: bool,
}

impl Made {
    fn text(&self) -> String {
        let mut text = format!("A data folder for {}: {}\n\n", self.network, self.data_dir.display());
        if !self.restored {
            text.push_str(&self.seed_text());
        }
        if self.encrypted {
            text.push_str(&format!("The seed file is encrypted: {NEEDED_AT_START}\n"));
        }
        let config = self.config_file.display();
        let config =
            if self.wrote_config { format!("{config} (new)") } else { format!("{config} (kept as it was)") };
        text.push_str(&format!(
            "Configuration: {config}\nAdmin key: {} (the commands find it there)\n\nNext:\n",
            admin_key_path(&self.data_dir).display()
        ));
        if default_esplora_url(self.network).is_none() {
            text.push_str(&format!(
                "  set [chain] in {}: there is no public server for it\n",
                self.config_file.display()
            ));
        }
        text.push_str("  satchel doctor    see whether all is well\n  satchel run       start\n");
        text
    }

    fn seed_text(&self) -> String {
        let words: Vec<_> = self.words.expose().split(' ').collect();
        let mut text =
            String::from("The seed words. Write them down on paper now, they are not shown again:\n\n");
        for (row, line) in words.chunks(6).enumerate() {
            let cells: Vec<_> = line
                .iter()
                .enumerate()
                .map(|(column, word)| format!("{:>2} {word:<8}", row * 6 + column + 1))
                .collect();
            text.push_str(&format!("  {}\n", cells.join("  ").trim_end()));
        }
        text.push_str(
            "\nWhoever has them has the coins. They bring back what is on-chain, not what is in channels: keep the\n\
             data folder safe too, and never start an old copy of it.\n\n",
        );
        text
    }
}
