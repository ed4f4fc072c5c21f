//! How a stack is started.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use domain::{ScoringPolicy, Seasons, TeamScore};
use identity::Access;
use local_http::Host;
use store::rules::{PeriodGrace, TieBreak};

use crate::authorizer::Login;
use crate::faults::Faults;
use crate::settings::{self, Batching};

#[derive(Clone, Debug)]
pub struct StackConfig {
    /// The address that the web origin and the AWS endpoint listen on. The endpoint asks for no login.
    pub listen: IpAddr,
    /// Hosts that both listeners answer to besides loopback and `listen`, such as the name of this machine or
    /// of a container.
    pub allowed_hosts: Vec<Host>,
    /// The port of the web origin; 0 picks a free one.
    pub port: u16,
    /// The port of the AWS endpoint; 0 picks a free one.
    pub aws_port: u16,
    /// The directory that keeps the data across restarts. `None` keeps it in memory.
    pub data_dir: Option<PathBuf>,
    /// The directory of the functions' logs. `None` makes one with a random name in the system's directory
    /// for temporary files, and removes it when the stack stops.
    pub log_dir: Option<PathBuf>,
    /// The directory of the function binaries.
    pub bin_dir: PathBuf,
    /// An IANA name.
    pub time_zone: String,
    pub seasons: Seasons,
    pub scoring_policy: ScoringPolicy,
    /// Which fields the data of events become, as JSON.
    pub event_mapping: String,
    pub period_grace: PeriodGrace,
    pub tie_break: TieBreak,
    pub team_score: TeamScore,
    /// How many teams have a board. Only `podium bench` sets it.
    pub team_boards: u32,
    /// Whether the global board is also answered as the system that Podium replaces answered it.
    pub legacy_answer: bool,
    /// Quests as JSON; none without rewards.
    pub quests: Option<String>,
    /// Who is told of coins.
    pub webhooks: Vec<Webhook>,
    /// How long an event is tried for a webhook.
    pub give_up_after: Duration,
    /// When what was received is certainly recorded.
    pub final_after: Duration,
    pub snapshot_every: Duration,
    /// In days, or `unlimited`.
    pub max_activity_age: String,
    pub batching: Batching,
    /// How long a message stays hidden when its invocation dies.
    pub visibility_timeout: Duration,
    /// Overrides the timeout of every function.
    pub function_timeout: Option<Duration>,
    pub faults: Faults,
    /// Who may do what.
    pub access: Access,
    /// Who issues the tokens, unless the stack is open.
    pub login: Option<Login>,
    /// Runs one function that stores, counts and answers, in place of ingest, the pipe, the queue and
    /// the aggregator. Only `podium compare` sets it.
    pub coupled: bool,
}

/// A receiver of the changes of coins.
#[derive(Clone)]
pub struct Webhook {
    /// A part of the names of its queues.
    pub id: String,
    pub url: String,
    /// What signs the events. The stack's endpoint gives it, in place of Secrets Manager.
    pub secret: String,
}

/// Without the secret.
impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, url, .. } = self;
        f.debug_struct("Webhook")
            .field("id", id)
            .field("url", url)
            .finish_non_exhaustive()
    }
}

impl StackConfig {
    /// The defaults. The function binaries are expected next to the running program.
    pub fn new() -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("finding the running program")?;
        let bin_dir = program
            .parent()
            .context("the running program is in no directory")?;
        Ok(Self {
            listen: Ipv4Addr::LOCALHOST.into(),
            allowed_hosts: Vec::new(),
            port: 7000,
            aws_port: 7001,
            data_dir: None,
            log_dir: None,
            bin_dir: bin_dir.to_owned(),
            time_zone: "UTC".to_owned(),
            seasons: Seasons::default(),
            scoring_policy: settings::SCORING_POLICY
                .parse()
                .context("the default scoring policy")?,
            event_mapping: settings::EVENT_MAPPING.to_owned(),
            period_grace: settings::PERIOD_GRACE_HOURS.try_into()?,
            tie_break: TieBreak::default(),
            team_score: TeamScore::default(),
            team_boards: settings::TEAM_BOARDS,
            legacy_answer: false,
            quests: None,
            webhooks: Vec::new(),
            give_up_after: settings::GIVE_UP_AFTER,
            final_after: settings::FINAL_AFTER,
            snapshot_every: settings::SNAPSHOT_EVERY,
            max_activity_age: "unlimited".to_owned(),
            batching: Batching::default(),
            visibility_timeout: settings::VISIBILITY_TIMEOUT,
            function_timeout: None,
            faults: Faults::none(),
            access: Access::open(),
            login: None,
            coupled: false,
        })
    }
}
