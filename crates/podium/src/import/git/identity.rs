//! Makes ids that the API accepts from the names of people and repositories.

use std::path::Path;

use domain::id::is_name_byte;
use domain::{ProgramId, UserId};
use sha2::{Digest, Sha256};

const SLUG_BYTES_MAX: usize = 64;

/// Hexadecimal digits added to slugs that lost characters, to keep them distinct.
const MARK_DIGITS: usize = 6;

const PSEUDONYM_DIGITS: usize = 12;

fn hash(text: &str) -> String {
    format!("{:x}", Sha256::digest(text))
}

/// The user id of an author: a pseudonym made from the e-mail address, or a slug of the name if `names` is
/// set. If the preferred one is empty, the other is used.
pub fn user_id(name: &str, email: &str, names: bool) -> UserId {
    let slugged = if names { slug(name) } else { None };
    let email = email.trim().to_lowercase();
    let identity = if email.is_empty() {
        name.trim().to_lowercase()
    } else {
        email
    };
    slugged
        .unwrap_or_else(|| format!("u-{}", &hash(&identity)[..PSEUDONYM_DIGITS]))
        .parse()
        .expect("slugs and pseudonyms are made of what names are made of")
}

/// The name of the repository with this git directory: `podium` for `podium/.git` and for `podium.git`.
pub fn program_slug(git_directory: &Path) -> Option<ProgramId> {
    let last = git_directory.file_name()?.to_string_lossy();
    let name = if last == ".git" {
        git_directory.parent()?.file_name()?.to_string_lossy()
    } else {
        last
    };
    let slug = slug(name.strip_suffix(".git").unwrap_or(&name))?;
    Some(slug.parse().expect("a slug is made of what names are made of"))
}

/// Lower case, with a hyphen for each run of other characters. A slug that lost letters or was truncated
/// ends with part of the hash of the text, so that `José` and `Josè` stay distinct. `None` if nothing is
/// left.
fn slug(text: &str) -> Option<String> {
    let mut slug = String::new();
    for c in text.trim().to_lowercase().chars() {
        match u8::try_from(c) {
            Ok(byte) if is_name_byte(byte) => slug.push(c),
            _ if slug.ends_with('-') || slug.is_empty() => {}
            _ => slug.push('-'),
        }
    }
    let mut slug = slug.trim_end_matches('-').to_owned();
    if !slug.contains(|c: char| c.is_ascii_alphanumeric()) {
        return None;
    }
    let dropped_letters = text.chars().any(|c| c.is_alphanumeric() && !c.is_ascii());
    if dropped_letters || slug.len() > SLUG_BYTES_MAX {
        slug.truncate(SLUG_BYTES_MAX - MARK_DIGITS - 1);
        slug.push('-');
        slug.push_str(&hash(text.trim())[..MARK_DIGITS]);
    }
    Some(slug)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pseudonyms_depend_on_the_address_alone() {
        // printf %s ann@example.com | sha256sum
        let expected = "u-71d4f55f72fa";
        for email in ["ann@example.com", "Ann@Example.COM", " ann@example.com "] {
            assert_eq!(user_id("Ann", email, false).as_str(), expected);
        }
        assert_ne!(user_id("Ann", "bob@example.com", false).as_str(), expected);
        assert_ne!(user_id("Ann", "", false), user_id("Bob", "", false));
    }

    #[test]
    fn slugs_name_people() {
        let check = |name: &str, expected: &str| {
            assert_eq!(user_id(name, "x@y", true).as_str(), expected, "{name}");
        };
        check("Ada Lovelace", "ada-lovelace");
        check("  R. Daneel  Olivaw (bot) ", "r.-daneel-olivaw-bot");
        check("dependabot[bot]", "dependabot-bot");
        check("José García", "jos-garc-a-978edf");
        check("", user_id("", "x@y", false).as_str());
        check("李小龍", user_id("", "x@y", false).as_str());
        check("--", user_id("", "x@y", false).as_str());
        assert_ne!(user_id("José", "", true), user_id("Josè", "", true));
        let long = user_id(&"long name ".repeat(20), "", true);
        assert_eq!(long.as_str().len(), SLUG_BYTES_MAX);
    }

    #[test]
    fn programs_are_called_like_their_repositories() {
        for (directory, expected) in [
            ("/srv/Podium/.git", Some("podium")),
            ("/srv/podium.git", Some("podium")),
            ("/srv/My Project/.git", Some("my-project")),
            ("/srv/super/.git/modules/sub", Some("sub")),
            ("/.git", None),
        ] {
            let slug = program_slug(Path::new(directory));
            assert_eq!(
                slug.map(|slug| slug.to_string()).as_deref(),
                expected,
                "{directory}"
            );
        }
    }
}
