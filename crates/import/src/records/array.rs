//! Cuts a JSON array into the texts of its elements, so that memory holds one at a time and a bad element
//! does not hide the others.

use std::io::{self, BufRead};

use super::RECORD_BYTES_MAX;

pub struct Array<R> {
    reader: R,
    is_begun: bool,
    is_ended: bool,
}

impl<R: BufRead> Array<R> {
    /// The text of an array, perhaps after white space.
    pub fn new(reader: R) -> Self {
        Self {
            reader,
            is_begun: false,
            is_ended: false,
        }
    }

    fn byte(&mut self) -> io::Result<Option<u8>> {
        let byte = self.reader.fill_buf()?.first().copied();
        self.reader.consume(usize::from(byte.is_some()));
        Ok(byte)
    }

    /// Reads the next element, or `None` after the last. False if it is longer than a record may be; then
    /// `element` has its beginning. An element need not be valid JSON.
    pub fn next(&mut self, element: &mut Vec<u8>) -> io::Result<Option<bool>> {
        element.clear();
        let is_first = !self.is_begun;
        while !self.is_begun {
            self.is_begun = matches!(self.byte()?, Some(b'[') | None);
        }
        if self.is_ended {
            return self.finish().map(|()| None);
        }
        let (mut depth, mut in_string, mut is_escaped, mut is_whole) = (0_u64, false, false, true);
        loop {
            let Some(byte) = self.byte()? else {
                return Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "the JSON array does not end; the file may be cut off",
                ));
            };
            if in_string {
                in_string = is_escaped || byte != b'"';
                is_escaped = !is_escaped && byte == b'\\';
            } else {
                match byte {
                    b',' if depth == 0 => return Ok(Some(is_whole)),
                    b']' if depth == 0 => {
                        self.is_ended = true;
                        let is_empty = is_first && element.trim_ascii().is_empty();
                        if is_empty {
                            return self.finish().map(|()| None);
                        }
                        return Ok(Some(is_whole));
                    }
                    b'"' => in_string = true,
                    b'{' | b'[' => depth += 1,
                    b'}' | b']' => depth = depth.saturating_sub(1),
                    _ => {}
                }
            }
            if (element.len() as u64) < RECORD_BYTES_MAX {
                element.push(byte);
            } else {
                is_whole = false;
            }
        }
    }

    /// Only white space may follow the array.
    fn finish(&mut self) -> io::Result<()> {
        while let Some(byte) = self.byte()? {
            if !byte.is_ascii_whitespace() {
                let reason = "after the JSON array there is something else, which is not read";
                return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
            }
        }
        Ok(())
    }
}
