//! The data folder's small files: the seed words and the admin key.
//!
//! `satchel init` writes them, the start of the process and the operator's commands read them. They are
//! never overwritten: a lost seed is lost money. The database is [`crate::storage`]'s matter.

mod locked_seed;
mod passphrase;

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use bip39::Mnemonic;

use locked_seed::Shut;
pub use passphrase::{Passphrase, PassphraseSources};

use crate::config::{admin_key_path, seed_path};
use crate::core::ids::{NoRandomness, Secret, random_bytes, random_hex};

/// What an admin key begins with; as all API keys.
const KEY_MARK: &str = "satchel_";

/// Only the owner may read and write.
const PRIVATE_FILE: u32 = 0o600;

/// Only the owner may enter.
const PRIVATE_FOLDER: u32 = 0o700;

/// What is wrong with the data folder.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// `init` has not been run for this folder.
    #[error("there is no {}; run `satchel init` first, or give --data-dir", .0.display())]
    Missing(PathBuf),
    /// It is there already and is left alone.
    #[error("{} exists already", .0.display())]
    Exists(PathBuf),
    /// The file doesn't hold what it should.
    #[error("{} does not hold {what}", path.display())]
    Garbled {
        /// Which file.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
    },
    /// The file system refuses.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The seed is encrypted and no passphrase is given.
    #[error(
        "{} is encrypted and no passphrase is given: name the file that holds it in [node] seed_passphrase_file, or set \
         SATCHEL_SEED_PASSPHRASE, or give the systemd unit the credential seed-passphrase",
        .0.display()
    )]
    NoPassphrase(PathBuf),
    /// The passphrase isn't the one of the seed.
    #[error(
        "the passphrase of {from} does not open {}: give the one that the seed was encrypted with; without it only the \
         seed words on paper help",
        path.display()
    )]
    WrongPassphrase {
        /// The seed file.
        path: PathBuf,
        /// Where the passphrase came from.
        from: String,
    },
    /// A file doesn't give a passphrase.
    #[error("the passphrase file {} {why}", path.display())]
    PassphraseFile {
        /// Which.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// Nothing secret can be made.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
}

/// The seed words of a data folder, checked. `sources` are asked for the passphrase of an encrypted seed.
///
/// # Errors
/// [`DataDirError::Missing`], [`DataDirError::Garbled`], [`DataDirError::Io`], those of passphrases.
pub fn read_seed(data_dir: &Path, sources: &PassphraseSources) -> Result<Secret, DataDirError> {
    let path = seed_path(data_dir);
    let mut text = Secret::new(read(&path)?);
    if locked_seed::is_locked(text.expose()) {
        let Some(passphrase) = sources.find()? else { return Err(DataDirError::NoPassphrase(path)) };
        text = match locked_seed::unlock(text.expose(), &passphrase.text) {
            Ok(words) => words,
            Err(Shut::Wrong) => {
                return Err(DataDirError::WrongPassphrase { path, from: passphrase.from });
            }
            Err(Shut::Garbled) => {
                return Err(DataDirError::Garbled { path, what: "an encrypted seed that is whole" });
            }
        };
    }
    parse_words(text.expose()).ok_or(DataDirError::Garbled { path, what: "BIP39 seed words" })
}

/// Whether the seed of a data folder is encrypted.
///
/// # Errors
/// [`DataDirError::Missing`], [`DataDirError::Io`].
pub fn is_seed_encrypted(data_dir: &Path) -> Result<bool, DataDirError> {
    let text = Secret::new(read(&seed_path(data_dir))?);
    Ok(locked_seed::is_locked(text.expose()))
}

/// What a seed file holds: the words, encrypted if there is a passphrase.
///
/// # Errors
/// [`DataDirError::NoRandomness`].
pub fn seed_text(words: &Secret, passphrase: Option<&Passphrase>) -> Result<Secret, DataDirError> {
    match passphrase {
        Some(passphrase) => Ok(Secret::new(locked_seed::lock(words, &passphrase.text)?)),
        None => Ok(Secret::new(format!("{}\n", words.expose()))),
    }
}

