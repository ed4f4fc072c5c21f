//! Whether the boards of closed periods still say what the standings do. Something may have come too late for them, which is
//! told and not added, and something in time may have been counted after they were made.

use std::collections::BTreeMap;

use domain::closed::InPeriod;
use domain::counters::{Late, Sum, knows_late};
use domain::{Board, Calendar, Period, ProgramId, Tally, TeamId, UserId, Window};
use jiff::{SignedDuration, Timestamp};
use store::overview::{Again, Closings, Kept};

use crate::closing::Due;

/// What came too late is told this long after the boards were made last, so that each makes few editions.
pub const TOLD_EVERY: SignedDuration = SignedDuration::from_hours(1);
/// A run tells of so many periods what came too late. It keeps who that was in memory.
pub const TOLD_MAX: usize = 3;

/// What came too late for one period, on each board.
pub type LateOnBoards = BTreeMap<Board, BTreeMap<UserId, Sum>>;

/// What the standings come to in periods that are over.
#[derive(Clone, Debug, Default)]
pub struct Review {
    /// What counts in each period that a run asks for; `None` once someone's counter was given up.
    counted: Vec<(Period, Option<Tally>)>,
    /// What came too late for each period that is kept or made.
    late: BTreeMap<Period, Sum>,
    /// Where it came too late, for the periods of which this run tells it.
    to_tell: BTreeMap<Period, LateOnBoards>,
}

/// What a run did for periods that are over.
#[derive(Clone, Debug, Default)]
pub struct Done<'a> {
    /// Those whose boards it should have made.
    pub due: &'a [Due],
    /// Those of them that it closed.
    pub made: Vec<Period>,
    /// Those of which it told what came too late.
    pub told: Vec<Period>,
}

impl Review {
    /// `due` are the periods whose boards the run makes.
    pub fn new(due: &[Due], closings: &BTreeMap<Window, Closings>) -> Self {
        let due = || due.iter().map(|due| due.period);
        let kept = || closings.values().flat_map(|closings| &closings.kept);
        let last = closings.values().filter_map(|closings| closings.kept.first());
        let last = last
            .map(|kept| kept.period)
            .filter(|period| due().all(|due| due != *period));
        let to_tell = kept().filter(|kept| kept.again == Some(Again::Late));
        Self {
            counted: due()
                .chain(last)
                .map(|period| (period, Some(Tally::default())))
                .collect(),
            late: due()
                .chain(kept().map(|kept| kept.period))
                .map(|period| (period, Sum::default()))
                .collect(),
            to_tell: to_tell
                .take(TOLD_MAX)
                .map(|kept| (kept.period, LateOnBoards::new()))
                .collect(),
        }
    }

    /// The periods of which each standing must say what was done. Those whose boards the run makes come first.
    pub fn asked(&self) -> Vec<Period> {
        self.counted.iter().map(|(period, _)| *period).collect()
    }

    /// Adds a standing: what was done in each period that is asked for, and what came too late.
    pub fn add(
        &mut self,
        user: &UserId,
        program: &ProgramId,
        team: Option<&TeamId>,
        past: &[Option<InPeriod>],
        late: &Late,
    ) {
        for ((_, counted), did) in self.counted.iter_mut().zip(past) {
            *counted = counted.zip(*did).map(|(counted, did)| counted + did.counted);
        }
        for (period, late) in late {
            if let Some(sum) = self.late.get_mut(period) {
                *sum += *late;
            }
            if let Some(boards) = self.to_tell.get_mut(period) {
                let team = team.map(|team| Board::Team(team.clone()));
                let of_user = [Board::Global, Board::Program(program.clone())]
                    .into_iter()
                    .chain(team);
                for board in of_user {
                    let board = boards.entry(board).or_default();
                    *board.entry(user.clone()).or_default() += *late;
                }
            }
        }
    }

    /// What came too late for the periods of which this run tells it.
    pub fn to_tell(&self) -> &BTreeMap<Period, LateOnBoards> {
        &self.to_tell
    }

