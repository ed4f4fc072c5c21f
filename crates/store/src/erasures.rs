//! Notes of who was erased, and when. The aggregator and every fold read them together with the generations, so what
//! is redelivered afterwards brings nobody back.
//!
//! A note holds no id, but a keyed hash of it. The key is kept beside the notes: who may read this item can test
//! whether a certain person was erased, and nobody can list the erased.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::{Fact, UserId};
use hmac::{Hmac, Mac as _};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::blocks;

/// How long a note is kept after its erasure: as long as a message can be told from a new one. Older messages become
/// dead letters.
pub const NOTE_LIFETIME: SignedDuration = blocks::LIFETIME;
/// The most notes at a time: 250 KB of an item's 400, which every invocation of the aggregator reads for 62 read units.
/// A hundred take one.
pub const NOTES_MAX: usize = 5_000;

/// The bytes of a hash that are kept. Among [`NOTES_MAX`] people, two equal ones are less probable than 10^-31.
const HASH_BYTES: usize = 16;

/// Who was erased within the last [`NOTE_LIFETIME`], and who is being erased.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erasures {
    /// The key of the hashes, as base64url. `None` before the first erasure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    /// The people who are being erased, and the time before which what was received of them is dropped.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    erasing: BTreeMap<PersonHash, Timestamp>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    erased: BTreeMap<PersonHash, Timestamp>,
}

/// A keyed hash of a person's id, as base64url.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PersonHash(String);

impl PersonHash {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{NOTES_MAX} people were erased within the last {} days, and no more can be noted until the oldest note expires",
    NOTE_LIFETIME.as_hours() / 24
)]
pub struct TooManyNotes;

impl Erasures {
    pub fn is_empty(&self) -> bool {
        self.erasing.is_empty() && self.erased.is_empty()
    }

    /// Whether a fact that was received at that time is erased.
    pub fn cover(&self, fact: &Fact, received_at: Timestamp) -> bool {
        let before = self.before(fact.user());
        before.is_some_and(|before| is_before(fact, received_at, before))
    }

    /// The time before which what was received of this person is erased.
    pub fn before(&self, user: &UserId) -> Option<Timestamp> {
        if self.is_empty() {
            return None;
        }
        let hash = self.hash(user)?;
        let before = self.erasing.get(&hash).or_else(|| self.erased.get(&hash));
        before.copied()
    }

    /// Whether an erasure of this person was begun and is not done.
    pub fn is_erasing(&self, user: &UserId) -> bool {
        self.hash(user)
            .is_some_and(|hash| self.erasing.contains_key(&hash))
    }

    /// Begins to erase what was received of a person before `now`, or resumes an erasure that was begun and did not
    /// finish. `random` is the key of the hashes if this is the first one.
    pub fn begun(&self, user: &UserId, now: Timestamp, random: [u8; 32]) -> Result<Self, TooManyNotes> {
        let mut begun = self.clone();
        begun.erased.retain(|_, before| now - NOTE_LIFETIME < *before);
        begun.key.get_or_insert_with(|| URL_SAFE_NO_PAD.encode(random));
        let hash = begun.hash(user).expect("there is a key");
        begun.erased.remove(&hash);
        if begun.erasing.len() + begun.erased.len() >= NOTES_MAX && !begun.erasing.contains_key(&hash) {
            return Err(TooManyNotes);
        }
        begun.erasing.entry(hash).or_insert(now);
        Ok(begun)
    }

    /// Notes that the erasure of a person is done. The note stays.
    #[must_use]
    pub fn finished(&self, user: &UserId) -> Self {
        let mut finished = self.clone();
        if let Some(hash) = self.hash(user) {
            let entry = finished.erasing.remove_entry(&hash);
            finished.erased.extend(entry);
        }
        finished
    }

    /// What stands for a person once the person is erased. `None` before the first erasure.
    pub fn hash(&self, user: &UserId) -> Option<PersonHash> {
        let key = URL_SAFE_NO_PAD.decode(self.key.as_ref()?).ok()?;
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("a key of any length");
        mac.update(user.as_str().as_bytes());
        let hash = mac.finalize().into_bytes();
        Some(PersonHash(URL_SAFE_NO_PAD.encode(&hash[..HASH_BYTES])))
    }
}

/// Whether a fact was received before an erasure, or takes out an activity that was.
pub(crate) fn is_before(fact: &Fact, received_at: Timestamp, erasure: Timestamp) -> bool {
    let activity = match fact {
        Fact::Void(void) => Some(void.activity_received_at),
        Fact::Activity(_) | Fact::Adjustment(_) => None,
    };
    received_at < erasure || activity.is_some_and(|received_at| received_at < erasure)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(id: &str) -> UserId {
        id.parse().unwrap()
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn is_covered(erasures: &Erasures, id: &str, received_at: i64) -> bool {
        erasures
            .before(&user(id))
            .is_some_and(|before| at(received_at) < before)
    }

    #[test]
    fn what_was_received_before_is_erased_and_what_comes_later_is_of_a_new_person() {
        let ann = user("ann");
        let begun = Erasures::default().begun(&ann, at(0), [7; 32]).unwrap();
        for erasures in [begun.clone(), begun.finished(&ann)] {
            assert!(is_covered(&erasures, "ann", -1));
            assert!(!is_covered(&erasures, "ann", 0));
            assert!(!is_covered(&erasures, "Ann", -1), "another person");
        }
        assert!(!is_covered(&Erasures::default(), "ann", -1));
    }

    #[test]
    fn an_erasure_that_did_not_finish_is_resumed_and_a_finished_one_can_be_repeated() {
        let ann = user("ann");
        let begun = Erasures::default().begun(&ann, at(0), [7; 32]).unwrap();
        let resumed = begun.begun(&ann, at(60), [8; 32]).unwrap();
        assert_eq!(resumed, begun, "what was posted meanwhile is kept");
        let again = begun.finished(&ann).begun(&ann, at(60), [8; 32]).unwrap();
        assert!(is_covered(&again, "ann", 59));
    }

    #[test]
    fn notes_expire_are_limited_and_hold_no_id() {
        let (ann, bob) = (user("ann"), user("bob"));
        let mut full = Erasures::default();
        for n in 0..NOTES_MAX {
            let user = user(&format!("employee-{n}"));
            full = full.begun(&user, at(0), [7; 32]).unwrap();
            full = full.finished(&user);
        }
        assert_eq!(full.begun(&ann, at(1), [7; 32]), Err(TooManyNotes));
        let item = serde_json::to_string(&full).unwrap();
        assert!(item.len() < 300_000 && !item.contains("employee"));
        let later = at(0) + NOTE_LIFETIME;
        let begun = full.begun(&ann, later, [7; 32]).unwrap();
        assert!(!is_covered(&begun, "employee-0", -1));
        // One that has not finished is never forgotten.
        let begun = begun.begun(&bob, later + NOTE_LIFETIME, [7; 32]).unwrap();
        assert!(is_covered(&begun, "ann", 0));
    }

    #[test]
    fn stored_notes_keep_their_form() {
        let begun = Erasures::default().begun(&user("ann"), at(0), [7; 32]).unwrap();
        let json = r#"{"key":"BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc","erasing":{"HASH":"2027-01-15T08:00:00Z"}}"#;
        let hash = begun.hash(&user("ann")).unwrap();
        let json = json.replace("HASH", hash.as_str());
        assert_eq!(hash.as_str().len(), 22);
        assert_eq!(serde_json::to_string(&begun).unwrap(), json);
        assert_eq!(serde_json::from_str::<Erasures>(&json).unwrap(), begun);
    }
}
