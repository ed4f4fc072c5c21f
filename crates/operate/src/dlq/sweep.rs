//! Receiving all dead letters of a queue, and returning them.
//!
//! SQS cannot list a queue. It delivers at most ten messages at once and hides them from all consumers
//! until they are deleted, made visible again, or their visibility timeout ends. So a sweep receives
//! until nothing new comes, keeps the receipt of everything it received, and at its end makes visible
//! what is still in the queue.

use std::{
    cell::RefCell,
    collections::{HashMap, HashSet},
    ops::ControlFlow,
    time::Duration,
};

use futures::{StreamExt as _, stream, stream::FuturesUnordered};
use jiff::Timestamp;
use tokio::{sync::watch, time::Instant};

use super::{
    Interrupts,
    dead_letters::{DeadLetter, IdHash},
    pace::BATCH,
    queue::Queue,
};

/// The most dead letters that a sweep holds. A queue allows 120,000 messages in flight, and other consumers
/// may hold some of them. At 600 bytes a receipt this is 60 MB.
pub const HELD_MAX: usize = 100_000;

/// Concurrent requests.
pub const LANES: usize = 8;

/// A sweep ends after this many empty receives in a row: one long poll of each lane.
const EMPTY_RECEIVES: usize = LANES;

/// It also ends after this many receives in a row that delivered only messages seen before or sent after
/// the sweep began, since those may never stop.
const IDLE_RECEIVES: usize = 200;

/// The shortest visibility timeout: two requests with all their attempts.
const VISIBILITY_MIN: Duration = Duration::from_secs(30);
/// SQS's limit.
const VISIBILITY_MAX: Duration = Duration::from_hours(12);
/// A sweep is at least this fast. AWS answers hundreds of receives a second.
const DEAD_LETTERS_PER_SECOND_MIN: u64 = 50;
/// Reserved at the end of the visibility timeout to return the dead letters.
const MARGIN: Duration = Duration::from_secs(10);

/// How long a sweep hides this many dead letters. It must be longer than the sweep itself, or SQS would
/// deliver the same ones again.
pub fn visibility(dead_letters: u64) -> Duration {
    let sweep = Duration::from_secs(
        dead_letters
            .min(HELD_MAX as u64)
            .div_ceil(DEAD_LETTERS_PER_SECOND_MIN),
    );
    VISIBILITY_MIN + sweep
}

/// How long to hide dead letters that are sent at this rate, if so many are held at once.
pub fn visibility_at(per_second: u32, held: usize) -> Duration {
    let held = u64::try_from(held).unwrap_or(u64::MAX);
    VISIBILITY_MIN + Duration::from_secs(held.div_ceil(u64::from(per_second.max(1))))
}

/// How a sweep ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// It saw every dead letter.
    All,
    /// The caller needed no more.
    Enough,
    /// It held [`HELD_MAX`] dead letters.
    Full,
    /// The visibility timeout was about to end.
    OutOfTime,
    Interrupted,
}

/// The result of one receive.
#[derive(Debug, Default)]
pub struct Delivery {
    pub new: Vec<DeadLetter>,
    /// Dead letters that this sweep has seen before. SQS may deliver a message more than once.
    pub again: Vec<DeadLetter>,
}

pub struct Sweep<'a> {
    queue: &'a Queue,
    /// When the sweep began, by this machine's clock.
    pub began: Timestamp,
    /// How long a receive hides its messages.
    receive_visibility: Duration,
    receive_most: usize,
    longest_hidden: Duration,
    deadline: Option<Instant>,
    state: RefCell<State>,
    stop: watch::Sender<bool>,
}

#[derive(Default)]
struct State {
    seen: HashSet<IdHash>,
    /// The newest receipt of each dead letter that the sweep holds.
    held: HashMap<IdHash, String>,
    quiet: Quiet,
}

/// Counts receives without news, to tell when a sweep is over.
#[derive(Debug, Default)]
struct Quiet {
    empty: usize,
    idle: usize,
}

impl Quiet {
    /// Notes a receive of `messages`. `news` counts those that were not seen before and not sent after the
    /// sweep began.
    fn note(&mut self, messages: usize, news: usize) {
        if news > 0 {
            *self = Self::default();
            return;
        }
        self.idle += 1;
        self.empty = if messages == 0 { self.empty + 1 } else { 0 };
    }

    fn is_over(&self) -> bool {
        self.empty >= EMPTY_RECEIVES || self.idle >= IDLE_RECEIVES
    }
}

impl<'a> Sweep<'a> {
    /// A sweep that holds everything until its end, at most `extra` after the last dead letter.
    pub async fn hold(queue: &'a Queue, extra: Duration) -> anyhow::Result<Self> {
        let hidden = visibility(queue.depth().await?.total()) + extra;
        let looking = hidden.saturating_sub(MARGIN + extra);
        Ok(Self::new(queue, hidden, BATCH, hidden, Some(looking)))
    }

