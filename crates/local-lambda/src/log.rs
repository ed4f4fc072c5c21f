//! The log of one function: whole lines from all of its environments, in one bounded file.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt};

/// A log of this size is renamed to `NAME.1`, which replaces the previous one. The logs of a function
/// take at most twice this size.
pub const LOG_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Longer lines are split, so that a function that never ends a line uses bounded memory.
const LINE_BYTES_MAX: usize = 256 * 1024;

/// The bytes per read, which is the capacity of a pipe on Linux. A split line may be longer than
/// [`LINE_BYTES_MAX`] by this much.
const READ_BYTES: usize = 64 * 1024;

/// The log file of one function, shared by its environments.
pub struct Log {
    path: PathBuf,
    bytes_max: u64,
    open: Mutex<Open>,
}

struct Open {
    file: File,
    bytes: u64,
}

impl Log {
    /// Appends to the file at `path`. Creates the file and its directory if they are missing.
    pub fn open(path: PathBuf, bytes_max: u64) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let open = Mutex::new(open(&path)?);
        Ok(Self {
            path,
            bytes_max,
            open,
        })
    }

    /// Appends whole lines in one write, so that lines of other processes cannot interleave.
    fn append(&self, lines: &[u8]) -> io::Result<()> {
        let mut log = self.locked();
        let length = lines.len() as u64;
        if log.bytes > 0 && log.bytes + length > self.bytes_max {
            std::fs::rename(&self.path, previous(&self.path))?;
            *log = open(&self.path)?;
        }
        log.file.write_all(lines)?;
        log.bytes += length;
        Ok(())
    }

    fn locked(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn open(path: &Path) -> io::Result<Open> {
    let file = OpenOptions::new().create(true).append(true).open(path)?;
    let bytes = file.metadata()?.len();
    Ok(Open { file, bytes })
}

fn previous(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".1");
    name.into()
}

/// Reads a process's output to its end and appends it to the log in whole lines. `on_lines` gets the
/// same lines, one or more at a time.
pub async fn copy_lines(
    mut output: impl AsyncRead + Unpin,
    log: Option<&Log>,
    mut on_lines: impl FnMut(&[u8]),
) {
    let mut buffer = BytesMut::with_capacity(READ_BYTES);
    loop {
        buffer.reserve(READ_BYTES);
        // A broken pipe counts as the end of the output.
        let read = (&mut output)
            .take(READ_BYTES as u64)
            .read_buf(&mut buffer)
            .await
            .unwrap_or(0);
        let whole = match buffer.iter().rposition(|byte| *byte == b'\n') {
            Some(end) => buffer.split_to(end + 1),
            None if !buffer.is_empty() && (read == 0 || buffer.len() >= LINE_BYTES_MAX) => {
                buffer.extend_from_slice(b"\n");
                buffer.split()
            }
            None => BytesMut::new(),
        };
        if !whole.is_empty() {
            on_lines(&whole);
            if let Some(log) = log
                && let Err(error) = log.append(&whole)
            {
                tracing::warn!(%error, log = %log.path.display(), "cannot write a function's log");
            }
        }
        if read == 0 && buffer.is_empty() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: &Path) -> String {
        std::fs::read_to_string(path).unwrap()
    }

    #[tokio::test]
    async fn rotates_once_and_keeps_one_old_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("logs/echo.log");
        let log = Log::open(path.clone(), 8).unwrap();
        for line in ["one\n", "two\n", "three\n", "four\n"] {
            copy_lines(line.as_bytes(), Some(&log), |_| ()).await;
        }
        assert_eq!(read(&path), "four\n");
        assert_eq!(read(&previous(&path)), "three\n");
        assert_eq!(std::fs::read_dir(folder.path().join("logs")).unwrap().count(), 2);
    }

    #[tokio::test]
    async fn ends_and_cuts_lines() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("echo.log");
        let log = Log::open(path.clone(), LOG_BYTES_MAX).unwrap();
        let mut seen = Vec::new();
        let endless = "x".repeat(3 * LINE_BYTES_MAX);
        copy_lines(format!("first\n{endless}").as_bytes(), Some(&log), |lines| {
            seen.extend_from_slice(lines);
        })
        .await;
        let written = read(&path);
        assert_eq!(written.as_bytes(), seen);
        let lines: Vec<_> = written.lines().map(str::len).collect();
        assert_eq!(lines.iter().sum::<usize>(), "first".len() + endless.len());
        assert!(lines.iter().all(|bytes| *bytes <= LINE_BYTES_MAX + READ_BYTES));
        assert!(written.ends_with("x\n"));
    }
}
