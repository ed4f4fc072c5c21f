//! Makes ids that the API accepts from the names of people and repositories.

use std::path::Path;

use domain::{ProgramId, UserId};
use sha2::{Digest, Sha256};

/// Ids may be longer and have more characters. What was imported before would count again under another id.
const SLUG_BYTES_MAX: usize = 64;

/// Hexadecimal digits added to slugs that lost characters, to keep them distinct.
const MARK_DIGITS: usize = 6;

const PSEUDONYM_DIGITS: usize = 12;

fn hash(text: &str) -> String {
    format!("{:x}", Sha256::digest(text))
}

/// The user id of an author: a pseudonym made from the e-mail address, or a slug of the name if `names` is
/// set, or of the address's local part if the name has no Latin letter. If the preferred one is empty, the
/// other is used.
pub fn user_id(name: &str, email: &str, names: bool) -> UserId {
    let email = email.trim().to_lowercase();
    let slugged = names
        .then(|| slug(name).or_else(|| slug_of_address(&email)))
        .flatten();
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

/// The local part of an address, and part of the hash of the whole, since others may have the same.
fn slug_of_address(email: &str) -> Option<String> {
    let (local, _) = email.split_once('@')?;
    let mut slug = slug(local)?;
    slug.truncate(SLUG_BYTES_MAX - MARK_DIGITS - 1);
    Some(format!("{slug}-{}", &hash(email)[..MARK_DIGITS]))
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
pub fn slug(text: &str) -> Option<String> {
    let mut slug = String::new();
    for c in text.trim().to_lowercase().chars() {
        match u8::try_from(c) {
            Ok(byte) if is_slug_byte(byte) => slug.push(c),
            _ if !without_mark(c).is_empty() => slug.push_str(without_mark(c)),
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

fn is_slug_byte(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'@' | b'-')
}

/// The letters of a European name that people would type without their marks. Empty for other characters.
fn without_mark(c: char) -> &'static str {
    match c {
        'à' | 'á' | 'â' | 'ã' | 'ä' | 'å' | 'ā' | 'ă' | 'ą' => "a",
        'ç' | 'ć' | 'č' => "c",
        'ď' | 'đ' | 'ð' => "d",
        'è' | 'é' | 'ê' | 'ë' | 'ē' | 'ė' | 'ę' | 'ě' => "e",
        'ğ' | 'ģ' => "g",
        'ì' | 'í' | 'î' | 'ï' | 'ī' | 'į' | 'ı' => "i",
        'ķ' => "k",
        'ļ' | 'ľ' | 'ł' => "l",
        'ñ' | 'ń' | 'ņ' | 'ň' => "n",
        'ò' | 'ó' | 'ô' | 'õ' | 'ö' | 'ø' | 'ő' => "o",
        'ŕ' | 'ř' => "r",
        'ś' | 'š' | 'ş' | 'ș' => "s",
        'ť' | 'ţ' | 'ț' => "t",
        'ù' | 'ú' | 'û' | 'ü' | 'ū' | 'ů' | 'ű' | 'ų' => "u",
        'ý' | 'ÿ' => "y",
        'ź' | 'ż' | 'ž' => "z",
        'æ' => "ae",
        'œ' => "oe",
        'ß' => "ss",
        'þ' => "th",
        _ => "",
    }
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
        check("José García", "jose-garcia-978edf");
        check("Łukasz Weiß", "lukasz-weiss-fb2bc6");
        // printf %s x@y | sha256sum
        for name in ["", "李小龍", "--"] {
            check(name, "x-da8ab1");
        }
        assert_eq!(user_id("李小龍", "", true), user_id("李小龍", "", false));
        assert_ne!(user_id("José", "", true), user_id("Josè", "", true));
        let long = user_id(&"long name ".repeat(20), "", true);
        assert_eq!(long.as_str().len(), SLUG_BYTES_MAX);
        // Pinned, although an id may have these characters.
        check("Jane O'Neil+HR", "jane-o-neil-hr");
        check("auth0|5f7c", "auth0-5f7c");
        check("a:b/c#d~e", "a-b-c-d-e");
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