/// Writes the seed file again, encrypted or not. Crash behaviour: it is whole, the old or the new one.
///
/// # Errors
/// [`DataDirError::NoRandomness`], [`DataDirError::Io`].
pub fn rewrite_seed(
    data_dir: &Path,
    words: &Secret,
    passphrase: Option<&Passphrase>,
) -> Result<(), DataDirError> {
    let path = seed_path(data_dir);
    // A link stays one, and the file its owner's, whoever runs this.
    let path =
        std::fs::canonicalize(&path).map_err(|source| DataDirError::Io { path: path.clone(), source })?;
    let new = path.with_extension("new");
    let failed = |source: io::Error| DataDirError::Io { path: new.clone(), source };
    // Of an attempt that was cut off.
    match std::fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    write_private(&new, seed_text(words, passphrase)?.expose())?;
    let owner = std::fs::metadata(&path).map_err(failed)?;
    std::os::unix::fs::chown(&new, Some(owner.uid()), Some(owner.gid())).map_err(failed)?;
    std::fs::rename(&new, &path).map_err(failed)?;
    let folder = path.parent().unwrap_or(data_dir);
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)
}

/// The admin key of a data folder.
///
/// # Errors
/// [`DataDirError::Missing`], [`DataDirError::Garbled`], [`DataDirError::Io`].
pub fn read_admin_key(data_dir: &Path) -> Result<Secret, DataDirError> {
    let path = admin_key_path(data_dir);
    let text = read(&path)?;
    if !text.trim().starts_with(KEY_MARK) {
        return Err(DataDirError::Garbled { path, what: "an admin key" });
    }
    Ok(Secret::new(text.trim()))
}

/// BIP39 words in their one form: lower case, one space between. `None` if they are no valid words.
pub fn parse_words(text: &str) -> Option<Secret> {
    let words = text.split_whitespace().map(str::to_lowercase).collect::<Vec<_>>().join(" ");
    Mnemonic::parse_in_normalized(bip39::Language::English, &words).ok().map(|_| Secret::new(words))
}

/// Twenty-four new words.
///
/// # Errors
/// [`DataDirError::NoRandomness`].
pub fn new_words() -> Result<Secret, DataDirError> {
    let entropy = random_bytes::<32>()?;
    let words = Mnemonic::from_entropy(&entropy).map_err(|_| NoRandomness)?;
    Ok(Secret::new(words.to_string()))
}

/// A new admin key.
///
/// # Errors
/// [`DataDirError::NoRandomness`].
pub fn new_admin_key() -> Result<Secret, DataDirError> {
    Ok(Secret::new(format!("{KEY_MARK}{}", random_hex::<32>()?)))
}

/// Makes the folder if it isn't there, and closes it to others.
///
/// # Errors
/// [`DataDirError::Io`].
pub fn create_folder(data_dir: &Path) -> Result<(), DataDirError> {
    let failed = |source| DataDirError::Io { path: data_dir.to_owned(), source };
    DirBuilder::new().recursive(true).mode(PRIVATE_FOLDER).create(data_dir).map_err(failed)?;
    let mut permissions = std::fs::metadata(data_dir).map_err(failed)?.permissions();
    permissions.set_mode(PRIVATE_FOLDER);
    std::fs::set_permissions(data_dir, permissions).map_err(failed)
}

/// Writes a new file that only its owner can read, durably. Crash behaviour: the file is whole, empty, or
/// not there.
///
/// # Errors
/// [`DataDirError::Exists`], [`DataDirError::Io`].
pub fn write_private(path: &Path, text: &str) -> Result<(), DataDirError> {
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::AlreadyExists => DataDirError::Exists(path.to_owned()),
        _ => DataDirError::Io { path: path.to_owned(), source },
    };
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(PRIVATE_FILE).open(path).map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)?;
    file.sync_all().map_err(failed)?;
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)
}

