//! Patterns for paths: `?` is one character of a segment, `*` any number of them, `**` any number of segments.
//!
//! A pattern is a row of characters to read, with loops between them; all places that it could stand at are kept as
//! the bits of one number, and each character of a path moves them all. So a path costs the same whatever it is, and
//! no pattern is a trap. A path that many patterns are tried on is [taken apart](Letters) once.

#[cfg(test)]
mod tests;

use super::path::{BadPath, CleanPath};

/// Characters of a pattern besides its stars.
const MOST: usize = 255;

/// Bytes of a pattern as it is written.
const LONGEST: usize = 512;

const WORDS: usize = 4;
const WORD: usize = 64;

/// Places in a pattern: bit n says that n of its characters have been read.
type Places = [u64; WORDS];

/// Why a pattern is refused. The texts are safe to send back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadGlob {
    /// It is empty.
    #[error("a pattern must not be empty")]
    Empty,
    /// It is longer than any path it is meant for.
    #[error("a pattern has at most 255 characters")]
    TooLong,
    /// No path that passes could ever match it.
    #[error(transparent)]
    Path(#[from] BadPath),
}

/// A pattern. Large and small letters are the same unless [`Glob::heeding_case`] made it.
#[derive(Clone, Debug)]
pub struct Glob {
    text: String,
    normal: String,
    heed_case: bool,
    /// For each character that is read: the places it may be read at.
    readers: Vec<(char, Places)>,
    /// Places at which `?` stands.
    any_reader: Places,
    /// Places at which `*` stands: they read what isn't a slash and stay.
    stay_inside: Places,
    /// Places at which `**` stands: they read anything and stay.
    stay: Places,
    /// Places which, when they are come to, are left behind at the same time: `/**/` is also `/`.
    skip: Places,
    /// Where a match may end.
    ends: Places,
    /// The letters that it begins with, before anything that is open.
    prefix: Vec<char>,
    /// The letters that it ends with, behind all that is open; of none that may also end before them.
    suffix: Vec<char>,
    /// Characters that are read.
    length: usize,
    rank: Rank,
}

/// A path taken apart: its letters as numbers of an alphabet of its own, so that a pattern looks each letter up once.
#[derive(Debug)]
pub struct Letters {
    alphabet: Vec<char>,
    at: Vec<usize>,
}

impl Letters {
    /// Those of a path ([`CleanPath::matched`]).
    pub fn of(path: &str) -> Self {
        let mut alphabet: Vec<char> = path.chars().collect();
        alphabet.sort_unstable();
        alphabet.dedup();
        let at = path.chars().map(|letter| alphabet.binary_search(&letter).unwrap_or(usize::MAX)).collect();
        Self { alphabet, at }
    }

    fn text(&self) -> impl DoubleEndedIterator<Item = char> + '_ {
        self.at.iter().map(|at| self.alphabet.get(*at).copied().unwrap_or('\0'))
    }
}

/// What becomes of the places at one letter.
#[derive(Clone, Copy, Default)]
struct Move {
    read: Places,
    stay: Places,
}

/// How narrow a pattern is; of two that match, the greater is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank {
    exact: bool,
    letters: usize,
    /// Whether it leaves nothing open but parts of segments.
    shallow: bool,
}

enum Token {
    Letter(char),
    One,
    Star,
    Stars,
}

impl Glob {
    /// Reads a pattern for which `/A` and `/a` are the same: of what is forbidden or costs more, a server that doesn't
    /// heed case must not give away what is written otherwise.
    ///
    /// # Errors
    /// [`BadGlob`].
    pub fn new(text: &str) -> Result<Self, BadGlob> {
        Self::compile(text, false)
    }

    /// Reads a pattern for which `/A` and `/a` are two: of what is allowed.
    ///
    /// # Errors
    /// [`BadGlob`].
    pub fn heeding_case(text: &str) -> Result<Self, BadGlob> {
        Self::compile(text, true)
    }

    /// The pattern as it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The one form of all patterns that mean the same: with its slash, without escapes, with stars for names.
    pub fn normal(&self) -> &str {
        &self.normal
    }

    /// How narrow it is.
    pub fn rank(&self) -> Rank {
        self.rank
    }

    /// Whether the whole of a path is of the pattern.
    pub fn matches(&self, path: &Letters) -> bool {
        self.ends_so(path) && self.run(path, false)
    }

