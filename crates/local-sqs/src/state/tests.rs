use super::*;

const RETENTION: Duration = Duration::from_hours(1);
const VISIBILITY: Duration = Duration::from_secs(30);

/// A queue whose time is passed in, in seconds.
struct Script {
    state: State,
    receipts: BTreeMap<String, Vec<ReceiptHandle>>,
    max_receive_count: Option<u32>,
}

impl Script {
    fn new(bodies: &[&str]) -> Self {
        let mut script = Self {
            state: State::new(Seq(0), 100),
            receipts: BTreeMap::new(),
            max_receive_count: None,
        };
        for body in bodies {
            script.send(body, 0, None);
        }
        script
    }

    fn send(&mut self, body: &str, at: u64, delayed_until: Option<u64>) {
        let seq = self.state.next_seq();
        let message = Message {
            id: MessageId::random(),
            content: Arc::new(Content {
                body: body.to_owned(),
                attributes: BTreeMap::new(),
            }),
            sent: secs(at),
            first_received: None,
            receive_count: 0,
            dead_letter_source: None,
            delayed_until: delayed_until.map(secs),
        };
        self.state.insert(seq, message, secs(at));
    }

    /// The delivered messages as `body#receive_count`, and dead letters as `body†`.
    fn receive(&mut self, max: usize, at: u64) -> String {
        self.state.advance(secs(at), RETENTION);
        let taken = self
            .state
            .receive(max, VISIBILITY, self.max_receive_count, secs(at));
        let mut seen = Vec::new();
        for one in taken.delivered {
            self.receipts
                .entry(one.body().to_owned())
                .or_default()
                .push(one.receipt);
            seen.push(format!("{}#{}", one.body(), one.receive_count));
        }
        for (seq, message) in taken.dead {
            self.state.remove(seq);
            seen.push(format!("{}†", message.content.body));
        }
        seen.join(" ")
    }

    fn receipt(&self, body: &str, delivery: usize) -> ReceiptHandle {
        self.receipts[body][delivery]
    }

    /// Deletes by the receipt of a delivery; the first is 0.
    fn delete(&mut self, body: &str, delivery: usize, at: u64) {
        self.state.advance(secs(at), RETENTION);
        if let Some(seq) = self.state.deletable(self.receipt(body, delivery)) {
            self.state.delete(seq, secs(at));
        }
    }

    fn hide(&mut self, body: &str, delivery: usize, at: u64, seconds: u64) -> Result<(), String> {
        self.state.advance(secs(at), RETENTION);
        let receipt = self.receipt(body, delivery);
        let changed = self
            .state
            .change_visibility(receipt, Duration::from_secs(seconds), secs(at));
        changed.map_err(|error| error.query_code().to_owned())
    }

    fn depth(&mut self, at: u64) -> (usize, usize, usize) {
        self.state.advance(secs(at), RETENTION);
        let Depth {
            visible,
            in_flight,
            delayed,
        } = self.state.depth();
        (visible, in_flight, delayed)
    }
}

fn secs(at: u64) -> Timestamp {
    Timestamp::from_millis(at * 1_000)
}

#[test]
fn a_received_message_is_hidden_until_its_timeout_and_counted_once_a_receive() {
    let mut script = Script::new(&["a", "b", "c"]);
    assert_eq!(script.receive(2, 0), "a#1 b#1");
    assert_eq!(script.depth(0), (1, 2, 0));
    assert_eq!(script.receive(10, 29), "c#1");
    assert_eq!(script.receive(10, 29), "");
    assert_eq!(script.receive(10, 30), "a#2 b#2");
    assert_eq!(script.receive(10, 59), "c#2");
}

#[test]
fn what_failed_goes_behind_what_waits() {
    let mut script = Script::new(&["bad"]);
    assert_eq!(script.receive(1, 0), "bad#1");
    script.send("later", 10, None);
    assert_eq!(script.receive(10, 30), "later#1 bad#2");
}

#[test]
fn a_deletion_needs_the_latest_receipt() {
    let mut script = Script::new(&["a"]);
    script.receive(1, 0);
    script.receive(1, 30);
    script.delete("a", 0, 31);
    assert_eq!(script.depth(31), (0, 1, 0), "the first receipt is stale");
    script.delete("a", 1, 70);
    assert_eq!(script.depth(70), (0, 0, 0), "late, and still the latest");
    script.delete("a", 1, 71);
}

