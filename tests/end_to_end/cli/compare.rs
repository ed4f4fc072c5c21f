//! `podium compare`: under the same load, each system behaves as its design implies.

use super::{podium, text};

/// A row of the table: the value of the coupled system, and that of Podium.
fn row<'a>(table: &'a str, name: &str) -> [&'a str; 2] {
    let cells = table.lines().find_map(|line| line.strip_prefix(name));
    let cells: Vec<&str> = cells
        .unwrap_or_else(|| panic!("there is no {name:?} in:\n{table}"))
        .split("  ")
        .map(str::trim)
        .filter(|cell| !cell.is_empty())
        .collect();
    cells
        .try_into()
        .unwrap_or_else(|cells| panic!("{name:?} has {cells:?} in:\n{table}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn throttled_counts_refuse_posts_where_they_are_coupled_and_none_where_they_are_not() {
    let mut command = podium();
    command.args(["compare", "--seed", "7", "--activities", "900", "--throttle", "7"]);
    let output = command.output().await.expect("podium runs");
    let (table, stderr) = (text(output.stdout), text(output.stderr));
    // Status 0 also means that Podium lost nothing, counted nothing twice, and its board was right in the end.
    assert_eq!(output.status.code(), Some(0), "{table}\n{stderr}");

    let share = |cell: &str| -> f64 { cell.trim_end_matches(" %").parse().expect("a share") };
    let [coupled, podium] = row(&table, "  taken at the first attempt").map(share);
    assert!(coupled < 90.0 && coupled < podium, "{table}");
    assert_eq!(row(&table, "  given up after 3 attempts")[1], "0.0 %", "{table}");
    assert_eq!(row(&table, "activities acknowledged")[1], "900", "{table}");
    assert_eq!(row(&table, "activities counted")[1], "900", "{table}");
    for nothing in ["lost: acknowledged, not counted", "double"] {
        assert_eq!(row(&table, nothing), ["0", "0"], "{table}");
    }
}

#[tokio::test]
async fn a_throttling_longer_than_the_load_is_refused() {
    let mut command = podium();
    command.args(["compare", "--seed", "7", "--activities", "900", "--throttle", "9"]);
    let output = command.output().await.expect("podium runs");
    assert_eq!(output.status.code(), Some(1));
    let stderr = text(output.stderr);
    assert!(stderr.contains("do not fit into a load of 9 s"), "{stderr}");
}