fn read(path: &Path) -> Result<String, DataDirError> {
    std::fs::read_to_string(path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => DataDirError::Missing(path.to_owned()),
        _ => DataDirError::Io { path: path.to_owned(), source },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_back_in_their_one_form() {
        let folder = tempfile::tempdir().unwrap();
        let words = new_words().unwrap();
        assert_eq!(words.expose().split(' ').count(), 24);
        let sloppy = format!("  {}\n", words.expose().to_uppercase().replace(' ', "\n "));
        write_private(&seed_path(folder.path()), &sloppy).unwrap();
        assert_eq!(read_seed(folder.path(), &PassphraseSources::default()).unwrap(), words);
    }

    #[test]
    fn what_is_no_seed_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(
            read_seed(folder.path(), &PassphraseSources::default()),
            Err(DataDirError::Missing(_))
        ));
        let words = ["abandon"; 12].join(" ");
        write_private(&seed_path(folder.path()), &words).unwrap();
        assert!(matches!(
            read_seed(folder.path(), &PassphraseSources::default()),
            Err(DataDirError::Garbled { .. })
        ));
    }

    #[test]
    fn encrypted_seed_needs_its_passphrase_and_each_refusal_says_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let (words, file) = (new_words().unwrap(), folder.path().join("passphrase"));
        std::fs::write(&file, "correct horse battery staple\n").unwrap();
        let right = PassphraseSources::file(&file);
        write_private(&seed_path(folder.path()), words.expose()).unwrap();
        // A seed in the clear needs none, and an attempt that was cut off is in nobody's way.
        assert!(!is_seed_encrypted(folder.path()).unwrap());
        std::fs::write(folder.path().join("seed.new"), "half").unwrap();
        let passphrase = Passphrase::new_in_file(&file).unwrap();
        rewrite_seed(folder.path(), &words, Some(&passphrase)).unwrap();
        assert!(is_seed_encrypted(folder.path()).unwrap());
        let kept = std::fs::read_to_string(seed_path(folder.path())).unwrap();
        assert!(words.expose().split(' ').all(|word| word.len() < 5 || !kept.contains(word)));
        let mode = std::fs::metadata(seed_path(folder.path())).unwrap().permissions().mode();
        assert_eq!((mode & 0o777, folder.path().join("seed.new").exists()), (0o600, false));
        assert_eq!(read_seed(folder.path(), &right).unwrap(), words);

        let refusal = |sources: &PassphraseSources| {
            let error = read_seed(folder.path(), sources).unwrap_err();
            let told = format!("{error} {error:?} {sources:?}");
            assert!(!told.contains("horse") && !told.contains("guess"), "{told}");
            error.to_string()
        };
        let said = refusal(&PassphraseSources::default());
        assert!(said.contains("seed_passphrase_file") && said.contains("SATCHEL_SEED_PASSPHRASE"), "{said}");
        let other = folder.path().join("other");
        let said = refusal(&PassphraseSources::file(&other));
        assert!(said.contains("other can't be read"), "{said}");
        std::fs::write(&other, "\n").unwrap();
        assert!(refusal(&PassphraseSources::file(&other)).contains("no passphrase in its first line"));
        std::fs::write(&other, "a wrong guess").unwrap();
        let said = refusal(&PassphraseSources::file(&other));
        assert!(said.contains("other does not open") && said.contains("paper"), "{said}");
        std::fs::write(&other, "too short").unwrap();
        assert!(Passphrase::new_in_file(&other).unwrap_err().to_string().contains("less than 12"));

        rewrite_seed(folder.path(), &words, None).unwrap();
        assert_eq!(read_seed(folder.path(), &PassphraseSources::default()).unwrap(), words);
    }

    #[test]
    fn nothing_is_overwritten_and_nobody_else_can_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = admin_key_path(folder.path());
        let key = new_admin_key().unwrap();
        write_private(&path, key.expose()).unwrap();
        assert!(matches!(write_private(&path, "other"), Err(DataDirError::Exists(_))));
        assert_eq!(read_admin_key(folder.path()).unwrap(), key);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
