//! Where the passphrase of an encrypted seed comes from: the environment, a file, or a systemd credential.

use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::DataDirError;
use crate::core::ids::Secret;

/// The variable that holds a passphrase.
const VARIABLE: &str = "SATCHEL_SEED_PASSPHRASE";

/// The folder of the unit's credentials, and the name of ours (`LoadCredential=seed-passphrase:...`).
const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";
const CREDENTIAL: &str = "seed-passphrase";

/// Fewer characters are guessed in spite of all.
const SHORTEST: usize = 12;

/// Larger files are no passphrase.
const LONGEST: u64 = 4_096;

/// A passphrase, and where it was found.
#[derive(Clone, Debug)]
pub struct Passphrase {
    pub(super) text: Secret,
    /// For messages: a variable or a path.
    pub(super) from: String,
}

impl Passphrase {
    /// The one in a file; of `-`, in the first line of the standard input.
    ///
    /// # Errors
    /// [`DataDirError::PassphraseFile`].
    pub fn in_file(path: &Path) -> Result<Self, DataDirError> {
        let failed = |why: String| DataDirError::PassphraseFile { path: path.to_owned(), why };
        let mut text = String::new();
        let read = if path == Path::new("-") {
            std::io::stdin().lock().take(LONGEST).read_to_string(&mut text)
        } else {
            std::fs::File::open(path).and_then(|file| file.take(LONGEST).read_to_string(&mut text))
        };
        read.map_err(|error| failed(format!("can't be read: {error}")))?;
        let text = Secret::new(text.lines().next().unwrap_or_default());
        if text.expose().is_empty() {
            return Err(failed("holds no passphrase in its first line".into()));
        }
        Ok(Self { text, from: path.display().to_string() })
    }

    /// The same for a seed that is to be encrypted.
    ///
    /// # Errors
    /// [`DataDirError::PassphraseFile`], also for one that is too short.
    pub fn new_in_file(path: &Path) -> Result<Self, DataDirError> {
        let passphrase = Self::in_file(path)?;
        if passphrase.text.expose().chars().count() < SHORTEST {
            let why = format!("holds a passphrase of less than {SHORTEST} characters; take a longer one");
            return Err(DataDirError::PassphraseFile { path: path.to_owned(), why });
        }
        Ok(passphrase)
    }
}

/// Where one may be; asked only when the seed is encrypted.
#[derive(Clone, Default)]
pub struct PassphraseSources {
    variable: Option<Secret>,
    file: Option<PathBuf>,
    credential: Option<PathBuf>,
}

impl PassphraseSources {
    /// Of this process, with `[node] seed_passphrase_file`, which may be empty.
    pub fn of_process(configured: &str) -> Self {
        let variable = std::env::var(VARIABLE).ok().filter(|text| !text.is_empty()).map(Secret::new);
        let credential = std::env::var_os(CREDENTIALS)
            .map(|folder| Path::new(&folder).join(CREDENTIAL))
            .filter(|path| path.exists());
        Self {
            variable,
            file: Some(configured).filter(|path| !path.is_empty()).map(PathBuf::from),
            credential,
        }
    }

    /// The file alone.
    #[cfg(test)]
    pub fn file(path: &Path) -> Self {
        Self { file: Some(path.to_owned()), ..Self::default() }
    }

    /// The passphrase; `None` if none is given. The variable goes before the file, which goes before the credential.
    pub(super) fn find(&self) -> Result<Option<Passphrase>, DataDirError> {
        if let Some(text) = &self.variable {
            return Ok(Some(Passphrase { text: text.clone(), from: VARIABLE.into() }));
        }
        self.file.as_ref().or(self.credential.as_ref()).map(|path| Passphrase::in_file(path)).transpose()
    }
}

impl fmt::Debug for PassphraseSources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PassphraseSources").field("file", &self.file).finish_non_exhaustive()
    }
}
