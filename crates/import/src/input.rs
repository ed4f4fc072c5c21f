//! Opens what is imported, and makes plain UTF-8 text of it.

use std::{
    cell::Cell,
    fmt,
    fs::File,
    io::{self, BufRead, BufReader, Cursor, Read},
    path::{Path, PathBuf},
    rc::Rc,
    str::FromStr,
};

use anyhow::{Context, bail};
use flate2::bufread::GzDecoder;

const BUFFER_BYTES: usize = 128 * 1024;

/// The first bytes by which formats are told apart.
const MAGIC_BYTES: usize = 8;

const GZIP: &[u8] = &[0x1f, 0x8b];

/// Formats that are recognised but not read: the first bytes, the name, and a command that makes text of it.
const OTHER_FORMATS: &[(&[u8], &str, &str)] = &[
    (&[0x28, 0xb5, 0x2f, 0xfd], "compressed with zstd", "zstd -dc"),
    (b"BZh", "compressed with bzip2", "bzip2 -dc"),
    (&[0xfd, b'7', b'z', b'X', b'Z', 0], "compressed with xz", "xz -dc"),
    (&[0x04, 0x22, 0x4d, 0x18], "compressed with LZ4", "lz4 -dc"),
    (&[0xff, 0xfe, 0, 0], "UTF-32", "iconv -f UTF-32 -t UTF-8"),
    (&[0, 0, 0xfe, 0xff], "UTF-32", "iconv -f UTF-32 -t UTF-8"),
    (&[0xff, 0xfe], "UTF-16", "iconv -f UTF-16 -t UTF-8"),
    (&[0xfe, 0xff], "UTF-16", "iconv -f UTF-16 -t UTF-8"),
];

const ZIP: &[u8] = b"PK\x03\x04";

const BYTE_ORDER_MARK: &[u8] = &[0xef, 0xbb, 0xbf];

/// What to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// `-`, the standard input.
    Stdin,
    File(PathBuf),
}

impl FromStr for Source {
    type Err = std::convert::Infallible;

    fn from_str(raw: &str) -> Result<Self, Self::Err> {
        Ok(match raw {
            "-" => Self::Stdin,
            path => Self::File(path.into()),
        })
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdin => f.write_str("the standard input"),
            Self::File(path) => path.display().fmt(f),
        }
    }
}

impl Source {
    /// The file, if it can be read again from its beginning: not the standard input, a pipe or the
    /// substitution of a process, even if a file is behind it.
    pub fn seekable(&self) -> Option<&Path> {
        match self {
            Self::File(path) if path.is_file() && !path.starts_with("/dev") && !path.starts_with("/proc") => {
                Some(path)
            }
            _ => None,
        }
    }

    /// Opens it for a `command` to import, and detects compression and encoding by the first bytes, so that its name
    /// does not matter.
    pub fn open(&self, command: &str) -> anyhow::Result<Text> {
        let cannot_read = || format!("could not read {self}");
        let inner: Box<dyn Read> = match self {
            Self::Stdin => Box::new(io::stdin()),
            Self::File(path) => Box::new(File::open(path).with_context(cannot_read)?),
        };
        let bytes = Rc::new(Cell::new(0));
        let metered = Metered {
            inner,
            bytes: Rc::clone(&bytes),
        };
        let (head, plain) =
            peek(BufReader::with_capacity(BUFFER_BYTES, metered)).with_context(cannot_read)?;
        let reader = if head.starts_with(GZIP) {
            let unpacked = BufReader::with_capacity(BUFFER_BYTES, Gunzip::new(plain));
            let (head, unpacked) = peek(unpacked).with_context(cannot_read)?;
            self.text(&head, unpacked, "gzip -dc", command)?
        } else {
            self.text(&head, plain, "cat", command)?
        };
        Ok(Text { reader, bytes })
    }

    /// Skips the mark that editors and Excel put before UTF-8. Names other formats.
    fn text(
        &self,
        head: &[u8],
        mut reader: Box<dyn BufRead>,
        cat: &str,
        command: &str,
    ) -> anyhow::Result<Box<dyn BufRead>> {
        let piped = |filter: &str| match (self, cat) {
            (Self::Stdin, _) => format!("... | {filter} | {command} -"),
            (_, "cat") => format!("{filter} {self} | {command} -"),
            _ => format!("{cat} {self} | {filter} | {command} -"),
        };
        for (magic, name, filter) in OTHER_FORMATS {
            if head.starts_with(magic) {
                bail!(
                    "{self} is {name}; pipe it through {}: {}",
                    first_word(filter),
                    piped(filter)
                );
            }
        }
        if head.starts_with(ZIP) {
            bail!(
                "{self} is a ZIP archive or an Excel workbook; unpack it and import one of its files, or save the sheet \
                 as CSV"
            );
        }
        if let [first, second, ..] = head
            && (*first == 0 || *second == 0)
        {
            let encoding = if *first == 0 { "UTF-16BE" } else { "UTF-16LE" };
            let filter = format!("iconv -f {encoding} -t UTF-8");
            bail!(
                "{self} is not UTF-8 text, probably {encoding}; pipe it through iconv: {}",
                piped(&filter)
            );
        }
        if head.starts_with(BYTE_ORDER_MARK) {
            let mark = BYTE_ORDER_MARK.len() as u64;
            io::copy(&mut reader.by_ref().take(mark), &mut io::sink())?;
        }
        Ok(reader)
    }
}

