//! `satchel seed`: encrypts the seed file with a passphrase, or takes that away. Works on the data folder alone.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;

use super::args::Global;
use super::error::CliError;
use super::report::Report;
use crate::config::data_dir::{self, Passphrase, PassphraseSources};
use crate::config::{Config, seed_path};

/// What satchel needs of who has encrypted a seed.
pub const NEEDED_AT_START: &str = "\
satchel needs the passphrase at each start. Give it in one of these ways:
  [node] seed_passphrase_file    the path of a file that only satchel's user can read
  SATCHEL_SEED_PASSPHRASE        in the environment
  LoadCredential=seed-passphrase:PATH in the systemd unit (or LoadCredentialEncrypted=)
Without it, and without the words on paper, the coins are lost.
";

/// What to do with it.
#[derive(Subcommand, Debug)]
pub enum SeedCommand {
    /// Encrypt the seed file with a passphrase
    Encrypt(EncryptArgs),
    /// Write the seed file in the clear again
    Decrypt,
}

/// How to encrypt it.
#[derive(Args, Debug)]
pub struct EncryptArgs {
    /// The file that holds the passphrase in its first line, at least 12 characters; - for the standard input
    #[arg(long, value_name = "FILE")]
    passphrase_file: PathBuf,
}

pub fn run(global: &Global, command: &SeedCommand) -> Result<Report, CliError> {
    let overrides = global.overrides();
    let data_dir = Config::data_dir_for(&overrides);
    let path = seed_path(&data_dir);
    let encrypted = data_dir::is_seed_encrypted(&data_dir)?;
    let text = match command {
        SeedCommand::Encrypt(_) if encrypted => {
            return Err(CliError::failed(format!("{} is encrypted already", path.display()))
                .help("for another passphrase: `satchel seed decrypt`, then `satchel seed encrypt`"));
        }
        SeedCommand::Encrypt(args) => {
            let words = data_dir::read_seed(&data_dir, &PassphraseSources::default())?;
            let passphrase = Passphrase::new_in_file(&args.passphrase_file)?;
            data_dir::rewrite_seed(&data_dir, &words, Some(&passphrase))?;
            format!(
                "{} is encrypted. Copies of it from before are not, nor is what the disk may still hold of it.\n\n\
                 {NEEDED_AT_START}",
                path.display()
            )
        }
        SeedCommand::Decrypt if !encrypted => {
            return Err(CliError::failed(format!("{} is not encrypted", path.display())));
        }
        SeedCommand::Decrypt => {
            let config = Config::load_unchecked(&overrides)?;
            let sources = PassphraseSources::of_process(&config.node.seed_passphrase_file);
            let words = data_dir::read_seed(&data_dir, &sources)?;
            data_dir::rewrite_seed(&data_dir, &words, None)?;
            format!("{} is in the clear: whoever reads it has the coins\n", path.display())
        }
    };
    let json = json!({ "seed": path, "encrypted": matches!(command, SeedCommand::Encrypt(_)) });
    Ok(Report::new(json, text))
}
