//! People during the load: profiles that change again and again, and people who are erased and come back.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use client::people::Put;
use client::wire::{Activity, Kind};
use client::{Api, Collection, PostError, parse_url, retry};
use domain::{Board, DisplayName, Person, Tally, TeamId, UserId, Visibility};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use operate::deployment::Deployment;
use operate::erase::{Erasure, Waits};
use rand::rngs::StdRng;
use rand::seq::IteratorRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use tokio::time::{Instant, sleep};

use super::load::{GIVE_UP_AFTER, WAIT_MAX, post_until_taken};
use super::{FUNCTION_TIMEOUT, LOOK_EVERY};
use crate::trial::audit::{self, Row};

/// So many users of the load have a profile, which is sent up to so many times, each time another one.
const PEOPLE: usize = 200;
const PROFILES_MAX: usize = 5;
const TEAMS: u32 = 4;
const PUTS_AT_ONCE: usize = 8;
/// People who are erased during the load.
pub const LEAVERS: u16 = 2;
/// They do so many activities before they are erased, others meanwhile, and others with the first ids afterwards, which
/// conflict with what was not erased.
pub const ACTIVITIES_OF_LEAVER: u16 = 40;
/// No invocation that began before an erasure was noted runs longer.
const WAITS: Waits = Waits {
    ended_after: FUNCTION_TIMEOUT.saturating_add(Duration::from_secs(2)),
    give_up_after: GIVE_UP_AFTER,
};

pub struct People {
    profiles: Vec<(UserId, Vec<Person>)>,
    leavers: Vec<Leaver>,
}

struct Leaver {
    user: UserId,
    erased: Vec<Activity>,
    meanwhile: Vec<Activity>,
    afterwards: Vec<Activity>,
}

impl People {
    /// Profiles of the users of these activities, which a seed determines.
    pub fn new(seed: u64, activities: &[Activity]) -> anyhow::Result<Self> {
        let mut random = StdRng::seed_from_u64(seed);
        let users: BTreeSet<_> = activities.iter().map(|each| &each.user_id).collect();
        let mut users = users.into_iter().sample(&mut random, PEOPLE);
        users.sort_unstable();
        let profiles = users.into_iter().map(|user| {
            let count = random.random_range(1..=PROFILES_MAX);
            let profiles = (0..count).map(|version| profile(&mut random, user, version));
            Ok((user.clone(), profiles.collect::<anyhow::Result<_>>()?))
        });
        let profiles = profiles.collect::<anyhow::Result<_>>()?;
        let leavers = (1..=LEAVERS).map(|number| Leaver::new(&mut random, number));
        Ok(Self {
            profiles,
            leavers: leavers.collect::<anyhow::Result<_>>()?,
        })
    }

    /// What counts of the leavers.
    pub fn activities(&self) -> impl Iterator<Item = &Activity> {
        let leavers = self.leavers.iter();
        leavers.flat_map(|leaver| leaver.meanwhile.iter().chain(&leaver.afterwards))
    }

    /// How many people there are besides the leavers. Each is always in one team.
    pub fn count(&self) -> u64 {
        self.profiles.len() as u64
    }

    /// Sends the profiles of each person one after the other, as the load proceeds.
    pub async fn change(&self, api: &Api, share_answered: impl Fn() -> f64) -> anyhow::Result<()> {
        for version in 0..PROFILES_MAX {
            let due = fraction(version, PROFILES_MAX);
            while share_answered() < due {
                sleep(LOOK_EVERY).await;
            }
            let due = self.profiles.iter();
            put_all(
                api,
                due.filter_map(|(user, profiles)| Some((user, profiles.get(version)?))),
            )
            .await?;
        }
        Ok(())
    }

    /// Sends the last profiles once more, when no invocation that began before can still write an earlier one.
    pub async fn settle(&self, api: &Api) -> anyhow::Result<()> {
        sleep(FUNCTION_TIMEOUT).await;
        put_all(api, self.last()).await
    }

    fn last(&self) -> impl Iterator<Item = (&UserId, &Person)> {
        let last = self.profiles.iter();
        last.filter_map(|(user, profiles)| Some((user, profiles.last()?)))
    }

    /// Has all leavers do their activities, be erased, and come back as others of the same name.
    pub async fn leave(&self, api: &Api, aws_url: &str) -> anyhow::Result<()> {
        stream::iter(&self.leavers)
            .map(|leaver| leaver.leave(api, aws_url))
            .buffer_unordered(LEAVERS.into())
            .try_collect()
            .await
    }

