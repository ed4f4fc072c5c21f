//! Publishes the boards: one pass over the standings, then pages, heads and the overview.

pub mod boards;
pub mod closing;
mod config;
mod limited;
mod past;
pub mod review;

use std::collections::HashMap;
use std::fmt::Display;
use std::ops::AddAssign;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::documents::Status;
use domain::freshness::Heartbeats;
use domain::teams::TEAMS;
use domain::{
    Board, Calendar, CalendarDay, Details, Freshness, Period, RankedTeams, Subject, SubjectKind, Window,
};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use store::keys::CountGeneration;
use store::overview::Overview;
use store::teams::TeamsPublication;
use store::{
    Activities, Head, Pasts, People, Published, Quality, Rules, Snapshots, Standings, TeamsHead, heartbeats,
};
use telemetry::{Meter, Metric};

use boards::{Boards, Chosen, Limits, Profiles, TeamRules, UserSum, WindowBoard};
use closing::Progress;
pub use config::{BoardLimit, Config};
use review::Review;

/// Enough to keep two processors busy decoding, with only a few MB of pages in memory.
const SHARDS_AT_ONCE: usize = 4;
const BOARDS_AT_ONCE: usize = 8;
/// An operator switches generations, so a second switch during one run is unlikely.
const GENERATIONS_TRIED: u32 = 3;

#[derive(Clone)]
pub struct Publisher {
    client: aws_sdk_dynamodb::Client,
    activities_table: String,
    activities: Activities,
    standings: Standings,
    snapshots: Snapshots,
    people: People,
    queues: aws_sdk_sqs::Client,
    queue_url: String,
    dead_letter_queue_url: String,
    calendar: Calendar,
    /// Those of the live generation; `None` before the first aggregator has run.
    rules: Option<Rules>,
    limits: Limits,
    team_rules: TeamRules,
    meter: Meter,
}

/// What one run did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Run {
    pub standings: u64,
    pub read: ReadUnits,
    pub published: usize,
    pub superseded: usize,
    pub pages_written: usize,
    pub write_units: f64,
}

/// The read units of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ReadUnits {
    pub standings: f64,
    /// None as long as nobody has a profile.
    pub people: f64,
}

impl AddAssign for ReadUnits {
    fn add_assign(&mut self, other: Self) {
        self.standings += other.standings;
        self.people += other.people;
    }
}

impl Run {
    fn add(&mut self, published: Published, board: impl Display) {
        match published {
            Published::Generation {
                pages_written,
                write_units,
                ..
            } => {
                self.published += 1;
                self.pages_written += pages_written;
                self.write_units += write_units;
            }
            Published::Superseded => {
                tracing::info!(%board, "Another run published this board meanwhile.");
                self.superseded += 1;
            }
        }
    }
}

/// What a run knows of the directory before it reads the people.
#[derive(Debug, Default)]
struct Directory {
    has_people: bool,
    details: HashMap<Subject, Details>,
}

impl Publisher {
    pub fn connect(config: Config) -> anyhow::Result<Self> {
        let aws = store::aws::config_from_env()?;
        Ok(Self::new(
            &aws_sdk_dynamodb::Client::new(&aws),
            aws_sdk_sqs::Client::new(&aws),
            config,
        ))
    }

    pub fn new(client: &aws_sdk_dynamodb::Client, queues: aws_sdk_sqs::Client, config: Config) -> Self {
        Self {
            client: client.clone(),
            activities: Activities::new(client.clone(), config.activities_table.clone()),
            activities_table: config.activities_table,
            standings: Standings::new(client.clone(), config.standings_table, config.standing_shards),
            snapshots: Snapshots::new(client.clone(), config.snapshots_table),
            people: People::new(client.clone(), config.people_table),
            queues,
            queue_url: config.queue_url,
            dead_letter_queue_url: config.dead_letter_queue_url,
            calendar: config.calendar,
            rules: None,
            limits: Limits {
                programs: config.program_boards.get(),
                teams: config.team_boards.get(),
                listed: config.listed_users,
            },
            team_rules: TeamRules {
                score: config.team_score,
                min_size: config.min_team_size,
            },
            meter: Meter::from_env("snapshot"),
        }
    }

