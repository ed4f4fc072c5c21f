//! The five tables, and the requests to them.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::describe_table::builders::DescribeTableFluentBuilder;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::ScalarAttributeType::{N, S};
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType,
    Projection, ProjectionType, ScalarAttributeType, StreamSpecification, StreamViewType, TableStatus,
    TimeToLiveSpecification,
};
use aws_types::SdkConfig;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use super::event::{Activity, Event, whole_seconds};
use super::ranking::{Placed, TOP_SIZE, Totals};

/// How long the processor remembers an event.
const PROCESSED_FOR: SignedDuration = SignedDuration::from_hours(14 * 24);

/// The index of `EmployeeTotals` by points.
const BY_POINTS: &str = "by_points";

/// Pages of the index, of 1 MB each: far more employees than this system can rank.
const PAGES_MAX: usize = 1_000;

/// On AWS, a new table is active after a few seconds.
const LOOKS_MAX: u32 = 120;
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The only `leaderboard_id` and `as_of` that there are.
const GLOBAL: &str = "GLOBAL";
const LATEST: &str = "LATEST";

#[derive(Clone, Debug, clap::Args)]
pub struct Prefix {
    /// What the tables' names begin with, such as edl-dev
    #[arg(long, value_name = "PREFIX")]
    pub prefix: String,
}

#[derive(Clone)]
pub struct Tables {
    client: Client,
    prefix: String,
}

/// Whether an event was claimed now, or before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    New,
    Former,
}

/// The item of `GlobalLeaderboard`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_field_names, reason = "the names of its attributes")]
pub struct Leaderboard {
    leaderboard_id: String,
    as_of: String,
    generated_at: Timestamp,
    top_size: usize,
    top: Vec<Placed>,
}

#[derive(Clone, Copy)]
enum Table {
    Activities,
    ProcessedEvents,
    ProgramProgress,
    EmployeeTotals,
    GlobalLeaderboard,
}

impl Table {
    const EVERY: [Self; 5] = [
        Self::Activities,
        Self::ProcessedEvents,
        Self::ProgramProgress,
        Self::EmployeeTotals,
        Self::GlobalLeaderboard,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Activities => "Activities",
            Self::ProcessedEvents => "ProcessedEvents",
            Self::ProgramProgress => "ProgramProgress",
            Self::EmployeeTotals => "EmployeeTotals",
            Self::GlobalLeaderboard => "GlobalLeaderboard",
        }
    }

    fn keys(self) -> &'static [&'static str] {
        match self {
            Self::Activities => &["employee_id", "ts_event"],
            Self::ProcessedEvents => &["event_id"],
            Self::ProgramProgress => &["employee_id", "program_id"],
            Self::EmployeeTotals => &["employee_id", "scope"],
            Self::GlobalLeaderboard => &["leaderboard_id", "as_of"],
        }
    }
}

pub async fn run(args: &Prefix) -> anyhow::Result<ExitCode> {
    Tables::connect(args).await?.create_missing().await?;
    Ok(ExitCode::SUCCESS)
}

impl Tables {
    pub async fn connect(args: &Prefix) -> anyhow::Result<Self> {
        let aws = client::aws::config(None).await?;
        Ok(Self::new(&aws, args.prefix.clone()))
    }

    pub fn new(aws: &SdkConfig, prefix: String) -> Self {
        Self {
            client: Client::new(aws),
            prefix,
        }
    }

    fn name(&self, table: Table) -> String {
        format!("{}-{}", self.prefix, table.name())
    }

    pub fn activities(&self) -> String {
        self.name(Table::Activities)
    }

    pub async fn create_missing(&self) -> anyhow::Result<()> {
        for table in Table::EVERY {
            let name = self.name(table);
            self.create(table)
                .await
                .with_context(|| format!("cannot create the table {name}"))?;
        }
        Ok(())
    }

    async fn create(&self, table: Table) -> anyhow::Result<()> {
        let mut request = self
            .client
            .create_table()
            .table_name(self.name(table))
            .billing_mode(BillingMode::PayPerRequest)
            .set_key_schema(Some(key_schema(table.keys())?));
        for key in table.keys() {
            request = request.attribute_definitions(definition(key, S)?);
        }
        request = match table {
            Table::Activities => request.stream_specification(
                StreamSpecification::builder()
                    .stream_enabled(true)
                    .stream_view_type(StreamViewType::NewImage)
                    .build()?,
            ),
            Table::EmployeeTotals => request
                .attribute_definitions(definition("leaderboard_id", S)?)
                .attribute_definitions(definition("total_points", N)?)
                .global_secondary_indexes(
                    GlobalSecondaryIndex::builder()
                        .index_name(BY_POINTS)
                        .set_key_schema(Some(key_schema(&["leaderboard_id", "total_points"])?))
                        .projection(Projection::builder().projection_type(ProjectionType::All).build())
                        .build()?,
                ),
            Table::ProcessedEvents | Table::ProgramProgress | Table::GlobalLeaderboard => request,
        };
        match request.send().await {
            Ok(_) => {}
            Err(SdkError::ServiceError(error)) if error.err().is_resource_in_use_exception() => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        let active = self.client.describe_table().table_name(self.name(table));
        wait_until_active(active).await?;
        if let Table::ProcessedEvents = table {
            let expiry = TimeToLiveSpecification::builder()
                .attribute_name("expires_at")
                .enabled(true);
            self.client
                .update_time_to_live()
                .table_name(self.name(table))
                .time_to_live_specification(expiry.build()?)
                .send()
                .await?;
        }
        Ok(())
    }

    /// Puts an activity. The same one again is the same item.
    pub async fn put_activity(&self, activity: &Activity) -> anyhow::Result<()> {
        let ts_event = format!("{}#{}", activity.ts, activity.event_id);
        self.client
            .put_item()
            .table_name(self.name(Table::Activities))
            .set_item(Some(serde_dynamo::to_item(activity)?))
            .item("ts_event", text(ts_event))
            .send()
            .await
            .context("cannot put an activity")?;
        Ok(())
    }

    pub async fn claim(&self, event: &Event, now: Timestamp) -> anyhow::Result<Claim> {
        let put = self
            .client
            .put_item()
            .table_name(self.name(Table::ProcessedEvents))
            .item("event_id", text(&event.id))
            .item("expires_at", number((now + PROCESSED_FOR).as_second()))
            .condition_expression("attribute_not_exists(event_id)");
        match put.send().await.map_err(SdkError::into_service_error) {
            Ok(_) => Ok(Claim::New),
            Err(PutItemError::ConditionalCheckFailedException(_)) => Ok(Claim::Former),
            Err(error) => Err(error).context("cannot claim an event"),
        }
    }

    pub async fn add_to_progress(&self, event: &Event) -> anyhow::Result<()> {
        self.client
            .update_item()
            .table_name(self.name(Table::ProgramProgress))
            .key("employee_id", text(&event.employee_id))
            .key("program_id", text(&event.program_id))
            .update_expression(
                "ADD completed_count :one, points_in_program :points SET last_activity_ts = :ts",
            )
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":points", number(event.points))
            .expression_attribute_values(":ts", text(&event.ts))
            .send()
            .await
            .context("cannot add an event to ProgramProgress")?;
        Ok(())
    }

