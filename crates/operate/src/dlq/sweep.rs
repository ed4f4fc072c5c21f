//! Taking all letters of a queue in hand, and giving them back.
//!
//! SQS lists nothing: it hands out, at most ten messages at once, and hides them from everyone until
//! they are deleted, shown again, or a time is over. So a sweep receives until nothing new comes,
//! keeps the receipt of everything that it was handed, and shows at its end what is still there.

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
    letters::{Key, Letter},
    pace::BATCH,
    queue::Queue,
};

/// Letters in hand at most. A queue lets 120,000 be in flight, and others may have some, too. A
/// receipt of 600 bytes each makes 60 MB.
pub const HELD_MAX: usize = 100_000;

/// Calls under way at once.
pub const LANES: usize = 8;

/// This many receives in a row without a message are the end: a long poll of each lane.
const EMPTY_RECEIVES: usize = LANES;

/// And so many that brought only what was seen before or has come since, which might never end.
const IDLE_RECEIVES: usize = 200;

/// The shortest time for which letters are hidden: two calls with all their attempts.
const VISIBILITY_MIN: Duration = Duration::from_secs(30);
/// SQS's limit.
const VISIBILITY_MAX: Duration = Duration::from_hours(12);
/// What a sweep manages at the least; AWS answers some hundreds of receives a second.
const LETTERS_PER_SECOND_MIN: u64 = 50;
/// Kept at the end of that time to give the letters back.
const MARGIN: Duration = Duration::from_secs(10);

/// For how long a sweep of so many letters hides them. It must be longer than the sweep, which would
/// be handed the same ones again.
pub fn visibility(letters: u64) -> Duration {
    let sweep = Duration::from_secs(letters.min(HELD_MAX as u64).div_ceil(LETTERS_PER_SECOND_MIN));
    VISIBILITY_MIN + sweep
}

/// For how long letters are hidden that are sent at this rate, if so many are in hand at once.
pub fn visibility_at(per_second: u32, in_hand: usize) -> Duration {
    let in_hand = u64::try_from(in_hand).unwrap_or(u64::MAX);
    VISIBILITY_MIN + Duration::from_secs(in_hand.div_ceil(u64::from(per_second.max(1))))
}

/// How a sweep ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// It saw all that there is.
    All,
    /// It was told that this is enough.
    Enough,
    /// It had [`HELD_MAX`] letters in hand.
    Full,
    /// The letters were about to be shown again.
    OutOfTime,
    Interrupted,
}

/// What one receive brought.
#[derive(Debug, Default)]
pub struct Delivery {
    pub new: Vec<Letter>,
    /// Letters that this sweep has seen before, which SQS may hand out more than once.
    pub again: Vec<Letter>,
}

pub struct Sweep<'a> {
    queue: &'a Queue,
    /// When it began, by this machine's clock.
    pub began: Timestamp,
    /// For how long a receive hides what it brings.
    receive_visibility: Duration,
    receive_most: usize,
    longest_hidden: Duration,
    deadline: Option<Instant>,
    state: RefCell<State>,
    stop: watch::Sender<bool>,
}

#[derive(Default)]
struct State {
    seen: HashSet<Key>,
    /// The newest receipt of each letter that is in hand.
    held: HashMap<Key, String>,
    quiet: Quiet,
}

/// Whether anything new is to be expected.
#[derive(Debug, Default)]
struct Quiet {
    empty: usize,
    idle: usize,
}

impl Quiet {
    /// Notes a receive of `messages`, of which `news` were not seen before and not sent since.
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
    /// A sweep that holds everything until its end, which is `extra` after the last letter at most.
    pub async fn hold(queue: &'a Queue, extra: Duration) -> anyhow::Result<Self> {
        let hidden = visibility(queue.depth().await?.total()) + extra;
        let looking = hidden.saturating_sub(MARGIN + extra);
        Ok(Self::new(queue, hidden, BATCH, hidden, Some(looking)))
    }

    /// A sweep that is done with most letters soon, and sets the others aside. It has no deadline.
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

    /// After this, everything that was taken is shown again by itself.
    pub fn longest_hidden(&self) -> Duration {
        self.longest_hidden
    }