    /// Publishes every board as it is at `now`.
    pub async fn run(&self, now: Timestamp) -> anyhow::Result<Run> {
        for _ in 0..GENERATIONS_TRIED {
            let generations = self.standings.generations().await?;
            let generation = generations.live;
            anyhow::ensure!(
                !generations.is_former(generation),
                "the counts are of an earlier version of Podium; recount them with `podium rebuild run`. Until then the \
                 last published boards stand"
            );
            let ruled = match generations.rules(generation) {
                Some(rules) => self.clone().under(rules.clone()),
                None => self.clone(),
            };
            if let Some(run) = ruled.run_in(generation, now).await? {
                return Ok(run);
            }
            tracing::info!(%generation, "The live generation changed during the snapshot. Starting again.");
        }
        anyhow::bail!("the live generation changed during each of {GENERATIONS_TRIED} attempts to publish it")
    }

    /// Reads and publishes by the rules of a generation, whatever is configured by now.
    fn under(self, rules: Rules) -> Self {
        Self {
            standings: self.standings.in_shards(rules.standing_shards),
            calendar: rules.calendar.clone(),
            rules: Some(rules),
            ..self
        }
    }

    /// Publishes a generation of the counts. Returns `None` if another generation became live meanwhile:
    /// this one may be partly deleted by then, so what was read may be incomplete.
    async fn run_in(&self, generation: CountGeneration, now: Timestamp) -> anyhow::Result<Option<Run>> {
        let started = std::time::Instant::now();
        let (freshness, counted_until) = self.freshness(generation, now).await?;
        let dead_letters = queue::depth(&self.queues, &self.dead_letter_queue_url).await?;
        let previous = self.snapshots.overview().await?;
        let closings = previous.as_ref().map(|previous| previous.closings.clone());
        let closings = closings.unwrap_or_default();
        let progress = Progress {
            counted_until,
            backlog: freshness.backlog,
            dead_letters,
        };
        let due = self.due(now, progress, &closings);
        let quality = self.standings.quality().await?;

        let directory = self.directory().await?;

        let periods: Vec<_> = due.iter().map(|due| due.period).collect();
        let review = Review::new(&due, &closings);
        let asked = review.asked();
        let windows: Vec<_> = self.calendar.windows(now).collect();
        let boards = self.empty_boards(previous.as_ref(), windows.clone(), periods.clone(), review);
        // Heads are read before standings. So if a later run overtakes this one, replacing a head fails
        // instead of publishing older counts. The board of a program that only occurs among the standings is
        // taken to have no head; if it has one after all, the next run replaces it.
        let heads = self.heads(&boards).await?;
        let had_teams = previous.as_ref().is_some_and(|previous| previous.teams > 0);
        let with_teams: &[Window] = if directory.has_people || had_teams {
            &windows
        } else {
            &[]
        };
        let teams_heads = self.teams_heads(with_teams).await?;
        let (mut boards, read) = self
            .read(boards, generation, (directory.has_people, asked.as_slice()), now)
            .await?;
        let generations = self.standings.generations().await?;
        if generations.live != generation {
            return Ok(None);
        }
        self.make_up(&mut boards, &periods, &generations.erasures).await?;
        let (concealed, review) = (boards.take_concealed(), boards.take_review());
        let (standings, sum) = boards.taken();
        let (programs, teams, chosen) = (boards.programs(), boards.teams(), boards.chosen());
        self.warn_of_more(programs, teams);
        let ranked = boards.finish(&directory.details);
        let (overviews, team_boards) = (ranked.overview(&directory.details), ranked.team_boards());
        let teams = ranked.ranked_teams();
        let mut run = Run {
            standings,
            read,
            published: 0,
            superseded: 0,
            pages_written: 0,
            write_units: 0.0,
        };
        self.publish(ranked.boards, heads, freshness, &mut run).await?;
        self.publish_teams(ranked.teams, teams_heads, freshness, &mut run)
            .await?;
        let closings = self
            .publish_past(&due, &ranked.past, (closings, &review), now, &mut run)
            .await?;
        let former = previous.as_ref().map(|previous| previous.concealed.as_slice());
        let (concealed, units) = self
            .snapshots
            .publish_concealed(concealed, former.unwrap_or_default(), now)
            .await?;
        run.write_units += units;

        let duration = started.elapsed();
        let overview = Overview {
            generation: previous.as_ref().map_or(0, |previous| previous.generation) + 1,
            boards: overviews,
            programs: programs as u64,
            chosen_programs: chosen.programs,
            teams,
            chosen_teams: (chosen.teams != team_boards).then_some(chosen.teams),
            team_boards,
            has_people: directory.has_people,
            concealed,
            closings,
            status: Status {
                counted: sum,
                dead_letters,
                snapshot_seconds: duration.as_secs_f64(),
                pending_rules: generations.pending().into_iter().map(str::to_owned).collect(),
            },
            freshness,
        };
        if let Some(units) = self.snapshots.publish_overview(&overview).await? {
            run.write_units += units;
        } else {
            tracing::info!("Another run published the overview meanwhile.");
        }
        let age = previous.map(|previous| now.duration_since(previous.freshness.generated_at).as_secs_f64());
        self.measure(&run, &overview, age, quality);
        Ok(Some(run))
    }