    /// Whether a path or one above it is of the pattern: what is forbidden is so with all that lies below it.
    pub fn covers(&self, path: &Letters) -> bool {
        self.run(path, true)
    }

    /// Whether a path may match by its beginning: no place is left if not.
    fn begins_so(&self, path: &Letters) -> bool {
        self.prefix.iter().zip(path.text()).all(|(one, other)| *one == self.folded(other))
    }

    fn ends_so(&self, path: &Letters) -> bool {
        let mut last = path.text().rev();
        self.suffix.iter().rev().all(|one| last.next().is_some_and(|other| *one == self.folded(other)))
    }

    fn run(&self, path: &Letters, above: bool) -> bool {
        if !self.begins_so(path) {
            return false;
        }
        let moves: Vec<_> = path.alphabet.iter().map(|letter| self.moves(*letter)).collect();
        let slash = path.alphabet.binary_search(&'/').ok();
        // Most patterns are short: they need one word of the four.
        if self.length < WORD {
            self.walk_short(path, &moves, above, slash)
        } else {
            self.walk(path, &moves, above, slash)
        }
    }

    fn walk(&self, path: &Letters, moves: &[Move], above: bool, slash: Option<usize>) -> bool {
        let mut places = one(0);
        for (index, at) in path.at.iter().enumerate() {
            if above && index > 0 && Some(*at) == slash && meet(places, self.ends) {
                return true;
            }
            let Some(Move { read, stay }) = moves.get(*at) else { return false };
            let came = shift(both(places, *read));
            let came = join(came, shift(both(came, self.skip)));
            places = join(came, both(places, *stay));
            if places == [0; WORDS] {
                return false;
            }
        }
        meet(places, self.ends)
    }

    fn walk_short(&self, path: &Letters, moves: &[Move], above: bool, slash: Option<usize>) -> bool {
        let ([ends, ..], [skip, ..]) = (self.ends, self.skip);
        let mut places = 1_u64;
        for (index, at) in path.at.iter().enumerate() {
            if above && index > 0 && Some(*at) == slash && places & ends != 0 {
                return true;
            }
            let Some(Move { read: [read, ..], stay: [stay, ..] }) = moves.get(*at) else { return false };
            let came = (places & read) << 1;
            places = came | ((came & skip) << 1) | (places & stay);
            if places == 0 {
                return false;
            }
        }
        places & ends != 0
    }

    fn moves(&self, letter: char) -> Move {
        let letter = self.folded(letter);
        let mut read = match self.readers.binary_search_by_key(&letter, |(known, _)| *known) {
            Ok(index) => self.readers.get(index).map_or([0; WORDS], |(_, readers)| *readers),
            Err(_) => [0; WORDS],
        };
        let mut stay = self.stay;
        if letter != '/' {
            read = join(read, self.any_reader);
            stay = join(stay, self.stay_inside);
        }
        Move { read, stay }
    }

    fn folded(&self, letter: char) -> char {
        if self.heed_case { letter } else { fold(letter) }
    }

    fn compile(text: &str, heed_case: bool) -> Result<Self, BadGlob> {
        let tokens = tokens(text)?;
        let mut glob = Self {
            text: text.to_owned(),
            normal: String::with_capacity(text.len()),
            heed_case,
            readers: Vec::new(),
            any_reader: [0; WORDS],
            stay_inside: [0; WORDS],
            stay: [0; WORDS],
            skip: [0; WORDS],
            ends: [0; WORDS],
            prefix: Vec::new(),
            suffix: Vec::new(),
            length: 0,
            rank: Rank { exact: true, letters: 0, shallow: true },
        };
        let mut at = 0;
        for (index, token) in tokens.iter().enumerate() {
            match token {
                Token::Letter(letter) => {
                    let letter = if heed_case { *letter } else { fold(*letter) };
                    glob.normal.push(letter);
                    glob.reader(letter, at);
                    glob.rank.letters += 1;
                    at += 1;
                }
                Token::One => {
                    glob.normal.push('?');
                    glob.any_reader = join(glob.any_reader, one(at));
                    glob.rank.exact = false;
                    at += 1;
                }
                Token::Star => {
                    glob.normal.push('*');
                    glob.stay_inside = join(glob.stay_inside, one(at));
                    glob.rank.exact = false;
                }
                Token::Stars => {
                    glob.normal.push_str("**");
                    glob.stay = join(glob.stay, one(at));
                    glob.rank.exact = false;
                    glob.rank.shallow = false;
                    let before = index.checked_sub(1).and_then(|index| tokens.get(index));
                    let behind = tokens.get(index + 1);
                    if matches!(before, Some(Token::Letter('/'))) {
                        match behind {
                            Some(Token::Letter('/')) => glob.skip = join(glob.skip, one(at)),
                            // `/a/**` is `/a` too.
                            None => glob.ends = join(glob.ends, one(at.saturating_sub(1))),
                            Some(_) => {}
                        }
                    }
                }
            }
        }
        glob.ends = join(glob.ends, one(at));
        glob.length = at;
        let letter = |token: &Token| match token {
            Token::Letter(letter) => Some(if heed_case { *letter } else { fold(*letter) }),
            _ => None,
        };
        glob.prefix = tokens.iter().map_while(letter).collect();
        glob.suffix = tokens.iter().rev().map_while(letter).collect();
        glob.suffix.reverse();
        Ok(glob)
    }

