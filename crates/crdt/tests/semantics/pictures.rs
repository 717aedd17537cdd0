//! Runs the pictures of the page: two replicas that work on their own and exchange at `⇄`.

use std::fmt::Debug;
use std::str::FromStr;

use trellis_crdt::{
    Crdt, Dot, DwFlag, EwFlag, GCounter, GSet, Hlc, Kind, LwwRegister, MvRegister, OrSet, PnCounter,
    ReplicaId, VersionVector,
};

use super::page::page;
use super::{A, B, dot};

#[test]
fn every_picture_shows_what_happens() {
    let Some(page) = page() else { return };
    let mut pictures = 0;
    for section in page.split("\n## ").skip(1) {
        let (title, text) = section.split_once('\n').unwrap_or((section, ""));
        for picture in text.split("```text\n").skip(1) {
            let picture = picture.split("```").next().unwrap_or_default();
            let kind = Kind::from_str(title).unwrap_or_else(|error| panic!("{title}: {error}"));
            match kind {
                Kind::GCounter => run::<GCounter>(picture),
                Kind::PnCounter => run::<PnCounter>(picture),
                Kind::LwwRegister => run::<LwwRegister<_, Bytes>>(picture),
                Kind::MvRegister => run::<MvRegister<_, Bytes>>(picture),
                Kind::GSet => run::<GSet<Bytes>>(picture),
                Kind::OrSet => run::<OrSet<Bytes>>(picture),
                Kind::EwFlag => run::<EwFlag>(picture),
                Kind::DwFlag => run::<DwFlag>(picture),
            }
            pictures += 1;
        }
    }
    assert!(pictures >= 2 * Kind::ALL.len(), "{pictures} pictures were found");
}

#[test]
fn a_picture_that_is_wrong_is_told() {
    let wrong = "A  incr 5 ── ⇄ ── 6\nB  incr 2 ── ⇄ ── 7\n";
    assert!(std::panic::catch_unwind(|| run::<GCounter>(wrong)).is_err());
}

/// A value that a picture can be about.
trait Pictured: Crdt<ReplicaId> + Default + Debug {
    /// Performs what the words say and returns the delta; nothing when they are no operation.
    fn operate(&mut self, dot: Dot, words: &[&str]) -> Option<Self>;

    /// Returns what a reader sees.
    fn shows(&self) -> String;

    fn collect(&mut self) {
        panic!("a set is collected by element");
    }
}

fn run<C: Pictured>(picture: &str) {
    for exchange in [Exchange::Deltas, Exchange::DeltasReversedAndAgain, Exchange::States] {
        run_with::<C>(picture, exchange);
    }
}

#[derive(Clone, Copy, Debug)]
enum Exchange {
    Deltas,
    DeltasReversedAndAgain,
    States,
}

fn run_with<C: Pictured>(picture: &str, exchange: Exchange) {
    let rows = Vec::from_iter(picture.lines().map(|row| Vec::from_iter(row[1..].split('⇄'))));
    assert!(picture.starts_with('A') && rows.len() == 2 && rows[0].len() == rows[1].len(), "{picture}");
    let mut replicas = [C::default(), C::default()];
    let mut seqs = [0, 0];
    let mut clock = VersionVector::new();
    let mut made = Vec::new();
    let mut acknowledged = 0;
    for (phase, both) in rows[0].iter().zip(&rows[1]).enumerate() {
        if phase > 0 {
            // What the clock covers and a replica does not hold was removed there.
            let states = replicas.clone();
            for (replica, other) in replicas.iter_mut().zip(states.iter().rev()) {
                match exchange {
                    Exchange::Deltas => {
                        made[acknowledged..]
                            .iter()
                            .for_each(|(_, delta)| replica.merge_unless(delta, &clock));
                    }
                    Exchange::DeltasReversedAndAgain => {
                        made.iter().rev().for_each(|(_, delta)| replica.merge_unless(delta, &clock));
                    }
                    Exchange::States => replica.merge_unless(other, &clock),
                }
            }
            clock.merge(&made.iter().map(|(dot, _)| *dot).collect());
            acknowledged = made.len();
        }
        for (row, (name, segments)) in [(A, both.0), (B, both.1)].into_iter().enumerate() {
            for segment in segments.split('─').map(str::trim).filter(|segment| !segment.is_empty()) {
                let words = Vec::from_iter(segment.split(' '));
                let next = dot(name, seqs[row] + 1);
                if segment == "collect" {
                    replicas[row].collect();
                } else if let Some(delta) = replicas[row].operate(next, &words) {
                    seqs[row] += 1;
                    made.push((next, delta));
                } else {
                    let held = &replicas[row];
                    assert_eq!(held.shows(), segment, "{name} by {exchange:?} in\n{picture}\nholds {held:?}");
                }
            }
        }
    }
}

