//! Magic words: a few common words which, spoken or written by hand, stand for a tip.
//!
//! Whoever knows them can claim the tip, so they are secret. A tip is found by their keyed hash, and its tipper
//! reads them from a sealed copy; neither can be made or opened from the database without the server's secret.

use std::fmt;

use bip39::Language;
use bitcoin::hashes::{HmacEngine, sha256};
use subtle::ConstantTimeEq;

use crate::core::ids::{NoRandomness, random_bytes};
use crate::core::seal::mac;
use crate::core::text::is_format;

/// Fewest words.
pub const MIN_WORDS: u8 = 3;

/// Most words.
pub const MAX_WORDS: u8 = 6;

/// Room for the most words.
const ROOM: usize = 6;

/// No word of the English list is longer, in bytes.
const LONGEST_WORD: usize = 8;

/// Stands where there is no word; the list ends at 2047.
const NO_WORD: u16 = u16::MAX;

/// Characters that are looked at: six words, and more between them than anybody types.
const LONGEST_TEXT: usize = 1_000;

const NONCE_LEN: usize = 16;
const WORDS_LEN: usize = ROOM * 2;
const TAG_LEN: usize = 16;

/// How many words: three to six.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WordCount(u8);

impl WordCount {
    /// `None` for fewer than three or more than six.
    pub const fn new(words: u8) -> Option<Self> {
        if words >= MIN_WORDS && words <= MAX_WORDS { Some(Self(words)) } else { None }
    }

    /// The number.
    pub const fn get(self) -> u8 {
        self.0
    }
}

/// Three to six words of BIP39's English list; their order matters.
#[derive(Clone, PartialEq, Eq)]
pub struct Passphrase {
    /// Places in the list.
    words: [u16; ROOM],
    count: WordCount,
}

impl Passphrase {
    /// New words from the operating system's randomness, none of them twice.
    ///
    /// # Errors
    /// [`NoRandomness`].
    pub fn random(count: WordCount) -> Result<Self, NoRandomness> {
        let mut words = [NO_WORD; ROOM];
        let mut missing = count.get();
        while missing > 0 {
            // Two to the eleventh words: no place in the list is likelier than another.
            let word = u16::from_be_bytes(random_bytes()?) % 2_048;
            if words.contains(&word) {
                continue;
            }
            if let Some(place) = words.iter_mut().find(|place| **place == NO_WORD) {
                *place = word;
            }
            missing -= 1;
        }
        Ok(Self { words, count })
    }

    /// Reads what somebody typed: case doesn't matter, nor what stands between the words and around them, as long as it
    /// is no letter. `None` when it can't be the words of any tip.
    pub fn parse(text: &str) -> Option<Self> {
        let mut words = [NO_WORD; ROOM];
        let mut count = 0_u8;
        // What nobody sees separates nothing.
        let seen: String = text.chars().take(LONGEST_TEXT).filter(|c| !is_format(*c)).collect();
        let given = seen.split(|c: char| !c.is_alphabetic()).filter(|word| !word.is_empty());
        for word in given {
            if word.len() > LONGEST_WORD {
                return None;
            }
            let found = Language::English.find_word(&word.to_ascii_lowercase())?;
            // A seventh finds no place.
            *words.get_mut(usize::from(count))? = found;
            count += 1;
        }
        WordCount::new(count).map(|count| Self { words, count })
    }

    /// How many words it has.
    pub const fn count(&self) -> WordCount {
        self.count
    }

    /// The words with one space between them, for whoever may see them.
    pub fn expose(&self) -> String {
        let words =
            self.words.iter().filter_map(|word| Language::English.word_list().get(usize::from(*word)));
        words.copied().collect::<Vec<_>>().join(" ")
    }

    fn to_bytes(&self) -> [u8; WORDS_LEN] {
        let mut bytes = [0; WORDS_LEN];
        for (pair, word) in bytes.chunks_exact_mut(2).zip(self.words) {
            pair.copy_from_slice(&word.to_be_bytes());
        }
        bytes
    }