    /// A sweep that deletes most dead letters soon after receiving them, and hides the others for `aside`. It
    /// has no deadline.
    pub fn pass(queue: &'a Queue, most: usize, visibility: Duration, aside: Duration) -> Self {
        let aside = aside.min(VISIBILITY_MAX);
        Self::new(queue, visibility.min(VISIBILITY_MAX), most, aside, None)
    }

    fn new(
        queue: &'a Queue,
        receive_visibility: Duration,
        receive_most: usize,
        longest_hidden: Duration,
        looking: Option<Duration>,
    ) -> Self {
        Self {
            queue,
            began: Timestamp::now(),
            receive_visibility,
            receive_most,
            longest_hidden: longest_hidden.max(receive_visibility),
            deadline: looking.map(|looking| Instant::now() + looking),
            state: RefCell::default(),
            stop: watch::Sender::new(false),
        }
    }

    /// After this, everything that the sweep received is visible again without further requests.
    pub fn longest_hidden(&self) -> Duration {
        self.longest_hidden
    }

    /// Receives until the end, and passes each delivery to `handle`. Requests run concurrently. At the end it
    /// waits for those under way, so that no message is received without its receipt being kept.
    pub async fn run(
        &self,
        interrupts: &mut Interrupts,
        handle: impl AsyncFn(Delivery) -> anyhow::Result<ControlFlow<()>>,
    ) -> (Ending, anyhow::Result<()>) {
        let mut ending = None;
        let mut failure = Ok(());
        let mut lanes = FuturesUnordered::new();
        for _ in 0..LANES {
            lanes.push(self.step(&handle));
        }
        loop {
            tokio::select! {
                () = interrupts.next(), if ending != Some(Ending::Interrupted) => {
                    ending = Some(Ending::Interrupted);
                    self.stop.send_replace(true);
                }
                step = lanes.next() => match step {
                    None => break,
                    Some(Ok(ControlFlow::Continue(()))) => {}
                    Some(Ok(ControlFlow::Break(()))) => ending = ending.or(Some(Ending::Enough)),
                    Some(Err(error)) => {
                        ending = ending.or(Some(Ending::Enough));
                        failure = failure.and(Err(error));
                        self.stop.send_replace(true);
                    }
                }
            }
            ending = ending.or_else(|| self.ending());
            if ending.is_none() {
                lanes.push(self.step(&handle));
            }
        }
        (ending.unwrap_or(Ending::All), failure)
    }

