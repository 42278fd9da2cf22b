//! The data folder: there, closed to others, with seed, key and room.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::Check;
use crate::config::data_dir::{DataDirError, PassphraseSources, read_admin_key, read_seed};
use crate::config::{Config, admin_key_path, admin_socket_path, seed_path};

/// Below this a busy day can fill the disk.
const LITTLE_ROOM: u64 = 2_000_000_000;

/// Below this the next hour can.
const NO_ROOM: u64 = 200_000_000;

pub fn look(config: &Config, passphrase: &PassphraseSources) -> Vec<Check> {
    let data_dir = config.data_dir.as_path();
    if !data_dir.is_dir() {
        let says = format!("there is no {}", data_dir.display());
        return vec![Check::fail("data folder", says, "run `satchel init`, or give --data-dir")];
    }
    let mut checks = vec![folder(data_dir), room(data_dir)];
    let seed = read_seed(data_dir, passphrase).map(drop);
    checks.push(secret_file("seed", &seed_path(data_dir), seed, "restore it from the words on paper"));
    let key = read_admin_key(data_dir).map(drop);
    checks.push(secret_file("admin key", &admin_key_path(data_dir), key, "give --admin-key to the commands"));
    checks.extend(open_files(config));
    checks
}

/// Files that hold what opens money, besides seed and key: the database with its journal, and the operator's socket.
fn open_files(config: &Config) -> Vec<Check> {
    let database = config.database_path();
    let beside = |suffix: &str| {
        let mut name = database.clone().into_os_string();
        name.push(suffix);
        PathBuf::from(name)
    };
    let files = [
        ("database", database.clone()),
        ("database", beside("-wal")),
        ("database", beside("-shm")),
        ("operator's API", admin_socket_path(&config.data_dir)),
    ];
    let open = |(name, path): (&'static str, PathBuf)| {
        let mode = std::fs::metadata(&path).ok()?.permissions().mode();
        let says = format!("others can open {}", path.display());
        (mode & 0o077 != 0).then(|| Check::fail(name, says, format!("chmod 600 {}", path.display())))
    };
    files.into_iter().filter_map(open).collect()
}

fn folder(data_dir: &Path) -> Check {
    const NAME: &str = "data folder";
    match std::fs::metadata(data_dir) {
        Err(error) => {
            Check::fail(NAME, format!("{}: {error}", data_dir.display()), "check its owner and path")
        }
        Ok(data) if data.permissions().readonly() => Check::fail(
            NAME,
            format!("{} can't be written", data_dir.display()),
            "check its owner and permissions",
        ),
        Ok(data) if data.permissions().mode() & 0o077 != 0 => {
            let remedy = format!("chmod 700 {}", data_dir.display());
            Check::warn(NAME, format!("others can look into {}", data_dir.display()), remedy)
        }
        Ok(_) => Check::ok(NAME, data_dir.display().to_string()),
    }
}

fn room(data_dir: &Path) -> Check {
    const NAME: &str = "disk";
    match rustix::fs::statvfs(data_dir) {
        Ok(disk) => judge_room(disk.f_bavail.saturating_mul(disk.f_frsize)),
        Err(error) => Check::warn(NAME, format!("free space is not known: {error}"), "look with `df`"),
    }
}

fn judge_room(free: u64) -> Check {
    const NAME: &str = "disk";
    let says = format!("{}.{} GB free", free / 1_000_000_000, free / 100_000_000 % 10);
    match free {
        0..NO_ROOM => Check::fail(NAME, says, "free some: without room the node waits and takes no payments"),
        NO_ROOM..LITTLE_ROOM => Check::warn(NAME, says, "free some before it is full"),
        _ => Check::ok(NAME, says),
    }
}

