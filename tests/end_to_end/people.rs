//! People: `podium people` with a running stack, and what boards, persons and searches then show. The files of the
//! real ones are named by `PODIUM_TEST_PEOPLE` and `PODIUM_TEST_PEOPLE_EXPECTED`; without them that test is skipped.

use std::fmt::Write as _;
use std::path::Path;
use std::pin::pin;
use std::time::Duration;

use domain::{BoardDocument, BoardEntry, SearchDocument, TeamScore, UserDocument, Visibility};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::sleep;

use crate::cli::podium;
use crate::data_set::{Expected, check_boards, check_teams, data_set};
use crate::stack::TestStack;

const HEAD: &str = "user_id,display_name,team,visibility\r\n";

/// The most processes of the directory that are killed in one import.
const KILLS: usize = 15;

struct Ran {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

async fn run(stack: &TestStack, args: &[&str]) -> Ran {
    let mut command = podium();
    command
        .arg("people")
        .args(args)
        .args(["--url", &stack.stack.web_url]);
    let output = command.output().await.expect("podium runs");
    Ran {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).expect("text"),
        stderr: String::from_utf8(output.stderr).expect("text"),
    }
}

/// Compares how a command ended and what it printed.
#[track_caller]
fn check(ran: &Ran, code: i32, expected: &str) {
    assert_eq!(
        (ran.code, ran.stdout.as_str()),
        (Some(code), expected),
        "{}",
        ran.stderr
    );
}

fn counts(new: usize, changed: usize, unchanged: usize, refused: usize) -> String {
    format!(
        "new       {new:>12}\nchanged   {changed:>12}\nunchanged {unchanged:>12}\nrefused   {refused:>12}\n"
    )
}

fn write<'a>(path: &'a Path, text: &str) -> &'a str {
    std::fs::write(path, text).expect("it is written");
    path.to_str().expect("a plain path")
}

/// Each row, as its rank, id, name and points; `?` has no id.
fn render(entries: &[BoardEntry]) -> String {
    let rows = entries.iter().map(|entry| {
        let user = entry.user_id.as_ref().map_or("?", |user| user.as_str());
        let name = entry.name.as_ref().map_or("-", |name| name.as_str());
        format!("{}.{user} {name} {}", entry.rank, entry.points)
    });
    rows.collect::<Vec<_>>().join(", ")
}

async fn board(stack: &TestStack) -> String {
    stack.wait_for("the next snapshot", |_| true).await;
    let board: BoardDocument = stack
        .get("/v1/boards/global")
        .await
        .json()
        .await
        .expect("a board");
    render(&board.entries)
}

async fn found(stack: &TestStack, text: &str) -> String {
    let path = format!("/v1/boards/global/users?search={text}");
    let found: SearchDocument = stack.get(&path).await.json().await.expect("a search");
    render(&found.entries)
}

/// The user's id and name for readers and for admins, or the status of the answer.
async fn person(stack: &TestStack, user: &str) -> [String; 2] {
    let mut shown = Vec::new();
    for api in ["/v1", "/v1/private"] {
        let response = stack.get(&format!("{api}/boards/global/users/{user}")).await;
        shown.push(match response.status().as_u16() {
            200 => {
                let document: UserDocument = response.json().await.expect("a person");
                let concealed = document.concealed_as.map_or("", Visibility::as_str);
                format!("{} {concealed}", render(&[document.entry]))
                    .trim_end()
                    .to_owned()
            }
            status => status.to_string(),
        });
    }
    shown.try_into().expect("two answers")
}

