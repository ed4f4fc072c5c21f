//! Which faults are injected: decided by a seed and the rates.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use super::kind::{Fault, KINDS, RATE_BASE, TABLE};

/// The faults of a stack. Clones share one state. The default injects none.
#[derive(Clone, Debug, Default)]
pub struct Faults(Option<Arc<Plan>>);

#[derive(Debug)]
struct Plan {
    seed: u64,
    chosen: BTreeSet<Fault>,
    is_off: AtomicBool,
    draws: [AtomicU64; KINDS],
    injected: [AtomicU64; KINDS],
    raised: RwLock<Vec<Raised>>,
}

/// A temporary rate of a fault. It holds for calls that write to these tables, or for all draws if there
/// are none.
#[derive(Clone, Debug)]
struct Raised {
    fault: Fault,
    tables: BTreeSet<String>,
    rate: u64,
}

impl Faults {
    pub fn none() -> Self {
        Self(None)
    }

    /// Injects the chosen kinds at their default rates. Without a chosen kind nothing is injected until a
    /// rate is raised.
    pub fn from_seed(seed: u64, chosen: impl IntoIterator<Item = Fault>) -> Self {
        let zeros = || std::array::from_fn(|_| AtomicU64::new(0));
        Self(Some(Arc::new(Plan {
            seed,
            chosen: chosen.into_iter().collect(),
            is_off: AtomicBool::new(false),
            draws: zeros(),
            injected: zeros(),
            raised: RwLock::default(),
        })))
    }

    /// Stops injecting. Faults that have begun continue.
    pub fn switch_off(&self) {
        if let Some(plan) = &self.0 {
            plan.is_off.store(true, Ordering::Relaxed);
        }
    }

