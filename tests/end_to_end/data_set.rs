//! Compares the boards of real activities with expected boards that were computed independently. The files
//! are named by `PODIUM_TEST_ACTIVITIES` and `PODIUM_TEST_EXPECTED`; without them the tests are skipped. So are those
//! of `cli::correct`, with files of their own.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::time::Duration;

use domain::documents::BoardsDocument;
use domain::{BoardEntry, TeamId, TeamsDocument, UserId};
use flate2::read::GzDecoder;
use local::sqs::Faults;
use serde::Deserialize;
use serde_json::Value;

use crate::stack::{TestStack, VISIBILITY_TIMEOUT};

/// Aggregator processes killed in one run. After each kill the event source pauses a little longer.
const KILLS: usize = 25;

#[derive(Debug, Deserialize)]
pub struct Expected {
    pub activities: u64,
    boards: BTreeMap<String, ExpectedBoard>,
    /// Those by sum and by mean, if there are teams.
    #[serde(default)]
    teams: BTreeMap<String, Vec<ExpectedTeam>>,
}

impl Expected {
    /// The boards in a file.
    pub fn boards(file: &str) -> Option<Self> {
        let mut members: BTreeMap<String, Value> = serde_json::from_reader(open(file)?).expect("boards");
        if let Some(boards) = members.remove("boards") {
            members = serde_json::from_value(boards).expect("boards");
        }
        let teams = members
            .extract_if(.., |name, _| name.starts_with("teams by "))
            .map(|(name, teams)| (name, serde_json::from_value(teams).expect("teams")))
            .collect();
        let boards: BTreeMap<String, ExpectedBoard> = members
            .into_iter()
            .map(|(name, board)| (name, serde_json::from_value(board).expect("a board")))
            .collect();
        let activities = boards["global"]
            .entries
            .iter()
            .map(|entry| entry.activities)
            .sum();
        Some(Self {
            activities,
            boards,
            teams,
        })
    }

    /// The points of everyone.
    pub fn points(&self) -> i64 {
        self.boards["global"].points
    }
}

#[derive(Debug, PartialEq, Deserialize)]
struct ExpectedTeam {
    rank: u64,
    team_id: TeamId,
    score: f64,
    points: i64,
    members: u64,
}

#[derive(Debug, Deserialize)]
struct ExpectedBoard {
    participants: u64,
    points: i64,
    entries: Vec<ExpectedEntry>,
}

#[derive(Debug, PartialEq, Eq, Deserialize)]
struct ExpectedEntry {
    rank: u64,
    /// `None` for someone who is anonymous.
    user_id: Option<UserId>,
    name: Option<String>,
    points: i64,
    activities: u64,
}

impl ExpectedEntry {
    fn place(&self) -> (u64, bool, Option<UserId>, u64) {
        let Self {
            rank,
            user_id,
            activities,
            ..
        } = self;
        (*rank, user_id.is_none(), user_id.clone(), *activities)
    }
}

pub fn open(variable: &str) -> Option<BufReader<GzDecoder<File>>> {
    let Some(path) = std::env::var_os(variable) else {
        eprintln!("skipped: {variable} names no file");
        return None;
    };
    let file = File::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    Some(BufReader::new(GzDecoder::new(file)))
}

pub fn data_set() -> Option<(Vec<Value>, Expected)> {
    let activities = open("PODIUM_TEST_ACTIVITIES")?
        .lines()
        .map(|line| serde_json::from_str(&line.expect("a line")).expect("an activity"));
    let expected = serde_json::from_reader(open("PODIUM_TEST_EXPECTED")?).expect("the expected boards");
    Some((activities.collect(), expected))
}

pub async fn check_boards(stack: &TestStack, expected: &Expected) {
    let list: BoardsDocument = stack
        .get("/v1/boards")
        .await
        .json()
        .await
        .expect("a list of boards");
    let mut listed: Vec<_> = list
        .boards
        .iter()
        .map(|summary| summary.board.to_string())
        .collect();
    listed.sort();
    let wanted = expected.boards.keys().filter(|name| !name.starts_with("team:"));
    assert_eq!(listed, wanted.cloned().collect::<Vec<_>>());

    for (name, expected) in &expected.boards {
        let board = stack.whole_board(name, 1000).await;
        assert_eq!(
            board.heading.participants, expected.participants,
            "participants of {name}"
        );
        assert_eq!(board.heading.points, expected.points, "points of {name}");
        assert!(
            board.entries.is_sorted_by_key(BoardEntry::place),
            "order of {name}"
        );
        let mut entries: Vec<_> = board
            .entries
            .into_iter()
            .map(|entry| ExpectedEntry {
                rank: entry.rank,
                user_id: entry.user_id,
                name: entry.name.map(|name| name.to_string()),
                points: entry.points,
                activities: entry.activities,
            })
            .collect();
        assert_eq!(entries.len(), expected.entries.len(), "entries of {name}");
        // Rows of one rank without an id have no order of their own.
        entries.sort_by_key(ExpectedEntry::place);
        let mut wanted: Vec<_> = expected.entries.iter().collect();
        wanted.sort_by_key(|entry| entry.place());
        for (got, wanted) in entries.iter().zip(wanted) {
            assert_eq!(got, wanted, "on the board {name}");
        }
    }
}

/// Compares the board of teams with the one that is expected by this score.
pub async fn check_teams(stack: &TestStack, expected: &Expected, score: &str) {
    let wanted = &expected.teams[&format!("teams by {score}")];
    let teams = stack.get("/v1/boards/teams").await.json::<TeamsDocument>().await;
    let teams = teams.expect("the board of teams");
    assert_eq!(teams.team_score, score);
    let got = teams.entries.into_iter().map(|row| ExpectedTeam {
        rank: row.rank,
        team_id: row.team_id,
        score: row.score.as_f64().expect("a number"),
        points: row.points,
        members: row.members,
    });
    assert_eq!(got.collect::<Vec<_>>(), *wanted);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_activities_lead_to_the_expected_boards() {
    let Some((activities, expected)) = data_set() else {
        return;
    };
    let stack = TestStack::start(|_| {}).await;
    stack.post_all(&activities).await;
    stack.wait_until_counted(expected.activities).await;
    check_boards(&stack, &expected).await;
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_boards_are_the_same_after_repeats_disorder_and_crashes() {
    let Some((activities, expected)) = data_set() else {
        return;
    };
    // Messages that a killed function held are delivered again soon.
    let stack = TestStack::start(|config| config.visibility_timeout = VISIBILITY_TIMEOUT).await;
    stack.stack.queue.set_faults(Faults {
        deliver_twice: true,
        shuffle: Some(7),
    });
    let kills = async {
        let mut kills = 0;
        while kills < KILLS {
            tokio::time::sleep(Duration::from_millis(rand::random_range(100..500))).await;
            kills += usize::from(stack.stack.lambda.kill_one("aggregator"));
        }
    };
    let posts = async {
        stack.post_all(&activities).await;
        stack.post_all(&activities).await;
    };
    tokio::join!(kills, posts);
    stack.wait_until_counted(expected.activities).await;
    // By then, the messages that killed functions held have been delivered again.
    tokio::time::sleep(VISIBILITY_TIMEOUT * 2).await;
    let quiet = stack.wait_until_counted(expected.activities).await;
    assert_eq!(quiet.status.dead_letters, 0);
    check_boards(&stack, &expected).await;
    let stats = stack
        .stack
        .lambda
        .stats("aggregator")
        .expect("there is an aggregator");
    assert!(stats.kills >= KILLS as u64, "{stats:?}");
    stack.stop().await;
}
