//! Deterministic simulation of interleavings and crashes, from a seed: the real decisions of the
//! aggregator, of the snapshot and of rewards over models of the tables and the queues.
//!
//! `PODIUM_SCHEDULES` sets the number of schedules, `PODIUM_SEED` the first seed. With a single schedule,
//! every move is printed; name the test, too.

mod erasure;
mod folds;
mod people;
mod publishing;
mod reader;
mod rewards;
mod run;
mod snapshots;
mod tables;
mod worker;
mod world;

use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use world::World;

const SCHEDULES: u64 = 3_000;
const TOLD_EVERY: u64 = 100_000;

/// Whether a schedule of any world broke an invariant. Then no other begins.
static IS_BROKEN: AtomicBool = AtomicBool::new(false);

/// Whether every move is printed.
static IS_VERBOSE: AtomicBool = AtomicBool::new(false);

/// Prints what happened, if every move is printed.
fn tell(what: impl Display) {
    if IS_VERBOSE.load(Ordering::Relaxed) {
        println!("{what}");
    }
}

fn number(variable: &str, default: u64) -> u64 {
    match std::env::var(variable) {
        Ok(raw) => raw
            .parse()
            .unwrap_or_else(|_| panic!("{variable} must be a number, not {raw:?}")),
        Err(_) => default,
    }
}

/// Runs schedules by their seeds until one breaks an invariant.
fn run_schedules(run: impl Fn(u64) + Sync) {
    let (first, schedules) = (number("PODIUM_SEED", 1), number("PODIUM_SCHEDULES", SCHEDULES));
    IS_VERBOSE.store(schedules == 1, Ordering::Relaxed);
    let next = AtomicU64::new(first);
    let started = Instant::now();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + schedules || IS_BROKEN.load(Ordering::Relaxed) {
                        return;
                    }
                    let is_right = catch_unwind(AssertUnwindSafe(|| run(seed))).is_ok();
                    IS_BROKEN.fetch_or(!is_right, Ordering::Relaxed);
                    let done = seed - first + 1;
                    assert!(
                        is_right,
                        "seed {seed} breaks an invariant, after {done} schedules; PODIUM_SEED={seed} PODIUM_SCHEDULES=1 shows it"
                    );
                    if done.is_multiple_of(TOLD_EVERY) {
                        println!("{done} of {schedules} schedules");
                    }
                }
            });
        }
    });
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let an_hour = schedules as f64 / started.elapsed().as_secs_f64() * 3600.0;
    println!("{schedules} schedules on {threads} threads, {an_hour:.0} an hour");
}

#[test]
fn whatever_happens_each_accepted_activity_is_counted_once_and_readers_see_whole_generations() {
    run_schedules(|seed| World::new(seed).run());
}

#[test]
fn whatever_happens_each_coin_is_given_once_to_whoever_earned_it() {
    run_schedules(|seed| rewards::World::new(seed).run());
}