#[test]
fn visibility_is_changed_while_in_flight_only() {
    let mut script = Script::new(&["a"]);
    script.receive(1, 0);
    assert_eq!(script.hide("a", 0, 10, 60), Ok(()));
    assert_eq!(script.receive(1, 69), "");
    assert_eq!(script.receive(1, 70), "a#2");
    assert_eq!(script.hide("a", 1, 71, 0), Ok(()));
    assert_eq!(script.depth(71), (1, 0, 0));
    let not_in_flight = Err("AWS.SimpleQueueService.MessageNotInflight".to_owned());
    assert_eq!(script.hide("a", 1, 71, 5), not_in_flight);
    assert_eq!(
        script.hide("a", 0, 71, 5),
        Err("InvalidParameterValue".to_owned())
    );
}

#[test]
fn a_message_dies_after_its_last_receive() {
    let mut script = Script::new(&["a", "b"]);
    script.max_receive_count = Some(2);
    assert_eq!(script.receive(10, 0), "a#1 b#1");
    script.delete("b", 0, 1);
    assert_eq!(script.receive(10, 30), "a#2");
    script.send("c", 40, None);
    assert_eq!(script.receive(10, 60), "c#1 a†");
    assert_eq!(script.depth(60), (0, 1, 0));
}

#[test]
fn a_delayed_message_waits_its_time() {
    let mut script = Script::new(&[]);
    script.send("a", 0, Some(10));
    assert_eq!(script.depth(9), (0, 0, 1));
    assert_eq!(script.state.next_due(), Some(secs(10)));
    assert_eq!(script.receive(1, 10), "a#1");
}

#[test]
fn retention_counts_from_when_a_message_was_sent() {
    let mut script = Script::new(&["old", "held"]);
    script.send("new", 10, None);
    script.receive(2, 3_590);
    assert_eq!(script.depth(3_600), (1, 2, 0));
    assert_eq!(script.depth(3_601), (1, 0, 0), "those in flight end too");
    assert_eq!(script.receive(10, 3_610), "new#1");
}

#[test]
fn only_so_many_are_in_flight() {
    let mut script = Script::new(&[]);
    for _ in 0..=MAX_IN_FLIGHT {
        script.send("x", 0, None);
    }
    while !script.receive(1_000, 0).is_empty() {}
    assert_eq!(script.depth(0), (1, MAX_IN_FLIGHT, 0));
    script.delete("x", 0, 0);
    assert_eq!(script.receive(10, 0), "x#1");
}

#[test]
fn a_fault_delivers_a_deleted_message_once_more() {
    let mut script = Script::new(&["a"]);
    script.state.set_faults(Faults {
        deliver_twice: true,
        shuffle: None,
    });
    script.max_receive_count = Some(1);
    assert_eq!(script.receive(1, 0), "a#1");
    script.delete("a", 0, 1);
    assert_eq!(
        script.state.messages().count(),
        0,
        "a restart does not bring it back"
    );
    assert_eq!(script.receive(1, 1), "a#1", "and not as a dead letter");
    script.delete("a", 0, 2);
    assert_eq!(script.depth(2), (0, 1, 0), "its first receipt is stale");
    script.delete("a", 1, 2);
    assert_eq!(script.depth(2), (0, 0, 0));
}

#[test]
fn a_fault_shuffles_by_its_seed() {
    let order = |seed: Option<u64>| {
        let mut script = Script::new(&["a", "b", "c", "d", "e", "f", "g", "h"]);
        script.state.set_faults(Faults {
            deliver_twice: false,
            shuffle: seed,
        });
        script.receive(10, 0).replace("#1", "")
    };
    assert_eq!(order(None), "a b c d e f g h");
    assert_eq!(order(Some(1)), order(Some(1)));
    assert_ne!(order(Some(1)), order(None));
    assert_ne!(order(Some(1)), order(Some(2)));
}

#[test]
fn a_move_takes_what_was_there_before_it() {
    let mut script = Script::new(&["a", "b"]);
    let before = script.state.next_seq();
    script.send("c", 0, None);
    let taken = |state: &mut State, max| -> Vec<Seq> {
        state
            .take_for_move(max, before)
            .into_iter()
            .map(|(seq, _)| seq)
            .collect()
    };
    assert_eq!(taken(&mut script.state, 1), [Seq(0)]);
    assert_eq!(taken(&mut script.state, 10), [Seq(1)]);
    assert_eq!(script.receive(10, 0), "c#1", "what leaves is not delivered");
    script.state.keep(&[Seq(0)], secs(0));
    script.state.remove(Seq(1));
    assert_eq!(script.receive(10, 0), "a#1");
    assert_eq!(script.depth(30), (2, 0, 0));
}