    /// The boards that the previous run chose, before anything is read.
    fn empty_boards(
        &self,
        previous: Option<&Overview>,
        windows: Vec<Window>,
        past: Vec<Period>,
        review: Review,
    ) -> Boards {
        let chosen = previous.map(|previous| Chosen {
            programs: previous.chosen_programs.clone(),
            teams: previous.next_teams().to_vec(),
        });
        let chosen = chosen.unwrap_or_default();
        Boards::new(windows, chosen, self.limits, self.team_rules, past, review)
    }

    /// Warns if there are more programs or teams than boards.
    fn warn_of_more(&self, programs: usize, teams: usize) {
        for (what, count, limit, setting) in [
            ("programs", programs, self.limits.programs, "PROGRAM_BOARDS"),
            ("teams", teams, self.limits.teams, "TEAM_BOARDS"),
        ] {
            if count > limit {
                tracing::warn!(
                    count,
                    limit,
                    "There are more {what} than boards. Half of the boards go to the {what} with the most activities in this week and the previous one, the others to those with the most of all time. The setting {setting} is the limit."
                );
            }
        }
    }

    /// Measures the pipeline, and sends the heartbeats that the next run will look for. Returns also when the latest
    /// heartbeat was sent that went past all messages.
    async fn freshness(
        &self,
        generation: CountGeneration,
        now: Timestamp,
    ) -> anyhow::Result<(Freshness, Option<Timestamp>)> {
        let counted = self.standings.counted_heartbeats(generation).await?;
        let heartbeats = self.activities.heartbeats(&counted).await?;
        // Read the depth first, so that the heartbeats themselves do not count as backlog.
        let backlog = queue::depth(&self.queues, &self.queue_url).await?;
        self.activities.send_heartbeats(now).await?;
        let freshness = Freshness {
            generated_at: now,
            lag_seconds: Heartbeats::worst_lag_seconds(&heartbeats, now),
            backlog,
        };
        Ok((freshness, heartbeats::counted_by_all(&counted)))
    }