fn secret_file(name: &'static str, path: &Path, read: Result<(), DataDirError>, remedy: &str) -> Check {
    if let Err(DataDirError::NoPassphrase(_)) = read {
        // The service may have one that this command isn't given.
        return Check::warn(
            name,
            format!("{} is encrypted, and this command has no passphrase to try", path.display()),
            "set [node] seed_passphrase_file, or SATCHEL_SEED_PASSPHRASE for this command",
        );
    }
    if let Err(error) = read {
        let remedy = match error {
            DataDirError::Missing(_) => "run `satchel init`, or give --data-dir",
            DataDirError::WrongPassphrase { .. } | DataDirError::PassphraseFile { .. } => {
                "give the passphrase that the seed was encrypted with"
            }
            DataDirError::Io { .. } => "run this as the user that satchel runs as",
            _ => remedy,
        };
        return Check::fail(name, error.to_string(), remedy);
    }
    let mode = std::fs::metadata(path).map_or(0, |data| data.permissions().mode());
    if mode & 0o077 != 0 {
        return Check::fail(
            name,
            format!("others can read {}", path.display()),
            format!("chmod 600 {}", path.display()),
        );
    }
    Check::ok(name, path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::Level;
    use crate::config::data_dir::{
        Passphrase, create_folder, new_admin_key, new_words, rewrite_seed, write_private,
    };

    fn look(folder: &Path, passphrase: &PassphraseSources) -> Vec<Check> {
        super::look(&Config { data_dir: folder.to_owned(), ..Config::default() }, passphrase)
    }

    #[test]
    fn database_that_others_can_open_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let told = || {
            look(folder.path(), &PassphraseSources::default())
                .iter()
                .filter(|check| check.name == "database")
                .count()
        };
        for (name, count) in [("satchel.db", 1), ("satchel.db-wal", 2), ("satchel.db-shm", 3)] {
            let file = folder.path().join(name);
            write_private(&file, "x").unwrap();
            assert_eq!(told(), count - 1);
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
            assert_eq!(told(), count, "{name}");
        }
    }

    fn levels(checks: &[Check]) -> Vec<(&'static str, Level)> {
        checks.iter().filter(|check| check.name != "disk").map(|check| (check.name, check.level)).collect()
    }

    #[test]
    fn a_new_folder_is_well_and_an_opened_one_is_not() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("data");
        assert_eq!(levels(&look(&folder, &PassphraseSources::default())), [("data folder", Level::Fail)]);
        create_folder(&folder).unwrap();
        let missing = [("data folder", Level::Ok), ("seed", Level::Fail), ("admin key", Level::Fail)];
        assert_eq!(levels(&look(&folder, &PassphraseSources::default())), missing);
        write_private(&seed_path(&folder), new_words().unwrap().expose()).unwrap();
        write_private(&admin_key_path(&folder), new_admin_key().unwrap().expose()).unwrap();
        assert_eq!(
            levels(&look(&folder, &PassphraseSources::default())),
            [("data folder", Level::Ok), ("seed", Level::Ok), ("admin key", Level::Ok)]
        );

        let open = |path: &Path, mode| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap()
        };
        open(&folder, 0o755);
        open(&seed_path(&folder), 0o644);
        let opened = [("data folder", Level::Warn), ("seed", Level::Fail), ("admin key", Level::Ok)];
        assert_eq!(levels(&look(&folder, &PassphraseSources::default())), opened);
        std::fs::write(seed_path(&folder), "not words").unwrap();
        assert_eq!(
            levels(&look(&folder, &PassphraseSources::default())).get(1),
            Some(&("seed", Level::Fail))
        );
        let file = parent.path().join("passphrase");
        std::fs::write(&file, "correct horse battery").unwrap();
        let passphrase = Passphrase::new_in_file(&file).unwrap();
        rewrite_seed(&folder, &new_words().unwrap(), Some(&passphrase)).unwrap();
        let seed = |sources: &PassphraseSources| levels(&look(&folder, sources)).get(1).cloned();
        assert_eq!(seed(&PassphraseSources::default()), Some(("seed", Level::Warn)));
        assert_eq!(seed(&PassphraseSources::file(&file)), Some(("seed", Level::Ok)));
        std::fs::write(&file, "another passphrase").unwrap();
        assert_eq!(seed(&PassphraseSources::file(&file)), Some(("seed", Level::Fail)));
    }

    #[test]
    fn a_disk_fills_in_steps() {
        let steps = [(5_500_000_000, Level::Ok), (1_000_000_000, Level::Warn), (1_000, Level::Fail)];
        for (free, level) in steps {
            assert_eq!(judge_room(free).level, level);
        }
        assert_eq!(judge_room(5_540_000_000).says, "5.5 GB free");
    }
}