    pub async fn add_to_totals(&self, event: &Event) -> anyhow::Result<()> {
        self.client
            .update_item()
            .table_name(self.name(Table::EmployeeTotals))
            .key("employee_id", text(&event.employee_id))
            .key("scope", text("TOTAL"))
            .update_expression("ADD total_completed :one, total_points :points SET leaderboard_id = :global")
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":points", number(event.points))
            .expression_attribute_values(":global", text(GLOBAL))
            .send()
            .await
            .context("cannot add an event to EmployeeTotals")?;
        Ok(())
    }

    /// The totals of all employees.
    pub async fn totals(&self) -> anyhow::Result<Vec<Totals>> {
        let query = self
            .client
            .query()
            .table_name(self.name(Table::EmployeeTotals))
            .index_name(BY_POINTS)
            .key_condition_expression("leaderboard_id = :global")
            .expression_attribute_values(":global", text(GLOBAL));
        let mut totals = Vec::new();
        let mut start = None;
        for _ in 0..PAGES_MAX {
            let page = query.clone().set_exclusive_start_key(start).send().await;
            let page = page.context("cannot read EmployeeTotals")?;
            let items: Vec<Totals> = serde_dynamo::from_items(page.items.unwrap_or_default())?;
            totals.extend(items);
            start = page.last_evaluated_key;
            if start.is_none() {
                return Ok(totals);
            }
        }
        bail!("EmployeeTotals has more than {PAGES_MAX} pages")
    }

    pub async fn put_leaderboard(&self, top: Vec<Placed>, now: Timestamp) -> anyhow::Result<()> {
        let leaderboard = Leaderboard {
            leaderboard_id: GLOBAL.to_owned(),
            as_of: LATEST.to_owned(),
            generated_at: whole_seconds(now),
            top_size: TOP_SIZE,
            top,
        };
        self.client
            .put_item()
            .table_name(self.name(Table::GlobalLeaderboard))
            .set_item(Some(serde_dynamo::to_item(leaderboard)?))
            .send()
            .await
            .context("cannot put the leaderboard")?;
        Ok(())
    }

    /// `None` until it is built for the first time.
    pub async fn leaderboard(&self) -> anyhow::Result<Option<Leaderboard>> {
        let got = self
            .client
            .get_item()
            .table_name(self.name(Table::GlobalLeaderboard))
            .key("leaderboard_id", text(GLOBAL))
            .key("as_of", text(LATEST))
            .send()
            .await
            .context("cannot read the leaderboard")?;
        Ok(got.item.map(serde_dynamo::from_item).transpose()?)
    }
}

async fn wait_until_active(describe: DescribeTableFluentBuilder) -> anyhow::Result<()> {
    for _ in 0..LOOKS_MAX {
        let table = describe.clone().send().await?.table;
        if table.is_some_and(|table| table.table_status == Some(TableStatus::Active)) {
            return Ok(());
        }
        sleep(LOOK_EVERY).await;
    }
    bail!("it is still not active after {:?}", LOOK_EVERY * LOOKS_MAX)
}

fn key_schema(keys: &[&str]) -> anyhow::Result<Vec<KeySchemaElement>> {
    let roles = [KeyType::Hash, KeyType::Range];
    let elements = keys.iter().zip(roles).map(|(key, role)| {
        let element = KeySchemaElement::builder().attribute_name(*key).key_type(role);
        Ok(element.build()?)
    });
    elements.collect()
}

fn definition(name: &str, kind: ScalarAttributeType) -> anyhow::Result<AttributeDefinition> {
    let definition = AttributeDefinition::builder()
        .attribute_name(name)
        .attribute_type(kind);
    Ok(definition.build()?)
}

fn text(text: impl Into<String>) -> AttributeValue {
    AttributeValue::S(text.into())
}

fn number(number: i64) -> AttributeValue {
    AttributeValue::N(number.to_string())
}
