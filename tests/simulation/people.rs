//! A model of the directory: who was shown how, and when that changed.

use std::collections::BTreeSet;

use domain::{Board, BoardEntry, Person, UserId, Visibility};
use rand::RngExt as _;
use rand::rngs::StdRng;
use snapshot::boards::Profiles;

use crate::tell;

#[derive(Debug, Default)]
pub struct People {
    /// Every profile that was written, in order.
    written: Vec<(UserId, Person)>,
}

impl People {
    /// The number of changes so far.
    pub fn changes(&self) -> usize {
        self.written.len()
    }

    /// The profiles as they are now.
    pub fn profiles(&self) -> Profiles {
        self.written.iter().cloned().collect()
    }

    /// Renames someone, conceals or shows him, and puts him into a team. Each name is given once. Returns whether he is
    /// hidden now.
    pub fn change(&mut self, random: &mut StdRng, user: &UserId) -> bool {
        let visibility = match random.random_range(0..8) {
            0 => Visibility::Hidden,
            1..3 => Visibility::Anonymous,
            _ => Visibility::Listed,
        };
        let team = [Some("red"), Some("blue"), None][random.random_range(0..3)];
        let name = format!("Name {}", self.written.len());
        tell(format_args!(
            "{user} is {name:?}, in the team {team:?} and {}",
            visibility.as_str()
        ));
        let person = Person {
            display_name: Some(name.parse().expect("a name")),
            team: team.map(|team| team.parse().expect("a team")),
            visibility,
        };
        self.written.push((user.clone(), person));
        visibility == Visibility::Hidden
    }

    /// Shows everyone again.
    pub fn show_everyone(&mut self) {
        let users: BTreeSet<_> = self.written.iter().map(|(user, _)| user.clone()).collect();
        self.written
            .extend(users.into_iter().map(|user| (user, Person::default())));
    }

    /// The rows of a board whose run began after `began` changes show everyone as he was shown at some time since, and
    /// those of a team who was in it then.
    pub fn check(&self, board: &Board, began: usize, rows: &[BoardEntry]) {
        for row in rows {
            let Some(user) = &row.user_id else {
                assert_eq!(row.name, None, "an anonymous row has a name");
                continue;
            };
            let of_user = |written: &'_ [(UserId, Person)]| -> Vec<Person> {
                let written = written.iter().filter(|(other, _)| other == user);
                written.map(|(_, person)| person.clone()).collect()
            };
            let (before, since) = self.written.split_at(began);
            let then = of_user(before).pop().unwrap_or_default();
            let is_member = |person: &Person| match board {
                Board::Team(team) => person.team.as_ref() == Some(team),
                Board::Global | Board::Program(_) => true,
            };
            let is_right = std::iter::once(then).chain(of_user(since)).any(|person| {
                person.visibility == Visibility::Listed
                    && person.display_name == row.name
                    && is_member(&person)
            });
            assert!(
                is_right,
                "{row:?} is shown, after {began} changes of {:?}",
                self.written
            );
        }
    }
}