    /// Notes which boards agree with the standings by now, and which must be made again.
    pub fn note(
        &self,
        closings: &mut BTreeMap<Window, Closings>,
        done: &Done<'_>,
        calendar: &Calendar,
        now: Timestamp,
    ) {
        for (window, closings) in closings {
            let mut kept = std::mem::take(&mut closings.kept);
            kept.retain(|kept| !done.made.contains(&kept.period));
            for kept in &mut kept {
                self.note_one(kept, done, now);
            }
            let made = done.made.iter().filter(|period| period.window() == *window);
            kept.extend(made.map(|&period| Kept {
                period,
                counted: self.counted(period),
                late: self.late(period),
                as_of: now,
                again: None,
            }));
            kept.retain(|kept| knows_late(kept.period, calendar, now));
            kept.sort_unstable_by_key(|kept| std::cmp::Reverse(kept.period));
            closings.kept = kept;
        }
    }

    fn note_one(&self, kept: &mut Kept, done: &Done<'_>, now: Timestamp) {
        let late = self.late(kept.period);
        if done.due.iter().any(|due| due.period == kept.period) {
            // It was not made again, since too many counters were given up.
            (kept.counted, kept.again) = (None, None);
        } else if done.told.contains(&kept.period) {
            (kept.late, kept.as_of, kept.again) = (late, now, None);
        }
        let counted = self.counted(kept.period).zip(kept.counted);
        if counted.is_some_and(|(counted, then)| counted != then) {
            kept.again = Some(Again::Counted);
        } else if late != kept.late && now.duration_since(kept.as_of) >= TOLD_EVERY {
            kept.again = Some(Again::Late);
        }
    }

    fn counted(&self, period: Period) -> Option<Tally> {
        let counted = self.counted.iter().find(|(of, _)| *of == period);
        counted.and_then(|(_, counted)| *counted)
    }