    /// Receives until the end, and hands over what comes. Calls are under way side by side, and those
    /// that are when it ends are waited for, so that nothing is taken without being noted.
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
                let Some((letter, receipt)) = Letter::parse(message).zip(receipt) else {
                    continue;
                };
                let key = letter.key();
                state.held.insert(key, receipt);
                if state.seen.insert(key) {
                    delivery.new.push(letter);
                } else {
                    delivery.again.push(letter);
                }
            }
            let news = delivery.new.iter().filter(|letter| letter.sent_at < self.began);
            let news = news.count();
            state.quiet.note(received, news);
        }
        handle(delivery).await
    }

    /// Waits until then, or gives false if the sweep is interrupted or fails before.
    pub async fn wait_until(&self, then: Instant) -> bool {
        let mut stop = self.stop.subscribe();
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => false,
            () = tokio::time::sleep_until(then) => true,
        }
    }

    /// Letters in hand.
    pub fn held(&self) -> usize {
        self.state.borrow().held.len()
    }

    /// Keeps letters from being handed out again while the sweep goes on. If that fails they are,
    /// and are known.
    pub async fn set_aside(&self, letters: &[Letter]) {
        let receipts = self.receipts(letters.iter().map(Letter::key));
        for receipts in receipts.chunks(BATCH) {
            let receipts: Vec<String> = receipts.iter().map(|(_, receipt)| receipt.clone()).collect();
            let changed = self.queue.change_visibility(&receipts, self.longest_hidden).await;
            if changed.is_err() {
                return;
            }
        }
    }

    /// Deletes letters that are in hand. Gives those that could not be, and why.
    pub async fn delete(&self, keys: &[Key]) -> anyhow::Result<Vec<(Key, String)>> {
        let receipts = self.receipts(keys.iter().copied());
        let mut refused = Vec::new();
        for receipts in receipts.chunks(BATCH) {
            let handles: Vec<String> = receipts.iter().map(|(_, receipt)| receipt.clone()).collect();
            let refusals = self.queue.delete(&handles).await?;
            let mut state = self.state.borrow_mut();
            for (place, (key, receipt)) in receipts.iter().enumerate() {
                match refusals.iter().find(|refusal| refusal.place == place) {
                    Some(refusal) => refused.push((*key, refusal.reason.clone())),
                    // It may have been handed out anew meanwhile, and then is in hand again.
                    None if state.held.get(key) == Some(receipt) => {
                        state.held.remove(key);
                    }
                    None => {}
                }
            }
        }
        Ok(refused)
    }

    fn receipts(&self, keys: impl Iterator<Item = Key>) -> Vec<(Key, String)> {
        let state = self.state.borrow();
        keys.filter_map(|key| Some((key, state.held.get(&key)?.clone())))
            .collect()
    }

    /// About how many letters somebody else has in hand.
    pub async fn hidden_elsewhere(&self) -> anyhow::Result<u64> {
        let hidden = self.queue.depth().await?.hidden;
        Ok(hidden.saturating_sub(u64::try_from(self.held()).unwrap_or(u64::MAX)))
    }

    /// Shows again all that is in hand. Gives how many could not be, be it that a second Ctrl-C ended
    /// it: those come by themselves, later.
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
        for (letters, expected_s) in [(0, 30), (1, 31), (1_000, 50), (100_000, 2_030), (u64::MAX, 2_030)] {
            assert_eq!(visibility(letters).as_secs(), expected_s, "{letters}");
        }
        for (rate, in_hand, expected_s) in [(100, 80, 31), (1, 8, 38), (1_000, 0, 30)] {
            assert_eq!(visibility_at(rate, in_hand).as_secs(), expected_s, "{rate}/s");
        }
    }

    /// Receives as `MESSAGES/NEWS`, and after how many of them it is over.
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
        // What comes back again and again does not keep it from ending, nor does it hide what waits.
        check_quiet(&[(10, 0); IDLE_RECEIVES], Some(IDLE_RECEIVES));
        check_quiet(&[(10, 0); IDLE_RECEIVES - 1], None);
        check_quiet(&[(10, 10); 1_000], None);
    }
}
