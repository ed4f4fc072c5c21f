//! Closes days, weeks and months from counters, with a snapshot every hour, while facts arrive late and are counted later
//! still. In the end each closed board must have what was received in time, and tell the rest.

use domain::PerWindow;
use domain::closed::State;
use domain::counters::Counters;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::closing::{self, Progress};

const USERS: [&str; 3] = ["ann", "bob", "cy"];
/// A Monday, so that a week and a month end within the days of the facts.
const BEGIN: &str = "2026-11-23T00:00:00Z";
const DAYS: i64 = 12;
const GRACE: SignedDuration = SignedDuration::from_hours(24);
/// Facts arrive at most so much later: for a week, what comes too late for a day is told.
const DELAY_HOURS_MAX: i64 = 6 * 24;
/// Within the day after it is closed, counters still tell what belongs to a day.
const UNCOUNTED_HOURS_MAX: i64 = 20;

#[derive(Clone, Debug)]
struct Fact {
    user: usize,
    points: i64,
    occurred_at: Timestamp,
    received_at: Timestamp,
    counted_at: Timestamp,
}

impl Fact {
    fn sum(&self) -> Sum {
        Sum {
            points: self.points,
            activities: 1,
        }
    }

    fn in_time(&self, calendar: &Calendar) -> PerWindow<bool> {
        calendar.in_time(self.occurred_at, self.received_at, GRACE)
    }

    fn is_in(&self, period: Period, calendar: &Calendar) -> bool {
        period.contains(calendar.date(self.occurred_at))
    }
}

fn facts() -> impl Strategy<Value = Vec<Fact>> {
    let begin: Timestamp = BEGIN.parse().unwrap();
    let late = prop_oneof![3 => 0..3_i64, 2 => 20..DELAY_HOURS_MAX];
    let uncounted = prop_oneof![3 => Just(0_i64), 1 => 0..UNCOUNTED_HOURS_MAX];
    let fact = (0..USERS.len(), 1..50_i64, 0..DAYS * 24, late, uncounted);
    let fact = fact.prop_map(move |(user, points, hour, late, uncounted)| {
        let occurred_at = begin + SignedDuration::from_hours(hour) + SignedDuration::from_mins(30);
        let received_at = occurred_at + SignedDuration::from_hours(late);
        Fact {
            user,
            points,
            occurred_at,
            received_at,
            counted_at: received_at + SignedDuration::from_hours(uncounted),
        }
    });
    vec(fact, 1..40)
}

/// What users did in a period.
type Board = BTreeMap<usize, InPeriod>;

/// The tables, as far as closing needs them.
struct Model<'a> {
    calendar: Calendar,
    facts: &'a [Fact],
    counters: BTreeMap<usize, Counters>,
    closings: BTreeMap<Window, Closings>,
    closed: BTreeMap<Period, Board>,
}

