//! The facts of both systems, by person: first those of the other system, then those of Podium beside them.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use anyhow::{Context as _, ensure};
use bridge::{Item, Mapping, mirrored};
use domain::{Activity, ActivityId, Amount, Fact, FactId, FactKey, UserId};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use store::Facts;

use crate::compare::Person;
use crate::source::{Source, Sums, text, whole};

/// Parts of a table that are read at once.
const SEGMENTS: i32 = 8;
/// Items in one request to Podium's table.
const PAGE: i32 = 1_000;
/// The events that are compared at once, which takes some 2 GB.
const EVENTS_MAX: u64 = 10_000_000;

/// The events of the other system, by person and id.
#[derive(Default)]
pub struct Events {
    people: HashMap<String, HashMap<String, Held>>,
    /// The names of programs, by their number.
    programs: Vec<String>,
    numbers: HashMap<String, u32>,
    pub count: u64,
    /// Those that were mirrored from Podium.
    pub mirrored: u64,
    /// Items that are no events: the key of each, and the reason.
    pub unreadable: Vec<String>,
}

#[derive(Clone, Copy)]
struct Held {
    program: u32,
    points: i64,
    is_mirrored: bool,
    /// Whether the person has it several times, so that it is not known which of them counts.
    is_repeated: bool,
    is_found: bool,
}

/// What Podium has, compared with the events of the other system.
#[derive(Default)]
pub struct Found {
    pub count: u64,
    /// Those with another program or other points.
    pub different: Vec<FactKey>,
    /// Those that were carried over from an event which the other system does not have, or had not when it was read.
    pub surplus: Vec<FactKey>,
    /// Podium's own.
    pub own: u64,
}

impl Events {
    /// Reads the whole table.
    pub async fn read(source: &Source) -> anyhow::Result<Self> {
        let mut events = Self::default();
        let pages = stream::iter(0..SEGMENTS).map(|segment| pages(source, &source.mapping.table, segment));
        let mut pages = std::pin::pin!(stream::select_all(pages.map(Box::pin).collect::<Vec<_>>().await));
        while let Some(page) = pages.next().await {
            events.add(&source.mapping, &page?);
            ensure!(
                events.count <= EVENTS_MAX,
                "there are more than {EVENTS_MAX} events, which is what is compared at once"
            );
        }
        Ok(events)
    }

    /// Adds items. An event that a person has twice is the first one.
    fn add(&mut self, mapping: &Mapping, items: &[Item]) {
        for item in items {
            let event = match mapping.event(item) {
                Ok(event) => event,
                Err(unfit) => {
                    self.unreadable.push(unfit.to_string());
                    continue;
                }
            };
            let program = self.number(event.program);
            let is_mirrored = mirrored::is_marked(item);
            let events = self.people.entry(event.user).or_default();
            match events.entry(event.id) {
                Entry::Occupied(mut known) => known.get_mut().is_repeated = true,
                Entry::Vacant(vacant) => {
                    vacant.insert(Held {
                        program,
                        points: event.points.unwrap_or_default(),
                        is_mirrored,
                        is_repeated: false,
                        is_found: false,
                    });
                    self.count += u64::from(!is_mirrored);
                    self.mirrored += u64::from(is_mirrored);
                }
            }
        }
    }

    fn number(&mut self, program: String) -> u32 {
        if let Some(number) = self.numbers.get(&program) {
            return *number;
        }
        let number = u32::try_from(self.programs.len()).unwrap_or(u32::MAX);
        self.programs.push(program.clone());
        self.numbers.insert(program, number);
        number
    }

    /// Reads Podium's facts, and marks the events that it has.
    pub async fn find(&mut self, facts: &Facts, has_points: bool) -> anyhow::Result<Found> {
        let mut found = Found::default();
        let parts: Vec<_> = (0..SEGMENTS).collect();
        let mut pages = stream::iter(parts)
            .map(|segment| async move {
                let mut activities = Vec::new();
                let mut after = None;
                loop {
                    let page = facts.page((segment, SEGMENTS), after.as_ref(), PAGE).await?;
                    activities.extend(page.facts.into_iter().filter_map(|stored| match stored.fact {
                        Fact::Activity(activity) => Some(activity),
                        Fact::Void(_) | Fact::Adjustment(_) => None,
                    }));
                    after = page.next;
                    if after.is_none() {
                        return anyhow::Ok(activities);
                    }
                }
            })
            .buffer_unordered(2);
        while let Some(activities) = pages.try_next().await.context("could not read Podium's facts")? {
            for activity in activities {
                self.compare(&activity, has_points, &mut found);
            }
        }
        Ok(found)
    }