    fn reader(&mut self, letter: char, at: usize) {
        match self.readers.binary_search_by_key(&letter, |(known, _)| *known) {
            Ok(index) => {
                if let Some((_, readers)) = self.readers.get_mut(index) {
                    *readers = join(*readers, one(at));
                }
            }
            Err(index) => self.readers.insert(index, (letter, one(at))),
        }
    }
}

/// The pattern's characters and stars. `{name}` as a whole segment is `*`.
fn tokens(text: &str) -> Result<Vec<Token>, BadGlob> {
    if text.is_empty() {
        return Err(BadGlob::Empty);
    }
    if text.len() > LONGEST {
        return Err(BadGlob::TooLong);
    }
    let mut tokens = Vec::new();
    let mut last = "";
    for segment in segments(text)? {
        let wild = segment == "**";
        if wild && last == "**" {
            continue;
        }
        tokens.push(Token::Letter('/'));
        last = if wild { "**" } else { "" };
        if segment.len() > 2 && segment.starts_with('{') && segment.ends_with('}') {
            tokens.push(Token::Star);
            continue;
        }
        let mut letters = segment.chars().peekable();
        while let Some(letter) = letters.next() {
            tokens.push(match letter {
                '?' => Token::One,
                '*' if letters.next_if_eq(&'*').is_some() => {
                    while letters.next_if_eq(&'*').is_some() {}
                    Token::Stars
                }
                '*' => Token::Star,
                letter => Token::Letter(letter),
            });
        }
    }
    let letters = tokens.iter().filter(|token| matches!(token, Token::Letter(_) | Token::One)).count();
    if letters > MOST { Err(BadGlob::TooLong) } else { Ok(tokens) }
}

/// The pattern's segments without escapes, by the rules of paths. A slash before the first may be missing.
fn segments(text: &str) -> Result<Vec<String>, BadGlob> {
    let rooted = if text.starts_with('/') { text.to_owned() } else { format!("/{text}") };
    // `?` is part of a pattern, and of no path.
    let path = CleanPath::read(&rooted.replace('?', "%3F"))?;
    Ok(path.matched().split('/').skip(1).map(str::to_owned).collect())
}

/// Letters that differ in case only become one.
fn fold(letter: char) -> char {
    let mut small = letter.to_lowercase();
    match (small.next(), small.next()) {
        (Some(small), None) => small,
        _ => letter,
    }
}

fn one(place: usize) -> Places {
    let mut places = [0; WORDS];
    if let Some(word) = places.get_mut(place / WORD) {
        *word = 1 << (place % WORD);
    }
    places
}

fn both(left: Places, right: Places) -> Places {
    let [a, b, c, d] = left;
    let [e, f, g, h] = right;
    [a & e, b & f, c & g, d & h]
}

fn join(left: Places, right: Places) -> Places {
    let [a, b, c, d] = left;
    let [e, f, g, h] = right;
    [a | e, b | f, c | g, d | h]
}

fn meet(left: Places, right: Places) -> bool {
    both(left, right) != [0; WORDS]
}

/// Every place one further.
fn shift(places: Places) -> Places {
    let [a, b, c, d] = places;
    let over = u64::BITS - 1;
    [a << 1, (b << 1) | (a >> over), (c << 1) | (b >> over), (d << 1) | (c >> over)]
}
