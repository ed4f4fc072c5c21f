//! The semantics of one standard queue as a state machine. Time is passed in and nothing is written,
//! so each rule can be tested without waiting. Every operation is O(log n) per message.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
use std::sync::Arc;
use std::time::Duration;

use crate::attributes::QueueName;
use crate::error::SqsError;
use crate::message::{Content, MessageId, ReceiptHandle, Received, Seq};
use crate::timestamp::Timestamp;

/// How many messages of a standard queue may be in flight.
pub const MAX_IN_FLIGHT: usize = 120_000;

/// Behaviour that standard queues allow but rarely show. Tests ask for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Each message is delivered once more after its first deletion.
    pub deliver_twice: bool,
    /// Visible messages are delivered in an order drawn from this seed.
    pub shuffle: Option<u64>,
}

/// How many messages a queue holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Depth {
    pub visible: usize,
    pub in_flight: usize,
    pub delayed: usize,
}

impl Depth {
    pub fn total(self) -> usize {
        self.visible + self.in_flight + self.delayed
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) id: MessageId,
    pub(crate) content: Arc<Content>,
    pub(crate) sent: Timestamp,
    pub(crate) first_received: Option<Timestamp>,
    pub(crate) receive_count: u32,
    pub(crate) dead_letter_source: Option<QueueName>,
    pub(crate) delayed_until: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug)]
enum Place {
    /// With its order of delivery: when it became visible, or a hash if the order is shuffled.
    Visible(u64),
    InFlight(Timestamp),
    Delayed(Timestamp),
    /// On its way to another queue. It is held until that queue has it, so that nothing is lost.
    Leaving,
}

#[derive(Debug)]
struct Held {
    message: Message,
    place: Place,
    /// The latest delivery, whose receipt is valid.
    delivery: Option<u64>,
    /// It was deleted, and is delivered once more by a fault.
    echo: bool,
}

/// The messages that one receive took from the visible ones.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    pub(crate) delivered: Vec<Received>,
    pub(crate) dead: Vec<(Seq, Message)>,
}

#[derive(Debug)]
pub(crate) struct State {
    messages: BTreeMap<Seq, Held>,
    visible: BTreeSet<(u64, Seq)>,
    in_flight: BTreeSet<(Timestamp, Seq)>,
    delayed: BTreeSet<(Timestamp, Seq)>,
    by_age: BTreeSet<(Timestamp, Seq)>,
    next_seq: Seq,
    next_delivery: u64,
    faults: Faults,
}

impl State {
    /// `first_delivery` must be random, so that receipts of an earlier run are stale.
    pub(crate) fn new(next_seq: Seq, first_delivery: u64) -> Self {
        Self {
            messages: BTreeMap::new(),
            visible: BTreeSet::new(),
            in_flight: BTreeSet::new(),
            delayed: BTreeSet::new(),
            by_age: BTreeSet::new(),
            next_seq,
            next_delivery: first_delivery,
            faults: Faults::default(),
        }
    }

    pub(crate) fn next_seq(&self) -> Seq {
        self.next_seq
    }

    pub(crate) fn insert(&mut self, seq: Seq, message: Message, now: Timestamp) {
        let place = match message.delayed_until {
            Some(until) if until > now => Place::Delayed(until),
            Some(_) | None => Place::Visible(self.order(seq, 0, now)),
        };
        self.by_age.insert((message.sent, seq));
        self.index(seq, place);
        let held = Held {
            message,
            place,
            delivery: None,
            echo: false,
        };
        let earlier = self.messages.insert(seq, held);
        debug_assert!(earlier.is_none(), "{seq:?} was used before");
        self.next_seq = self.next_seq.max(Seq(seq.0 + 1));
    }

    /// Makes due messages visible and drops those older than `retention`.
    pub(crate) fn advance(&mut self, now: Timestamp, retention: Duration) {
        for due in [&self.in_flight, &self.delayed].map(|waiting| due(waiting, now)) {
            for (until, seq) in due {
                self.show(seq, until);
            }
        }
        let kept_since = now.before(retention);
        while let Some(&(sent, seq)) = self.by_age.first()
            && sent < kept_since
        {
            self.remove(seq);
        }
    }

