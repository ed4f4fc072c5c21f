//! The directories of a stack. Other users of the machine can neither read nor replace what is in them.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

const LOCK_FILE: &str = "lock";

/// Longer than any process id.
const PID_BYTES_MAX: u64 = 32;

/// Has every file and directory that this process creates from now on be closed to other users, also those
/// of `SQLite`.
pub fn keep_new_files_private() {
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
}

/// A data directory that no other stack uses. Dropping it, or the end of this process in any way, lets the
/// next stack use it. The functions do not inherit the lock.
pub(super) struct DataDir {
    path: PathBuf,
    _lock: File,
}

impl DataDir {
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        create_private(path)?;
        warn_if_open(path);
        let lock = lock(path)?;
        Ok(Self {
            path: path.to_owned(),
            _lock: lock,
        })
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// A directory in it, which only its owner can enter, also if an older stack made it.
    pub(super) fn directory(&self, name: &str) -> anyhow::Result<PathBuf> {
        let path = self.path.join(name);
        create_private(&path)?;
        make_private(&path)?;
        Ok(path)
    }
}

fn lock(directory: &Path) -> anyhow::Result<File> {
    let path = directory.join(LOCK_FILE);
    let mut lock = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .with_context(|| format!("cannot open {}", path.display()))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            let holder = match (&lock).take(PID_BYTES_MAX).read_to_string(&mut holder) {
                Ok(_) if !holder.trim().is_empty() => format!("process {}", holder.trim()),
                _ => "another process".to_owned(),
            };
            anyhow::bail!(
                "the data directory {} is in use by {holder}; stop it, or choose another directory with --data-dir",
                directory.display()
            );
        }
        Err(TryLockError::Error(error)) => {
            return Err(error).with_context(|| format!("cannot lock {}", path.display()));
        }
    }
    lock.set_len(0)
        .and_then(|()| writeln!(lock, "{}", std::process::id()))
        .with_context(|| format!("cannot write {}", path.display()))?;
    Ok(lock)
}

/// Creates a directory that is closed to other users, and its missing parents likewise. An existing one
/// stays as it is.
pub(super) fn create_private(path: &Path) -> anyhow::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
        .create(path)
        .with_context(|| format!("cannot create the directory {}", path.display()))
}

#[cfg(unix)]
fn make_private(path: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700))
        .with_context(|| format!("cannot close the directory {} to other users", path.display()))
}

#[cfg(not(unix))]
fn make_private(_path: &Path) -> anyhow::Result<()> {
    Ok(())
}

/// The directory itself may have other purposes, so it is left to its owner.
#[cfg(unix)]
fn warn_if_open(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = path
        .metadata()
        .map_or(0, |metadata| metadata.permissions().mode());
    if mode & 0o077 != 0 {
        let path = path.display();
        tracing::warn!(
            "the data directory {path} is open to other users (mode {:o}); close it with: chmod 700 {path}",
            mode & 0o777
        );
    }
}

#[cfg(not(unix))]
fn warn_if_open(_path: &Path) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_in_use_is_refused_with_the_process_that_uses_it() {
        let temporary = tempfile::tempdir().expect("a directory");
        let path = temporary.path().join("data");
        let first = DataDir::open(&path).expect("nobody uses it");
        let refused = DataDir::open(&path).err().expect("it is in use").to_string();
        let expected = format!(
            "the data directory {} is in use by process {}; stop it, or choose another directory with --data-dir",
            path.display(),
            std::process::id()
        );
        assert_eq!(refused, expected);
        drop(first);
        assert!(DataDir::open(&path).is_ok(), "it is free again");
    }

    #[cfg(unix)]
    #[test]
    fn directories_are_closed_to_other_users() {
        use std::os::unix::fs::PermissionsExt as _;
        let temporary = tempfile::tempdir().expect("a directory");
        let mode = |path: &Path| {
            let metadata = path.metadata().expect("it exists");
            metadata.permissions().mode() & 0o777
        };
        let path = temporary.path().join("new/data");
        let data = DataDir::open(&path).expect("it is created");
        assert_eq!((mode(&path), mode(&temporary.path().join("new"))), (0o700, 0o700));
        let older = path.join("older");
        std::fs::create_dir(&older).expect("it is created");
        std::fs::set_permissions(&older, std::fs::Permissions::from_mode(0o755)).expect("it is ours");
        assert_eq!(data.directory("older").expect("it exists"), older);
        assert_eq!(mode(&older), 0o700);
    }

    #[test]
    fn an_error_names_the_path() {
        let temporary = tempfile::tempdir().expect("a directory");
        let file = temporary.path().join("file");
        std::fs::write(&file, "").expect("it is written");
        let below = file.join("data");
        for (path, expected) in [
            (&file, "cannot create the directory"),
            (&below, "cannot create the directory"),
        ] {
            let error = DataDir::open(path).err().expect("a file is there").to_string();
            assert_eq!(error, format!("{expected} {}", path.display()));
        }
        std::fs::create_dir(temporary.path().join(LOCK_FILE)).expect("it is created");
        let error = DataDir::open(temporary.path()).err().expect("it is a directory");
        let lock = temporary.path().join(LOCK_FILE);
        assert_eq!(error.to_string(), format!("cannot open {}", lock.display()));
    }
}