fn first_word(command: &str) -> &str {
    command.split(' ').next().unwrap_or_default()
}

/// Text that may be in UTF-8.
pub struct Text {
    pub reader: Box<dyn BufRead>,
    bytes: Rc<Cell<u64>>,
}

impl Text {
    /// A counter of the bytes read so far, before decompression.
    pub fn meter(&self) -> impl Fn() -> u64 + use<> {
        let bytes = Rc::clone(&self.bytes);
        move || bytes.get()
    }
}

/// The first bytes, and a reader that still has them. A pipe may give them one by one.
fn peek(mut reader: impl BufRead + 'static) -> io::Result<(Vec<u8>, Box<dyn BufRead>)> {
    let mut head = Vec::new();
    reader.by_ref().take(MAGIC_BYTES as u64).read_to_end(&mut head)?;
    Ok((head.clone(), Box::new(Cursor::new(head).chain(reader))))
}

/// Counts the bytes read through it.
struct Metered<R> {
    inner: R,
    bytes: Rc<Cell<u64>>,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.bytes
            .set(self.bytes.get() + u64::try_from(read).unwrap_or(u64::MAX));
        Ok(read)
    }
}

/// Reads the members of a gzip file, and the zeros that tapes and block devices leave after the last.
struct Gunzip<R> {
    /// `None` after the end.
    member: Option<GzDecoder<R>>,
}

impl<R: BufRead> Gunzip<R> {
    fn new(reader: R) -> Self {
        Self {
            member: Some(GzDecoder::new(reader)),
        }
    }
}

impl<R: BufRead> Read for Gunzip<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = &mut self.member {
            let read = member.read(buffer)?;
            if read > 0 || buffer.is_empty() {
                return Ok(read);
            }
            if let Some(ended) = self.member.take() {
                self.member = next_member(ended.into_inner())?;
            }
        }
        Ok(0)
    }
}

fn next_member<R: BufRead>(mut reader: R) -> io::Result<Option<GzDecoder<R>>> {
    loop {
        let buffer = reader.fill_buf()?;
        let zeros = buffer.iter().take_while(|byte| **byte == 0).count();
        match buffer.get(zeros) {
            None if buffer.is_empty() => return Ok(None),
            None => reader.consume(zeros),
            Some(byte) if *byte == GZIP[0] => {
                reader.consume(zeros);
                return Ok(Some(GzDecoder::new(reader)));
            }
            Some(_) => {
                let reason = "after the compressed data there is something else, which is not read";
                return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).expect("written");
        encoder.finish().expect("compressed")
    }

    /// The text, then the error if there is one. `FILE` stands for the path.
    fn check(bytes: &[u8], expected: &str) {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("activities");
        std::fs::write(&path, bytes).expect("a file");
        let mut text = Vec::new();
        let read = Source::File(path.clone())
            .open("podium import")
            .and_then(|mut opened| Ok(opened.reader.read_to_end(&mut text)?));
        let mut found = String::from_utf8(text).expect("text");
        if let Err(error) = read {
            found.push_str(&format!("! {error:#}").replace(path.to_str().expect("text"), "FILE"));
        }
        assert_eq!(found, expected);
    }

    #[test]
    fn gzip_is_told_by_its_content_and_may_have_members_and_padding() {
        let (one, two) = (gzip(b"one line "), gzip(b"another"));
        check(&one, "one line ");
        check(&[&one[..], &two].concat(), "one line another");
        check(
            &[&one[..], &[0; 600], &two, &vec![0; 20_000]].concat(),
            "one line another",
        );
        check(&gzip(b""), "");
        check(b"", "");
        check(
            &[&one[..], b"more"].concat(),
            "one line ! after the compressed data there is something else, which is not read",
        );
        let half = &two[..two.len() - 4];
        check(
            &[&one[..], half].concat(),
            "one line another! unexpected end of file",
        );
    }

    #[test]
    fn other_formats_and_encodings_are_named_with_a_command() {
        check(b"\xef\xbb\xbf{}", "{}");
        check(&gzip(b"\xef\xbb\xbf{}"), "{}");
        for (bytes, expected) in [
            (
                &b"\x28\xb5\x2f\xfd..."[..],
                "! FILE is compressed with zstd; pipe it through zstd: zstd -dc FILE | podium import -",
            ),
            (
                b"BZh91AY",
                "! FILE is compressed with bzip2; pipe it through bzip2: bzip2 -dc FILE | podium import -",
            ),
            (
                b"\xfd7zXZ\0\0",
                "! FILE is compressed with xz; pipe it through xz: xz -dc FILE | podium import -",
            ),
            (
                b"\xff\xfe{\0}\0",
                "! FILE is UTF-16; pipe it through iconv: iconv -f UTF-16 -t UTF-8 FILE | podium import -",
            ),
            (
                b"{\0}\0",
                "! FILE is not UTF-8 text, probably UTF-16LE; pipe it through iconv: iconv -f UTF-16LE -t UTF-8 FILE | \
                 podium import -",
            ),
            (
                b"PK\x03\x04....",
                "! FILE is a ZIP archive or an Excel workbook; unpack it and import one of its files, or save the sheet \
                 as CSV",
            ),
        ] {
            check(bytes, expected);
        }
        check(
            &gzip(b"\xfe\xff\0{"),
            "! FILE is UTF-16; pipe it through iconv: gzip -dc FILE | iconv -f UTF-16 -t UTF-8 | podium import -",
        );
    }
}