    /// The rows of the global board, of those of teams and of the teams, where users have these sums.
    pub fn boards(&self, sums: &BTreeMap<UserId, Tally>) -> BTreeMap<Row, Tally> {
        let people: BTreeMap<_, _> = self.last().collect();
        let mut shown: BTreeMap<String, Vec<(Option<String>, Tally)>> = BTreeMap::new();
        for (user, sum) in sums {
            let person = people.get(user);
            let name = match person {
                None => Some(audit::row_name(user.as_str(), None)),
                Some(person) => match person.visibility {
                    Visibility::Hidden => continue,
                    Visibility::Anonymous => None,
                    Visibility::Listed => {
                        let name = person.display_name.as_ref().map(DisplayName::as_str);
                        Some(audit::row_name(user.as_str(), name))
                    }
                },
            };
            let team = person.and_then(|person| person.team.clone()).map(Board::Team);
            for board in [Board::Global].into_iter().chain(team) {
                shown
                    .entry(board.to_string())
                    .or_default()
                    .push((name.clone(), *sum));
            }
        }
        let mut rows: BTreeMap<Row, Tally> = shown
            .into_iter()
            .flat_map(|(board, rows)| audit::rows(&board, rows))
            .collect();
        for (user, person) in &people {
            if let Some(team) = &person.team {
                let row = rows.entry(audit::team_row(team)).or_default();
                row.activities += 1;
                row.points += sums.get(*user).copied().unwrap_or_default().points;
            }
        }
        rows
    }

    /// The same rows, as they are served.
    pub async fn served(&self, api: &Api) -> anyhow::Result<BTreeMap<Row, Tally>> {
        let mut rows = audit::board(api, &Board::Global).await?;
        let teams = audit::teams(api).await?;
        for (_, team) in teams.keys() {
            rows.extend(audit::board(api, &Board::Team(team.parse()?)).await?);
        }
        rows.extend(teams);
        Ok(rows)
    }
}

fn profile(random: &mut StdRng, user: &UserId, version: usize) -> anyhow::Result<Person> {
    let team: TeamId = format!("team-{}", random.random_range(1..=TEAMS)).parse()?;
    let visibility = match random.random_range(0..10) {
        0 => Visibility::Hidden,
        1 => Visibility::Anonymous,
        _ => Visibility::Listed,
    };
    let name = random
        .random_bool(0.8)
        .then(|| format!("{user} the {version}").parse());
    Ok(Person {
        display_name: name.transpose()?,
        team: Some(team),
        visibility,
    })
}

#[expect(clippy::cast_precision_loss, reason = "a few")]
fn fraction(part: usize, whole: usize) -> f64 {
    part as f64 / whole as f64
}

async fn put_all<'a>(
    api: &Api,
    profiles: impl Iterator<Item = (&'a UserId, &'a Person)>,
) -> anyhow::Result<()> {
    let puts: Vec<_> = profiles.map(|(user, person)| put(api, user, person)).collect();
    stream::iter(puts)
        .buffer_unordered(PUTS_AT_ONCE)
        .try_collect()
        .await
}

/// Sends a profile until it is kept.
async fn put(api: &Api, user: &UserId, person: &Person) -> anyhow::Result<()> {
    let until = Instant::now() + GIVE_UP_AFTER;
    for attempt in 0.. {
        match api.put_person(user, person).await {
            Ok(Put::Kept(_)) => break,
            Ok(Put::Refused(refusal)) => bail!("a profile was refused: {refusal:?}"),
            Err(error) => await_next(error, attempt, until).await?,
        }
    }
    Ok(())
}

async fn await_next(error: PostError, attempt: u32, until: Instant) -> anyhow::Result<()> {
    ensure!(error.failure.is_transient(), "a profile was not taken: {error}");
    ensure!(
        Instant::now() < until,
        "a profile was refused for {GIVE_UP_AFTER:?}"
    );
    sleep(retry::wait(attempt, None, rand::random()).min(WAIT_MAX)).await;
    Ok(())
}