    fn compare(&mut self, activity: &Activity, has_points: bool, found: &mut Found) {
        found.count += 1;
        let events = self.people.get_mut(activity.user.as_str());
        let Some(held) = events.and_then(|events| events.get_mut(activity.id.as_str())) else {
            if mirrored::is_own(activity) {
                found.own += 1;
            } else {
                found.surplus.push(key(activity));
            }
            return;
        };
        held.is_found = true;
        let is_same_program = self.programs[held.program as usize] == activity.program.as_str();
        let is_same_points = match activity.amount {
            Some(Amount::Points(points)) if has_points => i64::from(points) == held.points,
            _ => true,
        };
        if !(held.is_repeated || is_same_program && is_same_points) {
            found.different.push(key(activity));
        }
    }

    /// The events that Podium was not found to have: person and id.
    pub fn missing(&self) -> Vec<(String, String)> {
        let mut missing: Vec<_> = self
            .people
            .iter()
            .flat_map(|(person, events)| {
                let events = events
                    .iter()
                    .filter(|(_, held)| !held.is_found && !held.is_mirrored);
                events.map(move |(id, _)| (person.clone(), id.clone()))
            })
            .collect();
        missing.sort_unstable();
        missing
    }

    pub fn has(&self, fact: &FactKey) -> bool {
        let events = self.people.get(fact.user.as_str());
        events.is_some_and(|events| events.contains_key(fact.id.as_str()))
    }

    /// Whether an activity of Podium was carried back.
    pub fn has_mirrored(&self, activity: &Activity) -> bool {
        let events = self.people.get(activity.user.as_str());
        let id = mirrored::event_id(&activity.user, &activity.id);
        events.is_some_and(|events| events.contains_key(&id))
    }

    /// The sums of each person's events by program.
    pub fn sums(&self) -> HashMap<String, Person> {
        let people = self.people.iter().map(|(person, events)| {
            let mut sums = Person::default();
            for held in events.values() {
                let program = self.programs[held.program as usize].clone();
                *sums.facts.entry(program).or_default() += Sums {
                    points: held.points,
                    count: 1,
                };
            }
            (person.clone(), sums)
        });
        people.collect()
    }
}

fn key(activity: &Activity) -> FactKey {
    FactKey {
        user: activity.user.clone(),
        id: FactId::from(&activity.id),
    }
}

/// The key of a fact, if the ids are such as Podium has.
pub fn key_of(person: &str, id: &str) -> Option<FactKey> {
    Some(FactKey {
        user: person.parse::<UserId>().ok()?,
        id: FactId::from(&id.parse::<ActivityId>().ok()?),
    })
}

/// The pages of a segment.
fn pages<'a>(
    source: &'a Source,
    table: &'a str,
    segment: i32,
) -> impl stream::Stream<Item = anyhow::Result<Vec<Item>>> + 'a {
    stream::try_unfold(Some(None), move |after: Option<Option<Item>>| async move {
        let Some(after) = after else { return Ok(None) };
        let (items, next) = source.page(table, (segment, SEGMENTS), after).await?;
        Ok(Some((items, next.map(Some))))
    })
}

/// Adds what the other system has summed up to the people of [`Events::sums`].
pub async fn add_sums(source: &Source, people: &mut HashMap<String, Person>) -> anyhow::Result<()> {
    for table in [source.progress_table(), source.totals_table()] {
        for segment in 0..SEGMENTS {
            let mut pages = std::pin::pin!(pages(source, &table, segment));
            while let Some(items) = pages.try_next().await? {
                for item in &items {
                    let person = people.entry(text(item, EMPLOYEE).to_owned()).or_default();
                    add_item(person, item);
                }
            }
        }
    }
    Ok(())
}

/// The attribute of the published system's tables that says whose an item is.
pub const EMPLOYEE: &str = "employee_id";

fn add_item(person: &mut Person, item: &Item) {
    if item.contains_key("program_id") {
        let sums = Sums {
            points: whole(item, "points_in_program"),
            count: whole(item, "completed_count"),
        };
        person.progress.insert(text(item, "program_id").to_owned(), sums);
    } else {
        person.total += Sums {
            points: whole(item, "total_points"),
            count: whole(item, "total_completed"),
        };
    }
}

/// Reads one person anew: the events and the sums.
pub async fn person(source: &Source, person: &str) -> anyhow::Result<Person> {
    let mut events = Events::default();
    let items = source.of_person(&source.mapping.table, EMPLOYEE, person).await?;
    events.add(&source.mapping, &items);
    let mut read = events.sums().remove(person).unwrap_or_default();
    for table in [source.progress_table(), source.totals_table()] {
        for item in source.of_person(&table, EMPLOYEE, person).await? {
            add_item(&mut read, &item);
        }
    }
    Ok(read)
}
