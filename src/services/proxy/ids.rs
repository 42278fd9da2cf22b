//! Public ids of proxies: the name as a slug, and some hex digits, like `premium-weather-api-a1b2`.

use crate::core::ids::{NoRandomness, random_hex};

/// Letters of the name in an id.
const LETTERS: usize = 48;

/// A new id for a proxy of this name. Each failed `attempt` makes it longer.
///
/// # Errors
/// [`NoRandomness`].
pub(super) fn new_id(name: &str, attempt: u32) -> Result<String, NoRandomness> {
    let digits = match attempt {
        0 | 1 => random_hex::<2>()?,
        2 => random_hex::<4>()?,
        _ => random_hex::<12>()?,
    };
    Ok(format!("{}-{digits}", slug(name)))
}

fn slug(name: &str) -> String {
    let mut slug = String::new();
    for letter in name.chars() {
        if slug.len() >= LETTERS {
            break;
        }
        if letter.is_ascii_alphanumeric() {
            slug.push(letter.to_ascii_lowercase());
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    let slug = slug.trim_end_matches('-');
    if slug.is_empty() { "proxy".into() } else { slug.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_tells_the_name_and_is_a_plain_segment() {
        for (name, begins) in [
            ("Premium Weather API", "premium-weather-api-"),
            ("  Ünï--code!! ", "n-code-"),
            ("日本", "proxy-"),
            ("..%2f../", "2f-"),
        ] {
            let id = new_id(name, 0).unwrap();
            assert_eq!(id.strip_prefix(begins).map(str::len), Some(4), "{id}");
        }
        assert!(new_id(&"x".repeat(500), 3).unwrap().len() < 80);
    }
}
