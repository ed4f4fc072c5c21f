//! The directory: admins read and edit what people are called, which team they are in and how boards show them.

mod config;
mod route;

use std::time::Duration;

use domain::{Person, UserId};
use identity::Access;
use lambda_http::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use lambda_http::http::{Method, StatusCode};
use lambda_http::{Request, RequestExt as _, Response};
use problem::Problem;
use problem::body::{check_headers, decode, json};
use serde::Serialize;
use serde_json::json;
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
                let mut deleted = Response::new(String::new());
                *deleted.status_mut() = StatusCode::NO_CONTENT;
                Ok(deleted)
            }
            (route, method) => Ok(problem::method_not_allowed(method, route.methods())),
        }
    }

    async fn put(&self, user: &UserId, request: &Request) -> Result<Response<String>, Failure> {
        let encoding = check_headers(request.headers())?;
        let body = decode(encoding, request.body())?;
        let person = Person::parse(json(&body)?, user).map_err(|rejection| {
            let detail = format!("The person is not valid: {}.", rejection.detail);
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_person", detail)
                .field(&rejection.field)
                .with("reason", json!(rejection.code))
        })?;
        let outcome = self.people.put(user, &person).await?;
        let other_case = self.people.other_case(user, OTHER_CASE_MAX).await?;
        let (status, outcome) = match outcome {
            Outcome::Created => (StatusCode::CREATED, "created"),
            Outcome::Changed => (StatusCode::OK, "changed"),
            Outcome::Unchanged => (StatusCode::OK, "unchanged"),
        };
        let mut document = json!(Shown {
            user_id: user,
            person: &person
        });
        document["outcome"] = outcome.into();
        document["other_case"] = json!(other_case);
        Ok(answer(status, &document))
    }
}

fn listed(page: &PeoplePage) -> Response<String> {
    let people = page
        .people
        .iter()
        .map(|(user_id, person)| Shown { user_id, person });
    let people: Vec<_> = people.collect();
    let next_cursor = page.next.as_ref().map(route::cursor);
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

fn failed(error: &StoreError) -> Response<String> {
    tracing::error!(
        kind = error.kind(),
        error = error.with_causes(),
        "The directory could not be read or written."
    );
    match error {
        StoreError::Unavailable { .. } => unavailable(),
        StoreError::Corrupt { .. } => {
            let detail = "A stored profile cannot be decoded. Trying again does not help; tell the operator of Podium.";
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