    /// Injects the fault into this share of the functions' calls that write to one of these tables, until
    /// [`lower`](Self::lower); 1.0 is every call. Without tables the share applies to everything that the
    /// fault can affect. Has no effect on [`none`](Self::none).
    pub fn raise<'a>(&self, fault: Fault, tables: impl IntoIterator<Item = &'a str>, share: f64) {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "between 0 and 10,000"
        )]
        let rate = (share.clamp(0.0, 1.0) * RATE_BASE as f64) as u64;
        let tables = tables.into_iter().map(str::to_owned).collect();
        if let Some(plan) = &self.0 {
            plan.raised().push(Raised { fault, tables, rate });
        }
    }

    /// Undoes every [`raise`](Self::raise) of this fault.
    pub fn lower(&self, fault: Fault) {
        if let Some(plan) = &self.0 {
            plan.raised().retain(|raised| raised.fault != fault);
        }
    }

    /// The number of injections of each chosen kind.
    pub fn counts(&self) -> Vec<(Fault, u64)> {
        let Some(plan) = &self.0 else {
            return Vec::new();
        };
        let count = |&fault: &Fault| (fault, plan.injected[fault.index()].load(Ordering::Relaxed));
        plan.chosen.iter().map(count).collect()
    }

    pub(crate) fn are_none(&self) -> bool {
        self.0.is_none()
    }

    /// Decides whether to inject a fault now. The caller must [`count`](Self::count) it once it has had an
    /// effect.
    pub(crate) fn draw(&self, fault: Fault) -> Option<Draw> {
        self.draw_for_write(fault, Vec::new)
    }

    /// As [`draw`](Self::draw), for a call that writes to these tables. `tables` is called only if a rate
    /// is raised.
    pub(super) fn draw_for_write(&self, fault: Fault, tables: impl FnOnce() -> Vec<String>) -> Option<Draw> {
        let plan = self.0.as_ref()?;
        let rate = if plan.chosen.contains(&fault) {
            TABLE[fault.index()].2
        } else {
            0
        };
        plan.draw(fault, plan.raised_rate(fault, tables).unwrap_or(rate))
    }

    pub(crate) fn count(&self, fault: Fault) {
        if let Some(plan) = &self.0 {
            plan.injected[fault.index()].fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Plan {
    fn raised(&self) -> std::sync::RwLockWriteGuard<'_, Vec<Raised>> {
        self.raised.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn raised_rate(&self, fault: Fault, tables: impl FnOnce() -> Vec<String>) -> Option<u64> {
        let raised = self.raised.read().unwrap_or_else(PoisonError::into_inner);
        let mut of_fault = raised.iter().filter(|raised| raised.fault == fault).peekable();
        of_fault.peek()?;
        let tables = tables();
        let applies = |raised: &&Raised| {
            raised.tables.is_empty() || tables.iter().any(|table| raised.tables.contains(table))
        };
        of_fault.filter(applies).map(|raised| raised.rate).max()
    }

    fn draw(&self, fault: Fault, rate: u64) -> Option<Draw> {
        if rate == 0 || self.is_off.load(Ordering::Relaxed) {
            return None;
        }
        let number = self.draws[fault.index()].fetch_add(1, Ordering::Relaxed);
        let mut draw = Draw(mix(mix(self.seed) ^ mix(fault.index() as u64) ^ number));
        (draw.below(RATE_BASE) < rate).then_some(draw)
    }
}

/// The random source of one injected fault. It decides the fault's form and duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Draw(pub(super) u64);

impl Draw {
    /// A number in `0..bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        debug_assert!(bound > 0, "there is no number below 0");
        self.0 = mix(self.0);
        self.0 % bound
    }

    /// A duration within the range, in whole milliseconds.
    pub(crate) fn within(&mut self, range: Range<Duration>) -> Duration {
        let millis = u64::try_from(range.end.saturating_sub(range.start).as_millis()).unwrap_or(u64::MAX);
        range.start + Duration::from_millis(self.below(millis.max(1)))
    }
}

/// The finalizer of `SplitMix64`: a bijection whose output looks random.
pub(crate) fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draws(faults: &Faults, fault: Fault, count: usize) -> Vec<Option<Draw>> {
        (0..count).map(|_| faults.draw(fault)).collect()
    }

    #[test]
    fn the_same_seed_decides_the_same_whatever_else_is_asked() {
        let alone = Faults::from_seed(7, [Fault::Throttle]);
        let among_others = Faults::from_seed(7, Fault::EVERY);
        let mut seen = Vec::new();
        for _ in 0..5_000 {
            seen.push(among_others.draw(Fault::Throttle));
            among_others.draw(Fault::Kill);
            among_others.draw(Fault::Slow);
        }
        assert_eq!(seen, draws(&alone, Fault::Throttle, 5_000));
        assert!(seen.iter().any(Option::is_some));
        let other_seed = Faults::from_seed(8, [Fault::Throttle]);
        assert_ne!(seen, draws(&other_seed, Fault::Throttle, 5_000));
    }

    #[test]
    fn kinds_are_as_frequent_as_the_table_says_and_do_not_go_together() {
        const DRAWS: usize = 100_000;
        let faults = Faults::from_seed(1, Fault::EVERY);
        let drawn = Fault::EVERY.map(|fault| draws(&faults, fault, DRAWS));
        for (draws, (_, name, rate)) in drawn.iter().zip(TABLE) {
            let seen = draws.iter().flatten().count() as u64;
            let expected = rate * DRAWS as u64 / RATE_BASE;
            assert!(
                (expected * 7 / 10..=expected * 13 / 10).contains(&seen),
                "{name}: {seen}"
            );
        }
        let [throttles, errors] = [Fault::Throttle, Fault::ServerError].map(|fault| &drawn[fault.index()]);
        let both = throttles
            .iter()
            .zip(errors)
            .filter(|(one, other)| one.is_some() && other.is_some());
        assert!(both.count() < 30);
    }

    #[test]
    fn only_what_is_chosen_strikes_and_nothing_once_it_is_switched_off() {
        let faults = Faults::from_seed(3, [Fault::Reorder]);
        assert!(draws(&faults, Fault::Kill, 10_000).iter().all(Option::is_none));
        assert!(draws(&faults, Fault::Reorder, 10_000).iter().any(Option::is_some));
        faults.count(Fault::Reorder);
        assert_eq!(faults.counts(), [(Fault::Reorder, 1)]);
        faults.switch_off();
        assert!(draws(&faults, Fault::Reorder, 10_000).iter().all(Option::is_none));
        assert!(
            draws(&Faults::none(), Fault::Reorder, 10_000)
                .iter()
                .all(Option::is_none)
        );
    }

    #[test]
    fn what_is_drawn_for_a_fault_stays_within_its_bounds() {
        let range = Duration::from_millis(50)..Duration::from_millis(800);
        let mut draw = Draw(5);
        let drawn: BTreeSet<Duration> = (0..1_000).map(|_| draw.within(range.clone())).collect();
        assert!(drawn.iter().all(|time| range.contains(time)));
        assert!(drawn.len() > 500, "{}", drawn.len());
    }
}