impl Model<'_> {
    fn count(&mut self, fact: &Fact) {
        let day = self.calendar.day(fact.occurred_at);
        let in_time = fact.in_time(&self.calendar);
        let sums = PerWindow::of_each(|window| {
            if in_time.get(window) {
                fact.sum()
            } else {
                Sum::default()
            }
        });
        let counters = self.counters.entry(fact.user);
        counters
            .or_insert_with(|| Counters::new(day.date))
            .add(day, sums, None);
    }

    /// What the facts received by now come to.
    fn of_facts(&self, user: usize, period: Period, now: Timestamp) -> InPeriod {
        let mut did = InPeriod::default();
        for fact in self.facts {
            if fact.user == user && fact.received_at <= now && fact.is_in(period, &self.calendar) {
                if fact.in_time(&self.calendar).get(period.window()) {
                    did.counted += fact.sum().into();
                } else {
                    did.late += fact.sum();
                }
            }
        }
        did
    }

    fn snapshot(&mut self, now: Timestamp) {
        let backlog = self
            .facts
            .iter()
            .filter(|fact| fact.received_at <= now && now < fact.counted_at);
        let progress = Progress {
            counted_until: Some(now - SignedDuration::from_mins(1)),
            backlog: backlog.count() as u64,
            dead_letters: 0,
        };
        let due = closing::due(&self.calendar, GRACE, now, progress, &self.closings);
        let mut review = Review::new(&due, &self.closings);
        let asked = review.asked();
        let mut boards: BTreeMap<Period, Board> = BTreeMap::new();
        for (&user, counters) in &self.counters {
            let past: Vec<_> = asked.iter().map(|period| counters.in_period(*period)).collect();
            let id = USERS[user].parse().unwrap();
            review.add(&id, &"p".parse().unwrap(), None, &past, counters.late());
            for (due, did) in due.iter().zip(past) {
                let did = did.unwrap_or_else(|| self.of_facts(user, due.period, now));
                boards.entry(due.period).or_default().insert(user, did);
            }
        }
        let mut done = Done {
            due: &due,
            ..Done::default()
        };
        for due in &due {
            if due.state == State::Closed {
                let board = boards.remove(&due.period).unwrap_or_default();
                self.closed.insert(due.period, board);
                done.made.push(due.period);
            }
            let window = due.period.window();
            let after = closing::closed(&self.calendar, self.closings.remove(&window), *due, now);
            self.closings.insert(window, after);
        }
        for (period, late) in review.to_tell() {
            let late = late.get(&domain::Board::Global).cloned().unwrap_or_default();
            for (user, late) in late {
                let user = USERS.iter().position(|id| *id == user.as_str()).unwrap();
                let board = self.closed.get_mut(period).unwrap();
                board.entry(user).or_default().late = late;
            }
            done.told.push(*period);
        }
        review.note(&mut self.closings, &done, &self.calendar, now);
    }
}

proptest! {
    #[test]
    fn closed_boards_have_what_came_in_time_and_tell_the_rest(facts in facts()) {
        let mut model = Model {
            calendar: calendar(),
            facts: &facts,
            counters: BTreeMap::new(),
            closings: BTreeMap::new(),
            closed: BTreeMap::new(),
        };
        let begin: Timestamp = BEGIN.parse().unwrap();
        // Until everything is counted, and the last day with facts is closed and told.
        let hours = DAYS * 24 + DELAY_HOURS_MAX + UNCOUNTED_HOURS_MAX + 2 * 24;
        for hour in 0..hours {
            let now = begin + SignedDuration::from_hours(hour) + SignedDuration::from_mins(2);
            let before = now - SignedDuration::from_hours(1);
            for fact in facts.iter().filter(|fact| before < fact.counted_at && fact.counted_at <= now) {
                model.count(fact);
            }
            model.snapshot(now);
        }
        for (period, board) in &model.closed {
            for (user, name) in USERS.iter().enumerate() {
                let expected = model.of_facts(user, *period, Timestamp::MAX);
                let found = board.get(&user).copied().unwrap_or_default();
                prop_assert_eq!(found, expected, "{} in {}", name, period);
            }
        }
        let last = calendar_day(&model.calendar, begin + SignedDuration::from_hours(DAYS * 24 - 1));
        prop_assert!(model.closed.contains_key(&last), "{} is closed", last);
    }
}

/// Two seasons after one another, of which the second ends with the days of the model.
fn calendar() -> Calendar {
    let begin: Timestamp = BEGIN.parse().unwrap();
    let utc: Calendar = "UTC".parse().unwrap();
    let day = |days: i64| utc.date(begin + SignedDuration::from_hours(days * 24));
    let season = |id: &str, first: i64, last: i64| {
        format!(
            r#"{{"id":"{id}","title":"{id}","first_day":"{}","last_day":"{}"}}"#,
            day(first),
            day(last)
        )
    };
    let half = DAYS / 2;
    let seasons = format!(
        "[{},{}]",
        season("one", 0, half - 1),
        season("two", half, DAYS - 1)
    );
    utc.clone().with_seasons(seasons.parse().unwrap())
}

fn calendar_day(calendar: &Calendar, at: Timestamp) -> Period {
    calendar.current(Window::Day, at).unwrap()
}