    fn from_bytes(bytes: [u8; WORDS_LEN]) -> Option<Self> {
        let mut words = [NO_WORD; ROOM];
        for (word, pair) in words.iter_mut().zip(bytes.chunks_exact(2)) {
            *word = u16::from_be_bytes(pair.try_into().ok()?);
        }
        let count = words.iter().take_while(|word| **word != NO_WORD).count();
        let (given, padding) = words.split_at_checked(count)?;
        let fine = given.iter().all(|word| *word < 2_048) && padding.iter().all(|word| *word == NO_WORD);
        let count = u8::try_from(count).ok().and_then(WordCount::new)?;
        fine.then_some(Self { words, count })
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(..)")
    }
}

/// Hashes passphrases for the look-up and seals them for their tipper.
#[derive(Clone)]
pub struct Sealer {
    lookup: HmacEngine<sha256::Hash>,
    stream: HmacEngine<sha256::Hash>,
    tag: HmacEngine<sha256::Hash>,
}

impl Sealer {
    /// From the family's secret, of which each use gets a key of its own.
    pub fn new(secret: [u8; 32]) -> Self {
        let family = HmacEngine::<sha256::Hash>::new(&secret);
        let key = |label: &[u8]| HmacEngine::new(&mac(&family, &[label]));
        Self {
            lookup: key(b"tip passphrase look-up"),
            stream: key(b"tip passphrase stream"),
            tag: key(b"tip passphrase tag"),
        }
    }

    /// By what a tip is found: the same words in the same order have the same hash.
    pub fn lookup_hash(&self, passphrase: &Passphrase) -> [u8; 32] {
        mac(&self.lookup, &[&passphrase.to_bytes()])
    }

    /// A copy that only this secret opens, another one at each call, 44 bytes long for any number of words.
    ///
    /// # Errors
    /// [`NoRandomness`].
    pub fn seal(&self, passphrase: &Passphrase) -> Result<Vec<u8>, NoRandomness> {
        let nonce: [u8; NONCE_LEN] = random_bytes()?;
        let hidden = self.mask(&nonce, passphrase.to_bytes());
        let tag = self.tag_of(&nonce, &hidden);
        Ok([nonce.as_slice(), &hidden, &tag].concat())
    }

    /// The words in a sealed copy. `None` when it was not sealed with this secret or is not whole.
    pub fn open(&self, sealed: &[u8]) -> Option<Passphrase> {
        let (nonce, rest) = sealed.split_first_chunk::<NONCE_LEN>()?;
        let (hidden, tag) = rest.split_first_chunk::<WORDS_LEN>()?;
        if !bool::from(self.tag_of(nonce, hidden).ct_eq(tag)) {
            return None;
        }
        Passphrase::from_bytes(self.mask(nonce, *hidden))
    }

    /// Hides the words, or shows them again.
    fn mask(&self, nonce: &[u8; NONCE_LEN], mut words: [u8; WORDS_LEN]) -> [u8; WORDS_LEN] {
        for (byte, mask) in words.iter_mut().zip(mac(&self.stream, &[nonce])) {
            *byte ^= mask;
        }
        words
    }

    fn tag_of(&self, nonce: &[u8; NONCE_LEN], hidden: &[u8; WORDS_LEN]) -> [u8; TAG_LEN] {
        let mut tag = [0; TAG_LEN];
        for (byte, whole) in tag.iter_mut().zip(mac(&self.tag, &[nonce, hidden])) {
            *byte = whole;
        }
        tag
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer(..)")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn sealer() -> Sealer {
        Sealer::new([7; 32])
    }

    fn counts() -> impl Iterator<Item = WordCount> {
        (3..=6).map(|words| WordCount::new(words).unwrap())
    }

    #[test]
    fn new_words_are_as_many_as_asked_for_and_all_different() {
        let mut seen = HashSet::new();
        for count in counts() {
            for _ in 0..200 {
                let text = Passphrase::random(count).unwrap().expose();
                let words: Vec<&str> = text.split(' ').collect();
                assert_eq!(words.len(), usize::from(count.get()));
                assert_eq!(words.iter().collect::<HashSet<_>>().len(), words.len(), "{text}");
                assert!(words.iter().all(|word| Language::English.word_list().contains(word)), "{text}");
                seen.extend(words.into_iter().map(str::to_owned));
            }
        }
        // 3,600 draws of 2,048 words leave about one in six out.
        assert!(seen.len() > 1_500, "{}", seen.len());
        assert!(WordCount::new(2).is_none() && WordCount::new(7).is_none());
    }