    /// The newest heads of boards that were published before.
    async fn heads(&self, boards: &Boards) -> anyhow::Result<HashMap<(Board, Window), Head>> {
        let heads: Vec<_> = stream::iter(boards.each())
            .map(|(board, window)| async move {
                let head = self.snapshots.latest(&board, window).await?;
                anyhow::Ok(head.map(|head| ((board, window), head)))
            })
            .buffer_unordered(BOARDS_AT_ONCE)
            .try_collect()
            .await?;
        Ok(heads.into_iter().flatten().collect())
    }

    /// The newest heads of the board of teams.
    async fn teams_heads(&self, windows: &[Window]) -> anyhow::Result<HashMap<Window, TeamsHead>> {
        let mut heads = HashMap::new();
        for window in windows {
            heads.extend(self.snapshots.teams(*window).await?.map(|head| (*window, head)));
        }
        Ok(heads)
    }

    /// What is in the directory. An empty one costs half a read unit.
    async fn directory(&self) -> anyhow::Result<Directory> {
        if self.people.is_empty().await? {
            return Ok(Directory::default());
        }
        let mut details = self.people.all_details(SubjectKind::Team).await?;
        details.extend(self.people.all_details(SubjectKind::Program).await?);
        Ok(Directory {
            has_people: self.people.has_people().await?,
            details,
        })
    }

    /// Reads all people and standings into the boards.
    ///
    /// The profiles of a group of shards are read before their standings, each once, so all boards of a run show
    /// a person alike.
    async fn read(
        &self,
        boards: Boards,
        generation: CountGeneration,
        (has_people, past): (bool, &[Period]),
        now: Timestamp,
    ) -> anyhow::Result<(Boards, ReadUnits)> {
        let day = self.calendar.day(now);
        let shards = self.standings.shards(generation);
        let groups: Vec<(Vec<String>, Vec<u16>)> = if has_people {
            let groups = self.standings.groups().into_iter();
            groups
                .map(|(of_group, partitions)| {
                    let shards = of_group.into_iter().map(|shard| shards[shard].clone());
                    (shards.collect(), partitions)
                })
                .collect()
        } else {
            shards
                .into_iter()
                .map(|shard| (vec![shard], Vec::new()))
                .collect()
        };
        let boards = Arc::new(Mutex::new(boards));
        let units: Vec<ReadUnits> = stream::iter(groups)
            .map(|(shards, partitions)| {
                let reader = Reader {
                    standings: self.standings.clone(),
                    people: self.people.clone(),
                    day,
                    past: past.to_vec(),
                    boards: Arc::clone(&boards),
                };
                // A separate task, so that all processors decode shards.
                let read = tokio::spawn(reader.read(shards, partitions));
                async { read.await? }
            })
            .buffer_unordered(SHARDS_AT_ONCE)
            .try_collect()
            .await?;
        let boards = Arc::into_inner(boards).expect("all readers are done");
        let mut sum = ReadUnits::default();
        for units in units {
            sum += units;
        }
        Ok((boards.into_inner().unwrap_or_else(PoisonError::into_inner), sum))
    }

    async fn publish(
        &self,
        boards: Vec<WindowBoard>,
        mut heads: HashMap<(Board, Window), Head>,
        freshness: Freshness,
        run: &mut Run,
    ) -> anyhow::Result<()> {
        let count = boards.len();
        let pasts = self.rules.clone().map(|rules| {
            let (client, table) = (self.client.clone(), self.activities_table.clone());
            Pasts::new(client, table, rules)
        });
        let mut published = stream::iter(boards)
            .map(|board| {
                let previous = heads.remove(&(board.board.clone(), board.window));
                self.publish_one(board, previous, freshness, pasts.as_ref())
            })
            .buffer_unordered(BOARDS_AT_ONCE);
        while let Some((board, published)) = published.try_next().await? {
            run.add(published, board);
        }
        assert_eq!(
            run.published + run.superseded,
            count,
            "a board was neither published nor superseded"
        );
        Ok(())
    }

