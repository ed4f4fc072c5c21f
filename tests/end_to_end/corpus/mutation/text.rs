//! Changes of a short text, such as an id or a time.

use rand::RngExt as _;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;

use super::super::case::Input;
use super::pick;

/// What is put into a text, or in place of a part of it.
pub struct Snippets(&'static [&'static str]);

pub const OF_IDS: Snippets = Snippets(&[
    ".", "..", "...", "~", "/", "\\", ":", "@", "%2e", "%2F", "%", " ", "+", "#", "?", "&", ";", "=", ",",
    "'", "\"", "<", "|", "*", "\0", "\n", "\t", "\u{7f}", "\u{feff}", "\u{202e}", "\u{2024}", "\u{ff0e}",
    "é", "e\u{301}", "🏆", "A", "0", "-", "_", "",
]);

pub const OF_TIMES: Snippets = Snippets(&[
    "T",
    "t",
    " ",
    "_",
    "Z",
    "z",
    "+",
    "-",
    ":",
    ".",
    ",",
    "0",
    "9",
    "60",
    "61",
    "24",
    "23",
    "59",
    "00",
    "13",
    "12",
    "31",
    "30",
    "02",
    "29",
    "28",
    "06",
    "+00:00",
    "-00:00",
    "+23:59",
    "-23:59",
    "+24:00",
    "+25:59",
    "+01",
    "+0100",
    "+1:00",
    "Z[UTC]",
    "[!Europe/Berlin]",
    "W48",
    "20",
    "1900",
    "2000",
    "0000",
    "9999",
    "+00",
    "-00",
    "1e9",
    "\u{2212}",
    "２",
    "0000000000",
    "123456789012",
    "",
]);

/// The longest text that is kept: beyond all limits.
const LENGTH_MAX: usize = 300;

pub fn mutate(input: &Input, other: &Input, Snippets(snippets): &Snippets, random: &mut StdRng) -> Input {
    let mut text: Vec<char> = input.text().chars().collect();
    let other: Vec<char> = other.text().chars().collect();
    for _ in 0..random.random_range(1..=3) {
        let from = random.random_range(0..=text.len());
        let to = random.random_range(from..=text.len()).min(from + 3);
        match random.random_range(0..8) {
            0..4 => drop(text.splice(from..to, pick(snippets, random).chars())),
            4 => drop(text.drain(from..to)),
            5 => {
                let start = random.random_range(0..=other.len());
                text.truncate(from);
                text.extend(&other[start..]);
            }
            6 => {
                let repeated = text[from..to].repeat(*[2, 9, 64, 128].choose(random).expect("some"));
                text.splice(to..to, repeated);
            }
            _ => {
                if let Some(digit) = text.get_mut(from).filter(|c| c.is_ascii_digit()) {
                    *digit = char::from(random.random_range(b'0'..=b'9'));
                }
            }
        }
    }
    text.truncate(LENGTH_MAX);
    Input::new(text.into_iter().collect::<String>())
}
