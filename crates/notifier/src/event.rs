//! What is told of a change of a coin.

use domain::documents::UserCoin;
use domain::quest::CoinState;
use domain::{ActivityId, UserId};
use serde::Serialize;
use store::coins::KeptCoin;

/// Receivers take at least so many bytes, by the specification of Standard Webhooks.
pub const BYTES_MAX: usize = 20_000;
/// The activities of the evidence that are told: 13 KB with ids of full length. A coin's document has up to 1,000.
pub const EVIDENCE_MAX: usize = 100;

/// A `CloudEvent`, whose data is the coin as it is after the change. The same change always has the same id.
#[derive(Clone, Debug, Serialize)]
pub struct CoinEvent {
    specversion: &'static str,
    pub id: String,
    source: &'static str,
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The id of the coin.
    subject: String,
    datacontenttype: &'static str,
    pub data: ToldCoin,
}

#[derive(Clone, Debug, Serialize)]
pub struct ToldCoin {
    pub user_id: UserId,
    #[serde(flatten)]
    pub coin: UserCoin,
    /// How often it was issued, revoked or regained.
    pub change: u32,
}

impl CoinEvent {
    /// `None` for a coin that is provisional: nobody has it yet.
    pub fn new(mut coin: KeptCoin) -> Option<Self> {
        let kind = match coin.state {
            CoinState::Issued => "podium.coin.issued",
            CoinState::Revoked => "podium.coin.revoked",
            CoinState::Provisional => return None,
        };
        coin.evidence.truncate(EVIDENCE_MAX);
        Some(Self {
            specversion: "1.0",
            id: format!("{}.{}", coin.id, coin.change),
            source: "podium/coins",
            kind,
            subject: coin.id.clone(),
            datacontenttype: "application/json",
            data: ToldCoin {
                user_id: coin.user.clone(),
                change: coin.change,
                coin: coin.into(),
            },
        })
    }

    pub fn json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("it has string keys only")
    }

    /// A mail about it.
    pub fn mail(&self) -> Mail {
        let ToldCoin { user_id, coin, .. } = &self.data;
        let (subject, happened) = match coin.state {
            CoinState::Revoked => ("A coin was revoked", "no longer has"),
            CoinState::Issued | CoinState::Provisional => ("A coin was found", "has found"),
        };
        let evidence: Vec<_> = coin.evidence.iter().map(ActivityId::as_str).collect();
        let further = coin.evidence_count.saturating_sub(coin.evidence.len() as u64);
        let further = if further > 0 {
            format!(" and {further} more")
        } else {
            String::new()
        };
        let mut lines = vec![
            format!(
                "{user_id} {happened} the coin {}, which is worth {}.",
                coin.coin.name, coin.coin.value
            ),
            String::new(),
            format!("Quest: {}, version {}", coin.quest_id, coin.version),
        ];
        if !coin.period.is_empty() {
            lines.push(format!("For: {}", coin.period));
        }
        if let Some(serial) = coin.serial {
            lines.push(format!("Serial: {serial}"));
        }
        lines.extend([
            format!("Found at: {}", coin.found_at),
            format!("By the activities: {}{further}", evidence.join(", ")),
            format!("Event: {}", self.id),
        ]);
        Mail {
            subject,
            text: lines.join("\n"),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// At most 100 characters of ASCII, which SNS asks for.
    pub subject: &'static str,
    pub text: String,
}

#[cfg(test)]
mod tests {
    use domain::quest::Revoked;

    use super::*;

    fn coin(evidence: &[String]) -> KeptCoin {
        KeptCoin {
            id: "coin-0123456789abcdef0123456789abcdef".to_owned(),
            user: "ann".parse().unwrap(),
            quest: "hunt".to_owned(),
            version: 1,
            coin: "Amber".to_owned(),
            value: 10,
            period: "2026-W47".to_owned(),
            found_at: "2026-11-21T09:00:00Z".parse().unwrap(),
            found_by: "a1".parse().unwrap(),
            evidence_count: evidence.len() as u64,
            evidence: evidence.iter().map(|id| id.parse().unwrap()).collect(),
            state: CoinState::Issued,
            reason: None,
            serial: None,
            change: 1,
        }
    }

    #[test]
    fn an_event_is_a_cloudevent_with_the_coin_and_its_id_is_that_of_the_change() {
        let event = CoinEvent::new(coin(&["a1".to_owned()])).unwrap();
        let json = String::from_utf8(event.json()).unwrap();
        let expected = concat!(
            r#"{"specversion":"1.0","id":"coin-0123456789abcdef0123456789abcdef.1","source":"podium/coins","#,
            r#""type":"podium.coin.issued","subject":"coin-0123456789abcdef0123456789abcdef","datacontenttype":"application/json","#,
            r#""data":{"user_id":"ann","coin_id":"coin-0123456789abcdef0123456789abcdef","quest_id":"hunt","version":1,"#,
            r#""coin":{"name":"Amber","value":10},"period":"2026-W47","found_at":"2026-11-21T09:00:00Z","state":"issued","#,
            r#""serial":null,"evidence":["a1"],"evidence_count":1,"change":1}}"#
        );
        assert_eq!(json, expected);
        let revoked = CoinEvent::new(KeptCoin {
            state: CoinState::Revoked,
            reason: Some(Revoked::Voided),
            change: 2,
            ..coin(&["a1".to_owned()])
        });
        let revoked = revoked.unwrap();
        assert_eq!((revoked.kind, &revoked.id[37..]), ("podium.coin.revoked", ".2"));
        let provisional = KeptCoin {
            state: CoinState::Provisional,
            ..coin(&[])
        };
        assert!(CoinEvent::new(provisional).is_none());
    }

    #[test]
    fn an_event_with_the_longest_values_is_within_the_bytes_that_receivers_take() {
        let ids: Vec<_> = (0..1_000).map(|n| format!("{n:0>128}")).collect();
        let longest = KeptCoin {
            user: "u".repeat(128).parse().unwrap(),
            quest: "q".repeat(128),
            coin: "ऴ".repeat(80),
            period: "p".repeat(128),
            ..coin(&ids)
        };
        let event = CoinEvent::new(longest).unwrap();
        let bytes = event.json().len();
        assert!(bytes <= BYTES_MAX, "{bytes}");
        let coin = &event.data.coin;
        assert_eq!((coin.evidence.len(), coin.evidence_count), (EVIDENCE_MAX, 1_000));
        assert!(event.mail().text.contains(" and 900 more\n"));
    }

    #[test]
    fn a_mail_says_who_found_what_by_which_activities() {
        let mail = CoinEvent::new(coin(&["a1".to_owned(), "a2".to_owned()]))
            .unwrap()
            .mail();
        let expected = "ann has found the coin Amber, which is worth 10.\n\nQuest: hunt, version 1\nFor: 2026-W47\n\
            Found at: 2026-11-21T09:00:00Z\nBy the activities: a1, a2\nEvent: coin-0123456789abcdef0123456789abcdef.1";
        assert_eq!((mail.subject, mail.text.as_str()), ("A coin was found", expected));
    }
}