    async fn publish_one(
        &self,
        board: WindowBoard,
        previous: Option<Head>,
        freshness: Freshness,
        pasts: Option<&Pasts>,
    ) -> anyhow::Result<(Board, Published)> {
        let WindowBoard {
            board,
            window,
            ranked,
        } = board;
        let now = freshness.generated_at;
        let dated = (self.calendar.span(window, now), self.calendar.date(now));
        let published = self
            .snapshots
            .publish(&board, dated, previous, ranked, freshness, pasts)
            .await?;
        Ok((board, published))
    }

    async fn publish_teams(
        &self,
        teams: Vec<(Window, RankedTeams)>,
        mut heads: HashMap<Window, TeamsHead>,
        freshness: Freshness,
        run: &mut Run,
    ) -> anyhow::Result<()> {
        for (window, ranked) in teams {
            let publication = TeamsPublication {
                span: self.calendar.span(window, freshness.generated_at),
                previous: heads.remove(&window),
                ranked,
                team_score: self.team_rules.score,
                min_members: self.team_rules.min_size,
                freshness,
            };
            if publication.is_needed() {
                let published = self.snapshots.publish_teams(publication).await?;
                run.add(published, format_args!("{TEAMS} {window}"));
            }
        }
        Ok(())
    }

    fn measure(&self, run: &Run, overview: &Overview, age: Option<f64>, quality: Option<Quality>) {
        #[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
        let mut values = vec![
            (
                Metric::SnapshotDuration,
                overview.status.snapshot_seconds * 1000.0,
            ),
            (Metric::Entries, run.standings as f64),
            (Metric::StandingsReadUnits, run.read.standings),
            (Metric::Published, run.published as f64),
            (Metric::PagesWritten, run.pages_written as f64),
            (Metric::SnapshotsWriteUnits, run.write_units),
            (Metric::Backlog, overview.freshness.backlog as f64),
            (Metric::DeadLetters, overview.status.dead_letters as f64),
        ];
        values.extend((run.read.people > 0.0).then_some((Metric::PeopleReadUnits, run.read.people)));
        values.extend(overview.freshness.lag_seconds.map(|lag| (Metric::Lag, lag)));
        values.extend(age.map(|age| (Metric::SnapshotAge, age)));
        #[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
        values.extend(quality.into_iter().flat_map(|quality| {
            [
                (Metric::Uncounted, quality.uncounted as f64),
                (Metric::Unfounded, quality.unfounded as f64),
                (Metric::Disagreeing, quality.disagreeing as f64),
            ]
        }));
        self.meter.emit(overview.freshness.generated_at, &values);
    }
}

/// Reads a group of shards into the boards.
struct Reader {
    standings: Standings,
    people: People,
    day: CalendarDay,
    past: Vec<Period>,
    boards: Arc<Mutex<Boards>>,
}

impl Reader {
    /// Reads the people in these partitions, then the standings in the shards.
    async fn read(self, shards: Vec<String>, partitions: Vec<u16>) -> anyhow::Result<ReadUnits> {
        let mut units = ReadUnits::default();
        let mut profiles = Profiles::new();
        for partition in partitions {
            let take = |user, person| drop(profiles.insert(user, person));
            units.people += self.people.read_partition(partition, take).await?;
        }
        locked(&self.boards).add_people(&profiles);
        for shard in shards {
            let mut user_sum = UserSum::default();
            let take = |page| {
                let mut boards = locked(&self.boards);
                for standing in page {
                    boards.add(standing, &profiles, &mut user_sum);
                }
            };
            units.standings += self
                .standings
                .read_shard(shard, self.day, &self.past, take)
                .await?;
            locked(&self.boards).finish_shard(user_sum, &profiles);
        }
        Ok(units)
    }
}

fn locked(boards: &Mutex<Boards>) -> MutexGuard<'_, Boards> {
    boards.lock().unwrap_or_else(PoisonError::into_inner)
}