impl Pictured for GCounter {
    fn operate(&mut self, dot: Dot, words: &[&str]) -> Option<Self> {
        match *words {
            ["incr", amount] => Some(self.increment(dot, number(amount)).expect("the amount is taken")),
            ["del"] => Some(self.reset(dot)),
            _ => None,
        }
    }

    fn shows(&self) -> String {
        if self.is_empty() { "nothing".to_owned() } else { self.value().to_string() }
    }

    fn collect(&mut self) {
        self.collect();
    }
}

impl Pictured for PnCounter {
    fn operate(&mut self, dot: Dot, words: &[&str]) -> Option<Self> {
        match *words {
            ["incr", amount] => Some(self.increment(dot, number(amount)).expect("the amount is taken")),
            ["decr", amount] => Some(self.increment(dot, -number(amount)).expect("the amount is taken")),
            ["del"] => Some(self.reset(dot)),
            _ => None,
        }
    }

    fn shows(&self) -> String {
        if self.is_empty() { "nothing".to_owned() } else { self.value().to_string() }
    }

    fn collect(&mut self) {
        self.collect();
    }
}

impl Pictured for LwwRegister<ReplicaId, Bytes> {
    fn operate(&mut self, dot: Dot, words: &[&str]) -> Option<Self> {
        match *words {
            ["set", value, "at", stamp] => {
                Some(self.set(dot, Hlc::from_u64(number(stamp) as u64), text(value)))
            }
            ["del", "at", stamp] => Some(self.delete(dot, Hlc::from_u64(number(stamp) as u64))),
            _ => None,
        }
    }

    fn shows(&self) -> String {
        self.value().map_or_else(|| "nothing".to_owned(), |value| listed([value]))
    }

    fn collect(&mut self) {
        self.collect();
    }
}

impl Pictured for MvRegister<ReplicaId, Bytes> {
    fn operate(&mut self, dot: Dot, words: &[&str]) -> Option<Self> {
        match *words {
            ["set", value] => Some(self.set(dot, text(value))),
            ["del"] => Some(self.clear(dot)),
            _ => None,
        }
    }

    fn shows(&self) -> String {
        if self.is_empty() { "nothing".to_owned() } else { listed(self.values()) }
    }

    fn collect(&mut self) {
        self.collect();
    }
}

impl Pictured for GSet<Bytes> {
    fn operate(&mut self, dot: Dot, words: &[&str]) -> Option<Self> {
        match *words {
            ["add", element] => Some(self.insert(dot, text(element))),
            ["del"] => Some(self.clear(dot)),
            _ => None,
        }
    }

    fn shows(&self) -> String {
        format!("{{{}}}", listed(self.iter()))
    }
}

impl Pictured for OrSet<Bytes> {
    fn operate(&mut self, dot: Dot, words: &[&str]) -> Option<Self> {
        match *words {
            ["add", element] => Some(self.insert(dot, text(element))),
            ["remove", element] => Some(self.remove(dot, &text(element)).expect("it is there")),
            ["del"] => Some(self.clear(dot)),
            _ => None,
        }
    }

    fn shows(&self) -> String {
        format!("{{{}}}", listed(self.iter()))
    }
}

impl Pictured for EwFlag {
    fn operate(&mut self, dot: Dot, words: &[&str]) -> Option<Self> {
        match *words {
            ["enable"] => Some(self.enable(dot)),
            ["disable"] => Some(self.disable(dot)),
            _ => None,
        }
    }

    fn shows(&self) -> String {
        if self.is_enabled() { "on".to_owned() } else { "off".to_owned() }
    }

    fn collect(&mut self) {
        self.collect();
    }
}

impl Pictured for DwFlag {
    fn operate(&mut self, dot: Dot, words: &[&str]) -> Option<Self> {
        match *words {
            ["enable"] => Some(self.enable(dot)),
            ["disable"] => Some(self.disable(dot)),
            ["del"] => Some(self.clear(dot)),
            _ => None,
        }
    }

    fn shows(&self) -> String {
        if self.is_enabled() { "on".to_owned() } else { "off".to_owned() }
    }

    fn collect(&mut self) {
        self.collect();
    }
}

/// The bytes of a text.
type Bytes = Box<[u8]>;

fn text(text: &str) -> Bytes {
    text.as_bytes().into()
}

fn listed<'a>(values: impl IntoIterator<Item = &'a Bytes>) -> String {
    let texts = values.into_iter().map(|value| String::from_utf8_lossy(value).into_owned());
    Vec::from_iter(texts).join(", ")
}

fn number(text: &str) -> i64 {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}