    fn late(&self, period: Period) -> Sum {
        self.late.get(&period).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod model;

#[cfg(test)]
mod tests {
    use domain::closed::State;

    use super::*;

    fn sum(points: i64) -> Sum {
        Sum {
            points,
            activities: points.signum(),
        }
    }

    /// Runs, each given as when it was, what it closes, what counts in the last period that is closed (`?` if a counter was
    /// given up), and what came too late for each. Renders what is kept, such as `2026-11-24=10+5!late`.
    fn check(runs: &[(&str, &str, &str, &str, &str)]) {
        let calendar: Calendar = "UTC".parse().unwrap();
        let mut closings: BTreeMap<Window, Closings> = BTreeMap::new();
        for (now, closes, counted, late, expected) in runs {
            let now: Timestamp = now.parse().unwrap();
            let closes: Vec<Period> = closes
                .split_whitespace()
                .map(|name| name.parse().unwrap())
                .collect();
            let due: Vec<_> = closes
                .iter()
                .map(|&period| Due {
                    period,
                    state: State::Closed,
                })
                .collect();
            let mut review = Review::new(&due, &closings);
            let late: Late = late
                .split_whitespace()
                .map(|late| {
                    let (period, points) = late.split_once('=').unwrap();
                    (period.parse().unwrap(), sum(points.parse().unwrap()))
                })
                .collect();
            let did = counted.parse().ok().map(|points| InPeriod {
                counted: sum(points).into(),
                ..InPeriod::default()
            });
            let past = vec![did; review.asked().len()];
            review.add(&"ann".parse().unwrap(), &"p".parse().unwrap(), None, &past, &late);
            for period in &closes {
                let new = || Closings {
                    through: *period,
                    provisional: None,
                    kept: Vec::new(),
                };
                closings.entry(period.window()).or_insert_with(new);
            }
            let done = Done {
                due: &due,
                made: if did.is_some() { closes } else { Vec::new() },
                told: review.to_tell().keys().copied().collect(),
            };
            review.note(&mut closings, &done, &calendar, now);
            let kept = closings.values().flat_map(|closings| &closings.kept);
            let kept = kept.map(|kept| {
                let counted = kept
                    .counted
                    .map_or("?".to_owned(), |counted| counted.points.to_string());
                let again = match kept.again {
                    None => "",
                    Some(Again::Late) => "!late",
                    Some(Again::Counted) => "!counted",
                };
                format!("{}={counted}+{}{again}", kept.period, kept.late.points)
            });
            assert_eq!(kept.collect::<Vec<_>>().join(" "), *expected, "{now}");
        }
    }

    #[test]
    fn what_came_too_late_is_told_once_an_hour() {
        check(&[
            ("2026-11-25T00:02:00Z", "2026-11-23", "10", "", "2026-11-23=10+0"),
            (
                "2026-11-25T00:30:00Z",
                "",
                "10",
                "2026-11-23=5",
                "2026-11-23=10+0",
            ),
            (
                "2026-11-25T01:02:00Z",
                "",
                "10",
                "2026-11-23=5",
                "2026-11-23=10+0!late",
            ),
            // This run tells it, also what came since.
            (
                "2026-11-25T01:03:00Z",
                "",
                "10",
                "2026-11-23=6",
                "2026-11-23=10+6",
            ),
            (
                "2026-11-25T02:02:00Z",
                "",
                "10",
                "2026-11-23=0",
                "2026-11-23=10+6",
            ),
            (
                "2026-11-25T02:03:00Z",
                "",
                "10",
                "2026-11-23=0",
                "2026-11-23=10+6!late",
            ),
        ]);
    }

    #[test]
    fn what_is_counted_afterwards_makes_the_boards_again() {
        check(&[
            ("2026-11-25T00:02:00Z", "2026-11-23", "10", "", "2026-11-23=10+0"),
            ("2026-11-25T00:03:00Z", "", "15", "", "2026-11-23=10+0!counted"),
            ("2026-11-25T00:04:00Z", "2026-11-23", "15", "", "2026-11-23=15+0"),
            // Once a counter was given up there is nothing to compare with.
            ("2026-11-25T00:05:00Z", "", "?", "", "2026-11-23=15+0"),
            ("2026-11-25T00:06:00Z", "", "20", "", "2026-11-23=15+0!counted"),
            ("2026-11-25T00:07:00Z", "2026-11-23", "?", "", "2026-11-23=?+0"),
            ("2026-11-25T00:08:00Z", "", "20", "", "2026-11-23=?+0"),
        ]);
    }

    #[test]
    fn periods_are_kept_while_standings_know_what_is_late() {
        check(&[
            (
                "2026-11-25T00:02:00Z",
                "2026-10 2026-W47 2026-11-23",
                "10",
                "",
                "2026-10=10+0 2026-W47=10+0 2026-11-23=10+0",
            ),
            (
                "2026-11-30T23:59:00Z",
                "2026-11-24",
                "10",
                "",
                "2026-10=10+0 2026-W47=10+0 2026-11-24=10+0 2026-11-23=10+0",
            ),
            (
                "2026-12-01T00:00:00Z",
                "",
                "10",
                "",
                "2026-10=10+0 2026-W47=10+0 2026-11-24=10+0",
            ),
            ("2026-12-28T00:00:00Z", "", "10", "", "2026-10=10+0"),
            ("2027-01-01T00:00:00Z", "", "10", "", ""),
        ]);
    }

    #[test]
    fn what_came_too_late_is_told_on_each_board() {
        let kept = Kept {
            period: "2026-11-23".parse().unwrap(),
            counted: None,
            late: Sum::default(),
            as_of: Timestamp::UNIX_EPOCH,
            again: Some(Again::Late),
        };
        let closings = Closings {
            through: kept.period,
            provisional: None,
            kept: vec![kept.clone()],
        };
        let mut review = Review::new(&[], &[(Window::Day, closings)].into());
        for (user, program, team, points) in [
            ("ann", "p", Some("red"), 5),
            ("ann", "q", Some("red"), 2),
            ("bo", "p", None, 1),
        ] {
            let team = team.map(|team| team.parse().unwrap());
            review.add(
                &user.parse().unwrap(),
                &program.parse().unwrap(),
                team.as_ref(),
                &[],
                &[(kept.period, sum(points))].into(),
            );
        }
        let told = review.to_tell()[&kept.period].iter().map(|(board, late)| {
            let late = late.iter().map(|(user, late)| format!("{user}={}", late.points));
            format!("{board} {}", late.collect::<Vec<_>>().join(" "))
        });
        assert_eq!(
            told.collect::<Vec<_>>().join(", "),
            "global ann=7 bo=1, program:p ann=5 bo=1, program:q ann=2, team:red ann=7"
        );
    }
}