    fn ending(&self) -> Option<Ending> {
        let state = self.state.borrow();
        if state.held.len() >= HELD_MAX {
            Some(Ending::Full)
        } else if state.quiet.is_over() {
            Some(Ending::All)
        } else if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            Some(Ending::OutOfTime)
        } else {
            None
        }
    }

    async fn step(
        &self,
        handle: &impl AsyncFn(Delivery) -> anyhow::Result<ControlFlow<()>>,
    ) -> anyhow::Result<ControlFlow<()>> {
        let messages = self
            .queue
            .receive(self.receive_most, self.receive_visibility)
            .await?;
        let mut delivery = Delivery::default();
        {
            let mut state = self.state.borrow_mut();
            let received = messages.len();
            for mut message in messages {
                let receipt = message.receipt_handle.take();
                let Some((dead_letter, receipt)) = DeadLetter::parse(message).zip(receipt) else {
                    continue;
                };
                let id_hash = dead_letter.id_hash();
                state.held.insert(id_hash, receipt);
                if state.seen.insert(id_hash) {
                    delivery.new.push(dead_letter);
                } else {
                    delivery.again.push(dead_letter);
                }
            }
            let news = delivery
                .new
                .iter()
                .filter(|dead_letter| dead_letter.sent_at < self.began);
            let news = news.count();
            state.quiet.note(received, news);
        }
        handle(delivery).await
    }

    /// Waits until `then`. Returns false if the sweep is interrupted or fails before.
    pub async fn wait_until(&self, then: Instant) -> bool {
        let mut stop = self.stop.subscribe();
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => false,
            () = tokio::time::sleep_until(then) => true,
        }
    }

    /// The number of dead letters that the sweep holds.
    pub fn held(&self) -> usize {
        self.state.borrow().held.len()
    }

    /// Keeps dead letters from being delivered again during the sweep. If that fails they are delivered
    /// again, and recognised.
    pub async fn set_aside(&self, dead_letters: &[DeadLetter]) {
        let receipts = self.receipts(dead_letters.iter().map(DeadLetter::id_hash));
        for receipts in receipts.chunks(BATCH) {
            let receipts: Vec<String> = receipts.iter().map(|(_, receipt)| receipt.clone()).collect();
            let changed = self.queue.change_visibility(&receipts, self.longest_hidden).await;
            if changed.is_err() {
                return;
            }
        }
    }

    /// Deletes dead letters that the sweep holds. Returns those that could not be deleted, and why.
    pub async fn delete(&self, id_hashes: &[IdHash]) -> anyhow::Result<Vec<(IdHash, String)>> {
        let receipts = self.receipts(id_hashes.iter().copied());
        let mut refused = Vec::new();
        for receipts in receipts.chunks(BATCH) {
            let handles: Vec<String> = receipts.iter().map(|(_, receipt)| receipt.clone()).collect();
            let refusals = self.queue.delete(&handles).await?;
            let mut state = self.state.borrow_mut();
            for (index, (id_hash, receipt)) in receipts.iter().enumerate() {
                match refusals.iter().find(|refusal| refusal.index == index) {
                    Some(refusal) => refused.push((*id_hash, refusal.reason.clone())),
                    // With another receipt, it was delivered again meanwhile and is still held.
                    None if state.held.get(id_hash) == Some(receipt) => {
                        state.held.remove(id_hash);
                    }
                    None => {}
                }
            }
        }
        Ok(refused)
    }

    fn receipts(&self, id_hashes: impl Iterator<Item = IdHash>) -> Vec<(IdHash, String)> {
        let state = self.state.borrow();
        id_hashes
            .filter_map(|id_hash| Some((id_hash, state.held.get(&id_hash)?.clone())))
            .collect()
    }

    /// About how many dead letters other consumers hold.
    pub async fn hidden_elsewhere(&self) -> anyhow::Result<u64> {
        let hidden = self.queue.depth().await?.hidden;
        Ok(hidden.saturating_sub(u64::try_from(self.held()).unwrap_or(u64::MAX)))
    }

    /// Makes everything that the sweep holds visible again. Returns how many could not be, for example
    /// because of a second Ctrl-C; those become visible when their timeout ends.
    pub async fn release(&self, interrupts: &mut Interrupts) -> u64 {
        let held: Vec<String> = std::mem::take(&mut self.state.borrow_mut().held)
            .into_values()
            .collect();
        let mut left = u64::try_from(held.len()).unwrap_or(u64::MAX);
        let mut released = stream::iter(held.chunks(BATCH))
            .map(async |receipts| {
                let changed = self.queue.change_visibility(receipts, Duration::ZERO).await;
                changed.map_or(0, |()| u64::try_from(receipts.len()).unwrap_or_default())
            })
            .buffer_unordered(LANES);
        loop {
            tokio::select! {
                () = interrupts.next() => return left,
                shown = released.next() => match shown {
                    Some(shown) => left -= shown,
                    None => return left,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_hidden_for_longer_than_a_sweep_takes() {
        for (dead_letters, expected_s) in [(0, 30), (1, 31), (1_000, 50), (100_000, 2_030), (u64::MAX, 2_030)]
        {
            assert_eq!(visibility(dead_letters).as_secs(), expected_s, "{dead_letters}");
        }
        for (rate, held, expected_s) in [(100, 80, 31), (1, 8, 38), (1_000, 0, 30)] {
            assert_eq!(visibility_at(rate, held).as_secs(), expected_s, "{rate}/s");
        }
    }

    /// Notes receives of `(messages, news)`, and checks after how many of them the sweep is over.
    fn check_quiet(receives: &[(usize, usize)], expected: Option<usize>) {
        let mut quiet = Quiet::default();
        let over = receives.iter().position(|&(messages, news)| {
            quiet.note(messages, news);
            quiet.is_over()
        });
        assert_eq!(over, expected.map(|receives| receives - 1));
    }

    #[test]
    fn a_sweep_is_over_when_nothing_new_comes() {
        check_quiet(&[(0, 0); EMPTY_RECEIVES], Some(EMPTY_RECEIVES));
        check_quiet(&[(0, 0); EMPTY_RECEIVES - 1], None);
        let mut late = vec![(0, 0); EMPTY_RECEIVES - 1];
        late.push((1, 1));
        late.extend([(0, 0); EMPTY_RECEIVES]);
        check_quiet(&late, Some(2 * EMPTY_RECEIVES));
        // Repeated deliveries do not keep a sweep from ending, nor do they end it while news arrives.
        check_quiet(&[(10, 0); IDLE_RECEIVES], Some(IDLE_RECEIVES));
        check_quiet(&[(10, 0); IDLE_RECEIVES - 1], None);
        check_quiet(&[(10, 10); 1_000], None);
    }
}
