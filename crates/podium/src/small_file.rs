//! Files that must be small, since their content becomes settings.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, ensure};

/// Reads a file, which messages call `name`.
pub fn read(file: &Path, name: &str, bytes_max: u64) -> anyhow::Result<Vec<u8>> {
    let mut content = Vec::new();
    let read = File::open(file).and_then(|opened| opened.take(bytes_max + 1).read_to_end(&mut content));
    let read = read.with_context(|| format!("cannot read {name}"))?;
    ensure!(
        read as u64 <= bytes_max,
        "{name} is larger than {bytes_max} bytes"
    );
    Ok(content)
}
