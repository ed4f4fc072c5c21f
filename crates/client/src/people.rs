//! The directory: requests for the profiles of people.

use domain::{Person, UserId, address};
use reqwest::{Method, Url};

use crate::wire::{ItemError, PeopleDocument, PersonAnswer};
use crate::{Api, PostError};

/// The most people of a page.
pub const PEOPLE_MAX: u16 = 1_000;

/// What became of a profile that was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Put {
    Kept(PersonAnswer),
    /// The profile will never be kept as it is.
    Refused(ItemError),
}

impl Api {
    /// Creates or replaces the profile of a person.
    pub async fn put_person(&self, user: &UserId, person: &Person) -> Result<Put, PostError> {
        let body = serde_json::to_vec(person).expect("a person is always JSON");
        let answer = self
            .request(Method::PUT, self.person_url(user), Some(body))
            .await?;
        match answer.refusal() {
            Some(refusal) => Ok(Put::Refused(refusal)),
            None => answer.document().map(Put::Kept),
        }
    }

    /// The profile of a person, or `None` if there is none.
    pub async fn person(&self, user: &UserId) -> Result<Option<Person>, PostError> {
        let answer = self.request(Method::GET, self.person_url(user), None).await?;
        if answer.is_problem("person_not_found") {
            return Ok(None);
        }
        answer.document().map(Some)
    }

    /// A page of the directory, at most [`PEOPLE_MAX`] people: the first one, or the one that a cursor names. Its
    /// order is the server's own.
    pub async fn people(&self, cursor: Option<&str>) -> Result<PeopleDocument, PostError> {
        let mut url = self.endpoint(&["v1", "people"]);
        url.query_pairs_mut()
            .append_pair("limit", &PEOPLE_MAX.to_string());
        if let Some(cursor) = cursor {
            url.query_pairs_mut().append_pair("cursor", cursor);
        }
        self.request(Method::GET, url, None).await?.document()
    }

    /// Deletes the profile of a person. Doing so again changes nothing.
    pub async fn delete_person(&self, user: &UserId) -> Result<(), PostError> {
        let answer = self.request(Method::DELETE, self.person_url(user), None).await?;
        if answer.status.is_success() {
            Ok(())
        } else {
            Err(answer.error())
        }
    }

    fn person_url(&self, user: &UserId) -> Url {
        self.endpoint(&["v1", "people", &address::user_segment(user)])
    }
}

#[cfg(test)]
mod tests;
