//! The directory: admins read and edit what people are called, which team they are in and how boards show them, and the
//! titles of teams and programs.

mod config;
mod route;

use std::time::Duration;

use domain::{Details, Person, Rejection, Subject, SubjectKind, UserId};
use identity::Access;
use lambda_http::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use lambda_http::http::{Method, StatusCode};
use lambda_http::{Request, RequestExt as _, Response};
use problem::Problem;
use problem::body::{check_headers, decode, json};
use serde::Serialize;
use serde_json::{Value, json};
use store::details::DetailsPage;
use store::people::{Outcome, PeoplePage};
use store::{People, StoreError};
use tokio::time::timeout;

pub use config::Config;
pub use route::{LISTED_DEFAULT, LISTED_MAX, Route};

/// What is not done within this time is answered as unavailable.
const STORE_WITHIN: Duration = Duration::from_secs(8);
const RETRY_AFTER_SECONDS: u32 = 2;
/// The most ids in another case that an answer names.
pub const OTHER_CASE_MAX: i32 = 5;

pub struct Directory {
    people: People,
    access: Access,
}

/// Why a request is not done.
enum Failure {
    Problem(Problem),
    Store(StoreError),
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// A person, as answers show one.
#[derive(Serialize)]
struct Shown<'a> {
    user_id: &'a UserId,
    #[serde(flatten)]
    person: &'a Person,
}

impl Directory {
    pub fn connect(config: Config) -> anyhow::Result<Self> {
        let client = aws_sdk_dynamodb::Client::new(&store::aws::config_from_env()?);
        Ok(Self::new(client, config))
    }

    pub fn new(client: aws_sdk_dynamodb::Client, config: Config) -> Self {
        Self {
            people: People::new(client, config.people_table),
            access: config.access,
        }
    }

    /// Answers one request.
    pub async fn handle(&self, request: Request) -> Response<String> {
        let answer = match timeout(STORE_WITHIN, self.answer(&request)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(Failure::Problem(problem))) => problem.into_response(),
            Ok(Err(Failure::Store(error))) => failed(&error),
            Err(_) => {
                tracing::error!("The directory did not answer in time.");
                unavailable()
            }
        };
        if request.method() == Method::HEAD {
            return problem::without_body(answer);
        }
        answer
    }

    async fn answer(&self, request: &Request) -> Result<Response<String>, Failure> {
        let caller = self.access.caller(request.request_context_ref());
        if !caller.administers {
            return Err(caller.refusal("administer Podium").into());
        }
        let route = Route::parse(request.uri())?;
        match (&route, request.method()) {
            (Route::People { after, limit }, &Method::GET | &Method::HEAD) => {
                Ok(listed(&self.people.list(after.as_ref(), *limit).await?))
            }
            (Route::Person(user), &Method::GET | &Method::HEAD) => match self.people.get(user).await? {
                Some(person) => Ok(answer(
                    StatusCode::OK,
                    &Shown {
                        user_id: user,
                        person: &person,
                    },
                )),
                None => Err(not_found(user).into()),
            },
            (Route::Person(user), &Method::PUT) => self.put(user, request).await,
            (Route::Person(user), &Method::DELETE) => {
                self.people.delete(user).await?;
                Ok(deleted())
            }
            (Route::Subjects { kind, after, limit }, &Method::GET | &Method::HEAD) => {
                let page = self.people.list_details(*kind, after.as_ref(), *limit).await?;
                Ok(listed_subjects(*kind, &page))
            }
            (Route::Subject(subject), &Method::GET | &Method::HEAD) => {
                match self.people.details(subject).await? {
                    Some(details) => Ok(answer(StatusCode::OK, &shown(subject, &details))),
                    None => Err(without_details(subject).into()),
                }
            }
            (Route::Subject(subject), &Method::PUT) => self.put_details(subject, request).await,
            (Route::Subject(subject), &Method::DELETE) => {
                self.people.delete_details(subject).await?;
                Ok(deleted())
            }
            (route, method) => Ok(problem::method_not_allowed(method, route.methods())),
        }
    }

    async fn put(&self, user: &UserId, request: &Request) -> Result<Response<String>, Failure> {
        let encoding = check_headers(request.headers())?;
        let body = decode(encoding, request.body())?;
        let person = Person::parse(json(&body)?, user)
            .map_err(|rejection| refused("person", "invalid_person", &rejection))?;
        let outcome = self.people.put(user, &person).await?;
        let other_case = self.people.other_case(user, OTHER_CASE_MAX).await?;
        let mut document = json!(Shown {
            user_id: user,
            person: &person
        });
        document["other_case"] = json!(other_case);
        Ok(kept(outcome, document))
    }

    async fn put_details(&self, subject: &Subject, request: &Request) -> Result<Response<String>, Failure> {
        let encoding = check_headers(request.headers())?;
        let body = decode(encoding, request.body())?;
        let details = Details::parse(json(&body)?, subject).map_err(|rejection| {
            let code = match subject.kind() {
                SubjectKind::Team => "invalid_team",
                SubjectKind::Program => "invalid_program",
            };
            refused(subject.kind().name(), code, &rejection)
        })?;
        let outcome = self.people.put_details(subject, &details).await?;
        Ok(kept(outcome, shown(subject, &details)))
    }
}