impl Leaver {
    fn new(random: &mut StdRng, number: u16) -> anyhow::Result<Self> {
        let user: UserId = format!("leaver-{number}").parse()?;
        let mut activities = |ids: &str, kind: Kind| {
            let activities = (0..ACTIVITIES_OF_LEAVER).map(|activity| {
                Ok(Activity {
                    activity_id: format!("{ids}-{activity}").parse()?,
                    user_id: user.clone(),
                    program_id: format!("program-{}", random.random_range(1..=3)).parse()?,
                    kind,
                    occurred_at: Some(Timestamp::now()),
                })
            });
            activities.collect::<anyhow::Result<_>>()
        };
        Ok(Self {
            erased: activities("first", Kind::TaskCompleted)?,
            meanwhile: activities("second", Kind::TaskCompleted)?,
            afterwards: activities("first", Kind::LearningMilestone)?,
            user,
        })
    }

    async fn leave(&self, api: &Api, aws_url: &str) -> anyhow::Result<()> {
        let leaving = Person {
            display_name: Some("Somebody Who Leaves".parse()?),
            ..Person::default()
        };
        put(api, &self.user, &leaving).await?;
        post(api, &self.erased).await?;
        let erasure = self.begin_erasure(aws_url).await?;
        let erased = async {
            let finished = erasure.finish(self.user.as_str(), WAITS, |step| tracing::info!("{step}"));
            finished.await.context("a person could not be erased")
        };
        tokio::try_join!(erased, post(api, &self.meanwhile))?;
        post(api, &self.afterwards).await
    }

    /// It can begin once the first aggregator has noted the rules.
    async fn begin_erasure(&self, aws_url: &str) -> anyhow::Result<Erasure> {
        let aws_url = parse_url(aws_url).map_err(anyhow::Error::msg)?;
        let deployment = Deployment::new(None, "podium".to_owned(), None, Some(aws_url));
        let until = Instant::now() + GIVE_UP_AFTER;
        loop {
            match Erasure::begin(&deployment, self.user.clone()).await {
                Err(_) if Instant::now() < until => sleep(LOOK_EVERY).await,
                begun => return begun,
            }
        }
    }
}

async fn post(api: &Api, activities: &[Activity]) -> anyhow::Result<()> {
    let body = serde_json::to_vec(activities)?;
    let posted = post_until_taken(api, Collection::Activities, &body, activities.len(), || ());
    posted.await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chaos::load::Load;

    #[test]
    fn the_profiles_are_the_same_for_the_same_seed_and_everyone_is_in_a_team() {
        let load = Load::new(7, 900);
        let people = |seed| People::new(seed, &load.activities).expect("people");
        assert_eq!(people(7).profiles, people(7).profiles);
        assert_ne!(people(7).profiles, people(8).profiles);
        let profiles = people(7).profiles;
        assert_eq!(profiles.len(), PEOPLE);
        let mut all = profiles.iter().flat_map(|(_, profiles)| profiles);
        assert!(all.all(|person| person.team.is_some()));
    }

    #[test]
    fn boards_follow_the_last_profile() {
        let person = |team: &str, visibility, name: Option<&str>| Person {
            display_name: name.map(|name| name.parse().expect("a name")),
            team: Some(team.parse().expect("an id")),
            visibility,
        };
        let user = |user: &str| user.parse::<UserId>().expect("an id");
        let people = People {
            profiles: vec![
                (
                    user("ann"),
                    vec![
                        person("red", Visibility::Hidden, None),
                        person("blue", Visibility::Listed, Some("Ann")),
                    ],
                ),
                (user("bob"), vec![person("blue", Visibility::Anonymous, None)]),
                (user("cy"), vec![person("red", Visibility::Hidden, Some("Cy"))]),
            ],
            leavers: Vec::new(),
        };
        let sums = [("ann", 5), ("bob", 3), ("cy", 2), ("dee", 1)].map(|(of, points)| {
            let tally = Tally {
                points,
                activities: 1,
            };
            (user(of), tally)
        });
        let rows = people.boards(&sums.into());
        let rows = rows
            .iter()
            .map(|((board, row), tally)| format!("{board} {row}={}/{}", tally.points, tally.activities));
        assert_eq!(
            rows.collect::<Vec<_>>().join(", "),
            "global ann (Ann)=5/1, global anonymous 1=3/1, global dee=1/1, team:blue ann (Ann)=5/1, \
             team:blue anonymous 1=3/1, teams blue=8/2, teams red=2/1"
        );
    }
}
