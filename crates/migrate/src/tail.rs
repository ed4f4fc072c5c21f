//! `podium migrate tail`: carries each new event of the other system over within seconds.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::anyhow;
use bridge::Item;
use import::To;
use terminal::text::counted;

use crate::carry;
use crate::follow::{Follower, Handled, until_stopped};
use crate::source::Legacy;
use crate::state::File;

/// A request is sent again for so long; then the records are read again.
const GIVE_UP_AFTER: Duration = Duration::from_secs(10);

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    from: Legacy,
    #[command(flatten)]
    to: To,
}

pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let source = args.from.connect().await?;
    let files = args.from.files();
    let poster = carry::poster(&args.to, GIVE_UP_AFTER).await?;
    let stream = source.stream_arn().await?;
    let client = aws_sdk_dynamodbstreams::Client::new(&source.config);
    let follower = Follower::new(client, stream, files.read(File::Tail)?);
    eprintln!(
        "Carrying each new item of {} to {}. Leave this running; Ctrl-C stops it, and it resumes where it was.",
        source.mapping.table,
        args.to.url()
    );
    let mapping = &source.mapping;
    let carry = async |items: Vec<Item>| {
        let tally = carry::carry(&poster, mapping, &items).await;
        let tally = tally.map_err(|gave_up| anyhow!("{gave_up}"))?;
        if tally.rejected() > 0 {
            eprintln!("podium: not carried over, and listed by verify:\n{tally}");
        }
        Ok(Handled {
            carried: tally.accepted + tally.duplicate,
            refused: tally.rejected(),
        })
    };
    let ended = until_stopped(follower, carry, |followed| files.write(File::Tail, followed)).await?;
    println!(
        "{} carried over so far.",
        counted(ended.carried, "event was", "events were")
    );
    Ok(ExitCode::SUCCESS)
}