    #[test]
    fn the_longest_word_fits() {
        assert_eq!(Language::English.word_list().iter().map(|word| word.len()).max(), Some(LONGEST_WORD));
    }

    #[test]
    fn words_are_read_however_they_were_typed() {
        let plain = Passphrase::parse("execute aerobic clock").unwrap();
        assert_eq!(plain.expose(), "execute aerobic clock");
        for text in [
            "execute+aerobic+clock",
            "  Execute   AEROBIC\tclock\n",
            "+execute++aerobic + clock+",
            "execute\u{a0}aerobic\u{3000}clock",
            "execute-aerobic-clock",
            "Execute, aerobic, clock.",
            "EXECUTE.AEROBIC.CLOCK",
            "1. execute 2. aerobic 3. clock",
            "\u{201c}execute \u{2013} aero\u{200b}bic/clock\u{201d}",
        ] {
            assert_eq!(Passphrase::parse(text), Some(plain.clone()), "{text}");
        }
        // Order matters, and a word may come twice: we only never make such.
        assert_ne!(Passphrase::parse("aerobic execute clock"), Some(plain));
        assert!(Passphrase::parse("zoo zoo zoo zoo zoo wrong").is_some());
    }

    #[test]
    fn what_can_be_no_passphrase_is_none() {
        let seven = ["zoo"; 7].join(" ");
        let long = "a".repeat(1_000_000);
        for text in [
            "",
            " + ",
            "execute",
            "execute aerobic",
            &seven,
            "execute aerobic klock",
            "execute aerobic cloc",
            "execute aerobic cloc\u{212a}",
            &long,
        ] {
            assert_eq!(Passphrase::parse(text), None, "{}", text.get(..40).unwrap_or(text));
        }
    }

    #[test]
    fn sealed_words_open_again_and_tell_nothing() {
        for count in counts() {
            let words = Passphrase::random(count).unwrap();
            let (one, other) = (sealer().seal(&words).unwrap(), sealer().seal(&words).unwrap());
            assert_eq!(one.len(), 44);
            assert_ne!(one, other);
            assert_eq!(sealer().open(&one).as_ref(), Some(&words));
            assert_eq!(sealer().open(&other).as_ref(), Some(&words));
            assert_eq!(Sealer::new([8; 32]).open(&one), None);
        }
    }

    #[test]
    fn a_copy_that_was_touched_stays_shut() {
        let sealed = sealer().seal(&Passphrase::parse("execute aerobic clock").unwrap()).unwrap();
        for byte in 0..sealed.len() {
            for bit in 0..8 {
                let mut touched = sealed.clone();
                touched[byte] ^= 1 << bit;
                assert_eq!(sealer().open(&touched), None, "byte {byte}");
            }
        }
        for length in 0..sealed.len() {
            assert_eq!(sealer().open(&sealed[..length]), None, "{length} bytes");
        }
        assert_eq!(sealer().open(&[sealed.as_slice(), &[0]].concat()), None);
    }

    #[test]
    fn the_hash_knows_words_order_and_secret() {
        let hash = |text: &str| sealer().lookup_hash(&Passphrase::parse(text).unwrap());
        assert_eq!(hash("execute aerobic clock"), hash("EXECUTE+aerobic  clock"));
        assert_ne!(hash("execute aerobic clock"), hash("aerobic execute clock"));
        assert_ne!(hash("execute aerobic clock"), hash("execute aerobic clock clock"));
        let words = Passphrase::parse("execute aerobic clock").unwrap();
        assert_ne!(sealer().lookup_hash(&words), Sealer::new([8; 32]).lookup_hash(&words));
    }

    #[test]
    fn nothing_prints() {
        let words = Passphrase::parse("execute aerobic clock").unwrap();
        assert_eq!(format!("{words:?} {:?}", sealer()), "Passphrase(..) Sealer(..)");
    }
}