    /// When the next hidden message becomes visible.
    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        let first = |waiting: &BTreeSet<(Timestamp, Seq)>| waiting.first().map(|&(until, _)| until);
        [first(&self.in_flight), first(&self.delayed)]
            .into_iter()
            .flatten()
            .min()
    }

    /// Delivers up to `max` visible messages. A message that was already received `max_receive_count`
    /// times is returned as dead instead, and stays held until it is removed.
    pub(crate) fn receive(
        &mut self,
        max: usize,
        visibility: Duration,
        max_receive_count: Option<u32>,
        now: Timestamp,
    ) -> Taken {
        let mut taken = Taken::default();
        while taken.delivered.len() < max && !self.is_full() {
            let Some(&(_, seq)) = self.visible.first() else {
                break;
            };
            let held = self
                .messages
                .get_mut(&seq)
                .expect("an index contains only held messages");
            if max_receive_count.is_some_and(|bound| held.message.receive_count >= bound) {
                taken.dead.push((seq, held.message.clone()));
                self.relocate(seq, Place::Leaving);
                continue;
            }
            let delivery = self.next_delivery;
            self.next_delivery = self.next_delivery.wrapping_add(1);
            held.delivery = Some(delivery);
            held.message.receive_count += 1;
            taken.delivered.push(Received {
                id: held.message.id,
                receipt: ReceiptHandle { seq, delivery },
                content: Arc::clone(&held.message.content),
                sent: held.message.sent,
                first_received: *held.message.first_received.get_or_insert(now),
                receive_count: held.message.receive_count,
                dead_letter_source: held.message.dead_letter_source.clone(),
            });
            self.relocate(seq, Place::InFlight(now.after(visibility)));
        }
        debug_assert!(
            self.in_flight.len() <= MAX_IN_FLIGHT,
            "too many messages in flight"
        );
        taken
    }

    pub(crate) fn is_full(&self) -> bool {
        self.in_flight.len() >= MAX_IN_FLIGHT
    }

    /// The message that a deletion by this receipt would remove. A stale receipt removes nothing and is
    /// not an error, as on AWS.
    pub(crate) fn deletable(&self, receipt: ReceiptHandle) -> Option<Seq> {
        self.current(receipt).map(|_| receipt.seq)
    }

    /// Removes a message that its consumer has finished.
    pub(crate) fn delete(&mut self, seq: Seq, now: Timestamp) {
        if self.faults.deliver_twice {
            self.delete_with_echo(seq, now);
        } else {
            self.remove(seq);
        }
    }

    /// Deletes a message, but delivers it once more. Deleting it a second time removes it.
    pub(crate) fn delete_with_echo(&mut self, seq: Seq, now: Timestamp) {
        let Some(held) = self.messages.get_mut(&seq) else {
            return;
        };
        if held.echo {
            self.remove(seq);
            return;
        }
        held.echo = true;
        held.delivery = None;
        // As if a server had missed the last receive, so that the fault alone cannot make the
        // message a dead letter.
        debug_assert!(held.message.receive_count > 0, "{seq:?} was never received");
        held.message.receive_count = held.message.receive_count.saturating_sub(1);
        self.show(seq, now);
    }

    pub(crate) fn change_visibility(
        &mut self,
        receipt: ReceiptHandle,
        visibility: Duration,
        now: Timestamp,
    ) -> Result<(), SqsError> {
        let held = self.current(receipt).ok_or_else(|| {
            SqsError::InvalidParameterValue(
                "The receipt handle is stale: its message was deleted or received again.".to_owned(),
            )
        })?;
        match held.place {
            Place::InFlight(_) if visibility.is_zero() => self.show(receipt.seq, now),
            Place::InFlight(_) => {
                self.relocate(receipt.seq, Place::InFlight(now.after(visibility)));
            }
            Place::Visible(_) | Place::Delayed(_) | Place::Leaving => {
                return Err(SqsError::MessageNotInflight);
            }
        }
        Ok(())
    }

    /// Takes up to `max` visible messages that precede `before`, to move them to another queue.
    pub(crate) fn take_for_move(&mut self, max: usize, before: Seq) -> Vec<(Seq, Message)> {
        let came_before = self
            .visible
            .iter()
            .map(|&(_, seq)| seq)
            .filter(|&seq| seq < before);
        let chosen: Vec<Seq> = came_before.take(max).collect();
        chosen
            .into_iter()
            .map(|seq| {
                self.relocate(seq, Place::Leaving);
                (seq, self.messages[&seq].message.clone())
            })
            .collect()
    }

    /// Makes messages visible again that could not be moved.
    pub(crate) fn keep(&mut self, seqs: &[Seq], now: Timestamp) {
        for &seq in seqs {
            if self.messages.contains_key(&seq) {
                self.show(seq, now);
            }
        }
    }

    pub(crate) fn remove(&mut self, seq: Seq) {
        if let Some(held) = self.messages.remove(&seq) {
            self.unindex(seq, held.place);
            self.by_age.remove(&(held.message.sent, seq));
        }
    }

    pub(crate) fn purge(&mut self) {
        self.messages.clear();
        self.visible.clear();
        self.in_flight.clear();
        self.delayed.clear();
        self.by_age.clear();
    }

    pub(crate) fn depth(&self) -> Depth {
        let depth = Depth {
            visible: self.visible.len(),
            in_flight: self.in_flight.len(),
            delayed: self.delayed.len(),
        };
        // Those that are leaving are in none of the three.
        debug_assert!(depth.total() <= self.messages.len(), "{depth:?} counts one twice");
        depth
    }

    /// When the oldest message was sent.
    pub(crate) fn oldest_sent(&self) -> Option<Timestamp> {
        self.by_age.first().map(|&(sent, _)| sent)
    }

    pub(crate) fn set_faults(&mut self, faults: Faults) {
        self.faults = faults;
        let visible: Vec<Seq> = self.visible.iter().map(|&(_, seq)| seq).collect();
        for seq in visible {
            let sent = self.messages[&seq].message.sent;
            self.show(seq, sent);
        }
    }

    /// The messages that must survive a restart: all except those already deleted.
    pub(crate) fn messages(&self) -> impl Iterator<Item = (Seq, &Message)> {
        let kept = self.messages.iter().filter(|(_, held)| !held.echo);
        kept.map(|(&seq, held)| (seq, &held.message))
    }

    fn current(&self, receipt: ReceiptHandle) -> Option<&Held> {
        let held = self.messages.get(&receipt.seq)?;
        (held.delivery == Some(receipt.delivery)).then_some(held)
    }

    fn show(&mut self, seq: Seq, visible_at: Timestamp) {
        let receive_count = self.messages[&seq].message.receive_count;
        let order = self.order(seq, receive_count, visible_at);
        self.relocate(seq, Place::Visible(order));
    }

    /// Messages are delivered in the order in which they became visible, so a failed one goes behind
    /// those that wait. A seed shuffles this order.
    fn order(&self, seq: Seq, receive_count: u32, visible_at: Timestamp) -> u64 {
        match self.faults.shuffle {
            None => visible_at.as_millis(),
            Some(seed) => BuildHasherDefault::<DefaultHasher>::new().hash_one((seed, seq.0, receive_count)),
        }
    }

    fn relocate(&mut self, seq: Seq, to: Place) {
        let held = self
            .messages
            .get_mut(&seq)
            .expect("only held messages change their place");
        let from = std::mem::replace(&mut held.place, to);
        self.unindex(seq, from);
        self.index(seq, to);
    }

    fn index(&mut self, seq: Seq, place: Place) {
        let is_new = match place {
            Place::Visible(order) => self.visible.insert((order, seq)),
            Place::InFlight(until) => self.in_flight.insert((until, seq)),
            Place::Delayed(until) => self.delayed.insert((until, seq)),
            Place::Leaving => true,
        };
        debug_assert!(is_new, "{seq:?} is already at {place:?}");
    }

    fn unindex(&mut self, seq: Seq, place: Place) {
        let was_there = match place {
            Place::Visible(order) => self.visible.remove(&(order, seq)),
            Place::InFlight(until) => self.in_flight.remove(&(until, seq)),
            Place::Delayed(until) => self.delayed.remove(&(until, seq)),
            Place::Leaving => true,
        };
        debug_assert!(was_there, "{seq:?} is not at {place:?}");
    }
}

fn due(waiting: &BTreeSet<(Timestamp, Seq)>, now: Timestamp) -> Vec<(Timestamp, Seq)> {
    waiting
        .iter()
        .take_while(|&&(until, _)| until <= now)
        .copied()
        .collect()
}

#[cfg(test)]
mod tests;
