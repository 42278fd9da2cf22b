//! What patterns mean, and that none takes long.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;

fn matches(pattern: &str, path: &str) -> bool {
    Glob::new(pattern).unwrap().matches(&Letters::of(path))
}

#[test]
fn stars_and_question_marks_mean_what_they_say() {
    for (pattern, yes, no) in [
        ("/a", vec!["/a", "/A"], vec!["/", "/a/b", "/ab", "/b"]),
        ("/", vec!["/"], vec!["/a"]),
        ("/*", vec!["/a", "/abc"], vec!["/a/b", "/a/b/c"]),
        ("/**", vec!["/", "/a", "/a/b/c"], vec![]),
        ("**", vec!["/", "/a", "/a/b/c"], vec![]),
        ("/a/*", vec!["/a/b"], vec!["/a", "/a/b/c", "/b/a"]),
        ("/a/**", vec!["/a", "/a/b", "/a/b/c"], vec!["/ab", "/b"]),
        ("/a/**/z", vec!["/a/z", "/a/b/z", "/a/b/c/z"], vec!["/a", "/az", "/a/bz", "/axx/z"]),
        ("/a/**/**/z", vec!["/a/z", "/a/b/z"], vec!["/az"]),
        ("/**/z", vec!["/z", "/a/z", "/a/b/z"], vec!["/az", "/a/z/b"]),
        ("/a*z", vec!["/az", "/abz"], vec!["/a/z", "/azb"]),
        ("/a**z", vec!["/az", "/a/z", "/a/b/z"], vec!["/a/b"]),
        ("/?", vec!["/a", "/é"], vec!["/", "/ab", "//"]),
        ("/v?/x", vec!["/v1/x"], vec!["/v/x", "/v12/x", "/v//x"]),
        ("/weather/{city}", vec!["/weather/rome"], vec!["/weather", "/weather/rome/now"]),
        ("/a%20b", vec!["/a b"], vec!["/a%20b"]),
        ("/caf%C3%A9", vec!["/café", "/CAFÉ"], vec!["/cafe"]),
        ("api/*", vec!["/api/x"], vec!["/x/api/x"]),
        ("/a/", vec!["/a"], vec!["/a/b"]),
    ] {
        for path in yes {
            assert!(matches(pattern, path), "{pattern} {path}");
        }
        for path in no {
            assert!(!matches(pattern, path), "{pattern} {path}");
        }
    }
}

#[test]
fn patterns_that_mean_the_same_have_one_form() {
    for (pattern, normal) in [
        ("premium/**", "/premium/**"),
        ("/premium/**/", "/premium/**"),
        ("/premium/**/**", "/premium/**"),
        ("/PREMIUM/%2a", "/premium/*"),
        ("/premium/{city}", "/premium/*"),
        ("/v?/x", "/v?/x"),
        ("/", "/"),
        ("**", "/**"),
    ] {
        assert_eq!(Glob::new(pattern).unwrap().normal(), normal, "{pattern}");
    }
    assert_eq!(Glob::heeding_case("/A").unwrap().normal(), "/A");
}

#[test]
fn what_is_allowed_heeds_case() {
    let glob = Glob::heeding_case("/Api/*").unwrap();
    assert!(glob.matches(&Letters::of("/Api/x")) && !glob.matches(&Letters::of("/api/x")));
}

#[test]
fn what_is_forbidden_is_so_with_all_below() {
    for (pattern, yes, no) in [
        ("/admin", vec!["/admin", "/admin/users/1", "/ADMIN/x"], vec!["/administrator", "/x/admin"]),
        ("/admin/*", vec!["/admin/a", "/admin/a/b"], vec!["/admin"]),
        ("/*/private", vec!["/a/private", "/a/private/b"], vec!["/private"]),
        ("/", vec!["/"], vec!["/a"]),
        ("/**/*.bak", vec!["/x.bak", "/a/b/x.bak"], vec!["/x.bakery"]),
    ] {
        let glob = Glob::new(pattern).unwrap();
        for path in yes {
            assert!(glob.covers(&Letters::of(path)), "{pattern} {path}");
        }
        for path in no {
            assert!(!glob.covers(&Letters::of(path)), "{pattern} {path}");
        }
    }
}

#[test]
fn the_narrower_pattern_ranks_higher() {
    let rank = |text: &str| Glob::new(text).unwrap().rank();
    assert!(rank("/a") > rank("/a*"));
    assert!(rank("/a/b/*") > rank("/a/**"));
    assert!(rank("/a/*") > rank("/a/**"));
    assert!(rank("/a/**/b") > rank("/a/*"));
    assert!(rank("/") > rank("/long/prefix/**"));
}

#[test]
fn patterns_that_no_path_can_match_are_refused() {
    assert_eq!(Glob::new("").unwrap_err(), BadGlob::Empty);
    assert_eq!(Glob::new("/a/../b").unwrap_err(), BadGlob::Path(BadPath::Dots));
    assert_eq!(Glob::new("/a%2fb").unwrap_err(), BadGlob::Path(BadPath::Separator));
    assert_eq!(Glob::new("//a").unwrap_err(), BadGlob::Path(BadPath::EmptySegment));
    assert_eq!(Glob::new(&format!("/{}", "a".repeat(255))).unwrap_err(), BadGlob::TooLong);
    assert!(
        Glob::new(&format!("/{}", "a".repeat(254)))
            .unwrap()
            .matches(&Letters::of(&format!("/{}", "a".repeat(254))))
    );
}

#[test]
fn no_pattern_is_a_trap() {
    let path = format!("/{}", "a".repeat(2_000));
    let globs: Vec<_> = ["*a", "a*", "**a", "?*"]
        .iter()
        .map(|part| Glob::new(&format!("/{}b", part.repeat(100))).unwrap())
        .collect();
    let began = Instant::now();
    for glob in &globs {
        assert!(!glob.matches(&Letters::of(&path)));
    }
    assert!(began.elapsed() < Duration::from_millis(200));
}

/// The meaning, written down plainly and slowly.
fn slow(pattern: &[char], path: &[char]) -> bool {
    match pattern {
        [] => path.is_empty(),
        ['*', '*', rest @ ..] => (0..=path.len()).any(|skip| slow(rest, &path[skip..])),
        ['*', rest @ ..] => {
            let inside = path.iter().take_while(|letter| **letter != '/').count();
            (0..=inside).any(|skip| slow(rest, &path[skip..]))
        }
        ['?', rest @ ..] => matches!(path, [first, ..] if *first != '/') && slow(rest, &path[1..]),
        [letter, rest @ ..] => path.first() == Some(letter) && slow(rest, &path[1..]),
    }
}

proptest! {
    #[test]
    fn the_fast_way_and_the_slow_one_agree(pattern in "/[ab?*]{1,6}(/[ab?]{1,4}\\*?){0,2}", path in "(/[ab]{1,5}){1,3}") {
        prop_assume!(!pattern.contains("***"));
        let letters = |text: &str| text.chars().collect::<Vec<_>>();
        // A segment of two stars alone has rules of its own, which the table above tells.
        prop_assume!(!pattern.split('/').any(|segment| segment == "**"));
        prop_assert_eq!(matches(&pattern, &path), slow(&letters(&pattern), &letters(&path)));
    }
}