fn refused(what: &str, code: &'static str, rejection: &Rejection) -> Problem {
    let detail = format!("The {what} is not valid: {}.", rejection.detail);
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail)
        .field(&rejection.field)
        .with("reason", json!(rejection.code))
}

/// The answer to a write: what is kept by now, and whether that is new.
fn kept(outcome: Outcome, mut document: Value) -> Response<String> {
    let (status, outcome) = match outcome {
        Outcome::Created => (StatusCode::CREATED, "created"),
        Outcome::Changed => (StatusCode::OK, "changed"),
        Outcome::Unchanged => (StatusCode::OK, "unchanged"),
    };
    document["outcome"] = outcome.into();
    answer(status, &document)
}

fn deleted() -> Response<String> {
    let mut deleted = Response::new(String::new());
    *deleted.status_mut() = StatusCode::NO_CONTENT;
    deleted
}

/// A team or a program, as answers show one.
fn shown(subject: &Subject, details: &Details) -> Value {
    match subject {
        Subject::Team(team) => json!({ "team_id": team, "title": details.title }),
        Subject::Program(program) => json!({
            "program_id": program,
            "title": details.title,
            "order": details.order,
            "archived": details.archived,
        }),
    }
}

fn listed_subjects(kind: SubjectKind, page: &DetailsPage) -> Response<String> {
    let entries = page
        .entries
        .iter()
        .map(|(subject, details)| shown(subject, details));
    let next_cursor = page.next.as_ref().map(|subject| route::cursor(subject.id()));
    let mut document = json!({ "next_cursor": next_cursor });
    document[kind.plural()] = entries.collect();
    answer(StatusCode::OK, &document)
}

fn listed(page: &PeoplePage) -> Response<String> {
    let people = page
        .people
        .iter()
        .map(|(user_id, person)| Shown { user_id, person });
    let people: Vec<_> = people.collect();
    let next_cursor = page.next.as_ref().map(|user| route::cursor(user.as_str()));
    answer(
        StatusCode::OK,
        &json!({ "people": people, "next_cursor": next_cursor }),
    )
}

fn answer(status: StatusCode, document: &impl Serialize) -> Response<String> {
    Response::builder()
        .status(status)
        .header(CONTENT_TYPE, "application/json")
        .header(CACHE_CONTROL, "no-store")
        .body(json!(document).to_string())
        .expect("the headers are constants")
}

fn not_found(user: &UserId) -> Problem {
    let detail = format!("{user} has no profile. Without one, boards show the id.");
    Problem::new(StatusCode::NOT_FOUND, "person_not_found", detail).field("user")
}

fn without_details(subject: &Subject) -> Problem {
    let (code, field) = match subject.kind() {
        SubjectKind::Team => ("team_not_found", "team"),
        SubjectKind::Program => ("program_not_found", "program"),
    };
    let detail = format!("Nothing is set for {subject}. Without a title, boards show the id.");
    Problem::new(StatusCode::NOT_FOUND, code, detail).field(field)
}

fn failed(error: &StoreError) -> Response<String> {
    tracing::error!(
        kind = error.kind(),
        error = error.with_causes(),
        "The directory could not be read or written."
    );
    match error {
        StoreError::Unavailable { .. } => unavailable(),
        StoreError::Corrupt { .. } => {
            let detail = "Something in the directory cannot be decoded. Trying again does not help; tell the operator of Podium.";
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "corrupt_data", detail).into_response()
        }
    }
}

/// Nothing is lost by sending a request again: each says what a profile should be.
fn unavailable() -> Response<String> {
    let detail = "The directory cannot be reached at the moment. Send the same request again.";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail)
        .retry_after(RETRY_AFTER_SECONDS)
        .into_response()
}