fn tasks(of: &[(&str, usize)]) -> Vec<Value> {
    let tasks = of.iter().flat_map(|(user, tasks)| {
        (0..*tasks).map(move |task| {
            json!({"activity_id": format!("a{task}"), "user_id": user, "program_id": "p", "kind": "task_completed"})
        })
    });
    tasks.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn boards_show_people_as_the_file_says_and_an_export_is_that_file() {
    let stack = TestStack::start(|_| {}).await;
    let activities = tasks(&[
        ("ann", 3),
        ("bob", 2),
        ("cy", 5),
        ("dee", 4),
        ("eve", 1),
        ("0012", 1),
    ]);
    stack.post_all(&activities).await;
    stack.wait_until_counted(activities.len() as u64).await;

    let directory = TempDir::new().expect("a directory");
    let rows = [
        "'0012,يوسف حداد,,listed\r\n",
        "ann,\"Ólafur Øst, \"\"Óli\"\"\",ops,listed\r\n",
        "auth0|5f7c,Nguyễn Văn A,team/a,listed\r\n",
        "bob,Иван Петров,ops,anonymous\r\n",
        "cy,新 人研,,hidden\r\n",
        "dee,'=SUM(1;'2),,listed\r\n",
    ];
    let file = directory.path().join("people.csv");
    let reversed: String = rows.iter().rev().copied().collect();
    let file = write(&file, &format!("{HEAD}{reversed}"));

    let dry = run(&stack, &["import", file, "--dry-run"]).await;
    check(&dry, 0, &format!("{}Nothing was written.\n", counts(6, 0, 0, 0)));
    check(&run(&stack, &["export"]).await, 0, HEAD);
    check(&run(&stack, &["import", file]).await, 0, &counts(6, 0, 0, 0));
    check(&run(&stack, &["import", file]).await, 0, &counts(0, 0, 6, 0));
    let dry = run(&stack, &["import", file, "--dry-run"]).await;
    check(&dry, 0, &format!("{}Nothing was written.\n", counts(0, 0, 6, 0)));
    check(
        &run(&stack, &["export"]).await,
        0,
        &format!("{HEAD}{}", rows.concat()),
    );

    assert_eq!(
        board(&stack).await,
        "1.dee =SUM(1;2) 40, 2.ann Ólafur Øst, \"Óli\" 30, 3.? - 20, 4.0012 يوسف حداد 10, 4.eve - 10"
    );
    let ann = "2.ann Ólafur Øst, \"Óli\" 30";
    assert_eq!(person(&stack, "ann").await, [ann, ann]);
    assert_eq!(
        person(&stack, "bob").await,
        ["404", "3.bob Иван Петров 20 anonymous"]
    );
    assert_eq!(person(&stack, "cy").await, ["404", "1.cy 新 人研 50 hidden"]);
    assert_eq!(person(&stack, "eve").await, ["4.eve - 10"; 2]);
    assert_eq!(found(&stack, "olafur%20ost").await, ann);
    assert_eq!(found(&stack, "OLI").await, ann);
    assert_eq!(
        found(&stack, "%D9%8A%D9%88%D8%B3%D9%81").await,
        "4.0012 يوسف حداد 10"
    );
    for concealed in ["%D0%B8%D0%B2%D0%B0%D0%BD", "bob", "%E6%96%B0", "cy"] {
        assert_eq!(found(&stack, concealed).await, "", "{concealed}");
    }

    let deleted = stack
        .http
        .delete(format!("{}/v1/people/ann", stack.stack.web_url))
        .send()
        .await;
    assert_eq!(deleted.expect("the stack answers").status(), 204);
    let listed = "user_id,visibility\nbob,listed\ncy,\n";
    let file = directory.path().join("listed.csv");
    let changed = run(&stack, &["import", write(&file, listed)]).await;
    check(&changed, 0, &counts(0, 2, 0, 0));
    assert_eq!(
        board(&stack).await,
        "1.cy - 50, 2.dee =SUM(1;2) 40, 3.ann - 30, 4.bob - 20, 5.0012 يوسف حداد 10, 5.eve - 10"
    );
    assert_eq!(found(&stack, "olafur").await, "");
    assert_eq!(found(&stack, "ann").await, "3.ann - 30");
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refused_rows_are_named_and_ids_in_another_case_are_other_people() {
    let stack = TestStack::start(|_| {}).await;
    let directory = TempDir::new().expect("a directory");
    let file = directory.path().join("people");
    let first = write(&file, "user_id;display_name\nu-ann;Ann\nU-Bob;Bob\n");
    check(&run(&stack, &["import", first]).await, 0, &counts(2, 0, 0, 0));

    let text = concat!(
        "{\"user_id\":\"U-Ann\",\"display_name\":\"Ann\"}\n\n",
        "{\"user_id\":\"u-bob\",\"display_name\":\"a\\u202eb\"}\n",
        "{\"user_id\":\"u-bob\",\"team\":\"ops\"}\n",
        "{\"user_id\":\"u-cy\",\"name\":\"Cy\"}\n",
        "{\"user_id\":\"u-bob\",\"team\":\"it\"}\n",
    );
    let refused = concat!(
        "  line 3: illegal_character (display_name): display_name has the invisible character U+202E; leave it out\n",
        "  line 5: unknown_field (name): name is not a field of a person; its fields are user_id, display_name, team, visibility\n",
        "  line 6: repeated_user (user_id): u-bob is in line 4 already; leave one of them\n",
        "u-ann and U-Ann differ only in case: they are two people\n",
        "u-bob and U-Bob differ only in case: they are two people\n",
    );
    let file = write(&file, text);
    let expected = counts(2, 0, 0, 3) + refused;
    let dry = run(&stack, &["import", file, "--dry-run"]).await;
    check(&dry, 1, &format!("{expected}Nothing was written.\n"));
    let import = run(&stack, &["import", file]).await;
    check(&import, 1, &expected);
    assert_eq!(
        import.stderr,
        "podium: 3 rows were refused. Correct the file, and run the command again.\n"
    );
    let export = run(&stack, &["export"]).await;
    let rows = "U-Ann,Ann,,listed\r\nU-Bob,Bob,,listed\r\nu-ann,Ann,,listed\r\nu-bob,,ops,listed\r\n";
    check(&export, 0, &format!("{HEAD}{rows}"));
    stack.stop().await;
}

/// Waits for a board of teams that is ranked like this.
async fn wait_for_teams(stack: &TestStack, team_score: &str) -> Value {
    loop {
        let answer = stack.get("/v1/boards/teams").await;
        if answer.status() == 200 {
            let teams: Value = answer.json().await.expect("the board of teams");
            if teams["team_score"] == team_score {
                return teams;
            }
        }
        sleep(Duration::from_millis(100)).await;
    }
}

/// Imports a file while processes of the directory are killed.
async fn import_under_kills(stack: &TestStack, file: &str) -> Ran {
    let args = ["import", file];
    let mut import = pin!(run(stack, &args));
    let mut kills = 0;
    loop {
        let pause = Duration::from_millis(rand::random_range(20..100));
        tokio::select! {
            import = &mut import => {
                assert!(kills > 0, "{}", import.stdout);
                return import;
            }
            () = sleep(pause) => {}
        }
        if kills < KILLS {
            kills += usize::from(stack.stack.lambda.kill_one("directory"));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_outlives_the_processes_of_the_directory() {
    let stack = TestStack::start(|_| {}).await;
    let directory = TempDir::new().expect("a directory");
    let mut text = HEAD.to_owned();
    for number in 0..900 {
        let _ = write!(text, "u{number:04},Name {number},,listed\r\n");
    }
    let file = directory.path().join("people.csv");
    let file = write(&file, &text);
    let import = import_under_kills(&stack, file).await;
    assert_eq!(import.code, Some(0), "{}{}", import.stdout, import.stderr);
    check(&run(&stack, &["import", file]).await, 0, &counts(0, 0, 900, 0));
    check(&run(&stack, &["export"]).await, 0, &text);
    stack.stop().await;
}

/// Before the activities, after them, twice, in pieces and from killed imports: the boards are those that were
/// computed independently.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_people_lead_to_the_expected_boards_whatever_comes_first() {
    let file = |variable| std::env::var(variable).ok();
    let (Some((activities, _)), Some(corrections), Some(people), Some(corrected), Some(expected)) = (
        data_set(),
        file("PODIUM_TEST_CORRECTIONS"),
        file("PODIUM_TEST_PEOPLE"),
        Expected::boards("PODIUM_TEST_CORRECTED"),
        Expected::boards("PODIUM_TEST_PEOPLE_EXPECTED"),
    ) else {
        return;
    };
    let directory = TempDir::new().expect("a directory");
    let data = directory.path().join("data");
    let stack = TestStack::start(|config| config.data_dir = Some(data.clone())).await;
    let text = std::fs::read_to_string(&people).expect("the people");
    let (head, rows) = text.split_once('\n').expect("a header");
    let rows: Vec<_> = rows.lines().collect();
    let second = format!("{head}\n{}\n", rows[rows.len() / 2..].join("\n"));
    let path = directory.path().join("second.csv");
    let second = write(&path, &second);

    let imported = run(&stack, &["import", second]).await;
    assert_eq!(imported.code, Some(0), "{}", imported.stderr);
    stack.post_all(&activities).await;
    let all = import_under_kills(&stack, &people).await;
    assert_eq!(all.code, Some(0), "{}{}", all.stdout, all.stderr);
    let mut command = podium();
    command.args(["correct", "import", &corrections, "--url", &stack.stack.web_url]);
    assert!(command.status().await.expect("podium runs").success());
    let again = run(&stack, &["import", &people]).await;
    check(&again, 0, &counts(0, 0, rows.len(), 0));
    stack.wait_until_counted(corrected.activities).await;
    check_boards(&stack, &expected).await;
    check_teams(&stack, &expected, "sum").await;
    stack.stop().await;

    let by_mean = TestStack::start(|config| {
        config.data_dir = Some(data);
        config.team_score = TeamScore::Mean;
    })
    .await;
    wait_for_teams(&by_mean, "mean").await;
    check_teams(&by_mean, &expected, "mean").await;
    by_mean.stop().await;
}
