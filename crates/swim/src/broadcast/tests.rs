//! What is held, what gives way, and that nothing is taken twice.

use quickcheck::{Arbitrary, Gen, quickcheck};

use super::*;

#[test]
fn a_higher_priority_goes_first_and_within_one_what_was_sent_least_and_waited_longest() {
    let mut subject = Subject::holding(8, 4096);
    for (key, priority) in
        [("a", Priority::Low), ("b", Priority::Normal), ("c", Priority::Normal), ("d", Priority::High)]
    {
        subject.offer(key, 10, priority).unwrap();
    }
    assert_eq!(subject.keys(), ["d", "b", "c", "a"]);
    subject.send("d");
    subject.send("b");
    assert_eq!(subject.keys(), ["d", "c", "b", "a"]);
}

#[test]
fn a_broadcast_is_sent_so_many_times_and_held_no_longer() {
    let mut subject = Subject::holding(8, 4096);
    subject.offer("a", 10, Priority::Normal).unwrap();
    subject.hear(b(), 1, "x", 10).unwrap();
    for _ in 0..3 {
        assert_eq!(subject.keys(), ["a", "x"]);
        subject.send("a");
        subject.send("x");
    }
    assert_eq!((subject.keys(), subject.it.bytes, subject.it.is_empty()), (vec![], 0, true));
    assert_eq!(subject.counters.broadcasts_dropped, 0);
    assert_eq!(subject.hear(b(), 1, "x", 10), Err(Hearing::Again), "it is remembered");
}

#[test]
fn a_later_offer_takes_the_place_of_an_earlier_one_and_is_told_from_the_first_sending_on() {
    let mut subject = Subject::holding(8, 4096);
    subject.offer("a", 10, Priority::Low).unwrap();
    subject.offer("b", 10, Priority::Low).unwrap();
    subject.send("a");
    subject.offer("a", 20, Priority::Low).unwrap();
    assert_eq!(subject.keys(), ["b", "a"]);
    assert_eq!((subject.it.bytes, subject.counters.broadcasts_dropped), (11 + 21, 0));
    let versions: Vec<_> = subject.it.queue().map(|(rank, item)| (item.stamp.1, rank.sends)).collect();
    assert_eq!(versions, [(2, 0), (3, 0)]);
}

#[test]
fn what_is_too_long_is_refused_and_the_longest_is_not() {
    let mut subject = Subject::holding(8, 4096);
    let mut offer = |key: usize, payload: usize| {
        let Subject { it, config, counters } = &mut subject;
        it.offer(&vec![0; key], vec![0; payload], Priority::High, config, counters)
    };
    assert_eq!(offer(65, 0), Err(BroadcastError::TooLong { part: "key", length: 65, limit: 64 }));
    assert_eq!(offer(0, 1025), Err(BroadcastError::TooLong { part: "payload", length: 1025, limit: 1024 }));
    assert_eq!((offer(64, 1024), offer(0, 0)), (Ok(()), Ok(())));
}

#[test]
fn an_offer_is_refused_when_nothing_gives_way_and_nothing_has_changed() {
    for mut subject in [Subject::holding(2, 4096), Subject::holding(9, 1100)] {
        subject.offer("a", 500, Priority::Normal).unwrap();
        subject.offer("b", 500, Priority::Normal).unwrap();
        assert!(matches!(subject.offer("c", 500, Priority::Normal), Err(BroadcastError::Full { .. })));
        assert!(matches!(subject.offer("c", 500, Priority::Low), Err(BroadcastError::Full { .. })));
        let (keys, counters) = (subject.keys(), subject.counters);
        assert_eq!((keys, counters.broadcasts_dropped), (named(&["a", "b"]), 0));
        assert_eq!(counters.broadcasts_offered, 2);
    }
    let mut subject = Subject::holding(9, 1100);
    subject.offer("a", 500, Priority::Normal).unwrap();
    subject.offer("b", 500, Priority::Normal).unwrap();
    assert!(subject.offer("b", 700, Priority::Normal).is_err());
    assert_eq!((subject.keys(), subject.it.bytes), (named(&["a", "b"]), 1002));
    subject.offer("b", 400, Priority::Normal).unwrap();
    assert_eq!(subject.it.bytes, 902, "the place of the earlier one counts as free");
}

#[test]
fn what_is_less_urgent_or_was_sent_most_gives_way() {
    let mut subject = Subject::holding(3, 4096);
    subject.offer("low", 10, Priority::Low).unwrap();
    subject.offer("sent", 10, Priority::Normal).unwrap();
    subject.offer("fresh", 10, Priority::Normal).unwrap();
    subject.send("sent");
    subject.offer("1", 10, Priority::Normal).unwrap();
    assert_eq!(subject.keys(), ["fresh", "1", "sent"], "the lower priority first, though never sent");
    subject.offer("2", 10, Priority::Normal).unwrap();
    assert_eq!(subject.keys(), ["fresh", "1", "2"], "then what was sent");
    assert!(subject.offer("3", 10, Priority::Normal).is_err());
    subject.offer("4", 10, Priority::High).unwrap();
    assert_eq!((subject.keys(), subject.counters.broadcasts_dropped), (named(&["4", "fresh", "1"]), 3));
}

#[test]
fn as_many_give_way_as_the_bytes_need_and_none_when_that_is_not_enough() {
    let mut subject = Subject::holding(9, 1100);
    subject.offer("n", 600, Priority::Normal).unwrap();
    for key in ["a", "b", "c"] {
        subject.offer(key, 100, Priority::Low).unwrap();
    }
    assert!(subject.offer("x", 600, Priority::Normal).is_err(), "303 bytes of a lower priority are too few");
    assert_eq!(subject.keys(), ["n", "a", "b", "c"]);
    subject.offer("y", 300, Priority::Normal).unwrap();
    assert_eq!(subject.keys(), ["n", "y", "a"]);
}

#[test]
fn those_of_others_never_push_out_an_own_one_and_are_reported_all_the_same() {
    let mut subject = Subject::holding(2, 4096);
    subject.offer("own", 10, Priority::Low).unwrap();
    subject.hear(b(), 1, "x", 10).unwrap();
    subject.hear(b(), 2, "y", 10).unwrap();
    assert_eq!((subject.keys(), subject.counters.broadcasts_dropped), (named(&["x", "own"]), 1));
    subject.send("x");
    subject.hear(b(), 3, "z", 10).unwrap();
    assert_eq!((subject.keys(), subject.counters.broadcasts_dropped), (named(&["z", "own"]), 2));
    subject.offer("other", 10, Priority::High).unwrap();
    subject.offer("third", 10, Priority::High).unwrap();
    assert_eq!(subject.keys(), ["other", "third"], "own ones push out either");
}

#[test]
fn each_is_taken_once_and_the_later_one_of_a_key_only() {
    let mut subject = Subject::holding(8, 4096);
    assert!(subject.hear(b(), 5, "k", 10).is_ok());
    assert_eq!(subject.hear(b(), 5, "k", 10), Err(Hearing::Again));
    assert_eq!(subject.hear(b(), 4, "k", 10), Err(Hearing::Again));
    assert!(subject.hear(b(), 4, "other", 10).is_ok(), "another key is another matter");
    assert!(subject.hear(c(), 4, "k", 10).is_ok(), "and so is another member");
    assert!(subject.hear(b(), 7, "k", 10).is_ok());
    let told: Vec<_> = subject.it.queue().map(|(_, item)| (item.origin, item.stamp.1)).collect();
    assert_eq!(told, [(b(), 4), (c(), 4), (b(), 7)], "the earlier one is told no more");
    assert!(subject.hear_in(2, b(), 1, "k", 10).is_ok(), "a later process of it begins anew");
    assert_eq!(subject.hear(b(), 900, "k", 10), Err(Hearing::Again), "and an earlier one is over");
}

#[test]
fn of_what_is_forgotten_nothing_is_taken_twice() {
    let mut subject = Subject::holding(4, 4096);
    subject.config.broadcasts_remembered_max = 4;
    for version in 1..=6 {
        subject.hear(b(), version, &format!("k{version}"), 10).unwrap();
    }
    assert_eq!(subject.it.heard.len(), 4);
    assert_eq!(subject.keys(), ["k3", "k4", "k5", "k6"], "what is forgotten is not told on");
    assert_eq!(subject.counters.broadcasts_dropped, 2);
    assert_eq!(subject.hear(b(), 1, "k1", 10), Err(Hearing::Doubtful));
    assert_eq!(
        subject.hear(b(), 2, "never heard", 10),
        Err(Hearing::Doubtful),
        "it cannot be told from one that was"
    );
    assert!(subject.hear(b(), 7, "k1", 10).is_ok());
    assert!(subject.hear(c(), 1, "k1", 10).is_ok());
}

#[test]
fn of_a_member_that_is_forgotten_nothing_remains() {
    let mut subject = Subject::holding(8, 4096);
    subject.hear(b(), 1, "x", 10).unwrap();
    subject.hear(b(), 2, "y", 10).unwrap();
    subject.hear(c(), 1, "z", 10).unwrap();
    subject.it.forget(b());
    assert_eq!((subject.keys(), subject.it.bytes, subject.it.heard.len()), (named(&["z"]), 11, 1));
    assert!(subject.hear(b(), 1, "x", 10).is_ok());
}

#[test]
fn an_own_version_is_above_what_others_say_in_the_own_name() {
    let mut subject = Subject::holding(8, 4096);
    subject.it.outdo(40);
    subject.it.outdo(7);
    subject.offer("a", 1, Priority::Low).unwrap();
    assert_eq!(subject.it.queue().next().unwrap().1.stamp.1, 41);
}

quickcheck! {
    fn bounds_hold_and_nothing_is_taken_twice(steps: Vec<Step>) -> bool {
        let mut subject = Subject::holding(5, 1100);
        subject.config.broadcasts_remembered_max = 7;
        let mut taken = BTreeMap::new();
        for step in steps {
            match step {
                Step::Offer(key, length, priority) => {
                    let _ = subject.offer(&key.to_string(), length, priority);
                }
                Step::Hear(origin, version, key, length) => {
                    let slot = Slot::new(1 + origin);
                    if subject.hear(slot, version, &key.to_string(), length).is_ok() {
                        let before = taken.insert((origin, key), version);
                        assert!(before.is_none_or(|before| before < version));
                    }
                }
                Step::Send(place) => {
                    let rank = subject.it.queue().nth(place).map(|(rank, _)| rank);
                    rank.into_iter().for_each(|rank| subject.it.on_sent(rank, 3));
                }
            }
            subject.check();
        }
        subject.it.clear();
        subject.check();
        subject.it.bytes == 0
    }
}

#[derive(Clone, Debug)]
enum Step {
    Offer(u8, usize, Priority),
    Hear(usize, u64, u8, usize),
    Send(usize),
}

impl Arbitrary for Step {
    fn arbitrary(g: &mut Gen) -> Self {
        let (key, length) = (u8::arbitrary(g) % 6, usize::arbitrary(g) % 400);
        match u8::arbitrary(g) % 4 {
            0 => {
                let priority = *g.choose(&[Priority::Low, Priority::Normal, Priority::High]).unwrap();
                Self::Offer(key, length, priority)
            }
            1 => Self::Send(usize::arbitrary(g) % 5),
            _ => Self::Hear(usize::arbitrary(g) % 3, u64::arbitrary(g) % 30, key, length),
        }
    }
}

struct Subject {
    it: Broadcasts,
    config: Config,
    counters: Counters,
}

impl Subject {
    fn holding(broadcasts_max: usize, broadcast_bytes_max: usize) -> Self {
        let config = Config { broadcasts_max, broadcast_bytes_max, ..Config::default() };
        Self { it: Broadcasts::new(), config, counters: Counters::default() }
    }

    fn offer(&mut self, key: &str, length: usize, priority: Priority) -> Result<(), BroadcastError> {
        self.it.offer(key.as_bytes(), vec![0; length], priority, &self.config, &mut self.counters)
    }

    /// Hears one of the origin's first process, told by itself.
    fn hear(&mut self, origin: Slot, version: u64, key: &str, length: usize) -> Result<(), Hearing> {
        self.hear_in(1, origin, version, key, length)
    }

    fn hear_in(
        &mut self,
        epoch: u64,
        origin: Slot,
        version: u64,
        key: &str,
        length: usize,
    ) -> Result<(), Hearing> {
        let payload = &vec![0; length];
        let heard =
            Heard { stamp: (epoch, version), priority: Priority::Normal, key: key.as_bytes(), payload };
        match self.it.hear((origin, origin), heard, &self.config, &mut self.counters) {
            Hearing::First { .. } => Ok(()),
            other => Err(other),
        }
    }

    /// One sending of three.
    fn send(&mut self, key: &str) {
        let rank = self.it.queue().find(|(_, item)| *item.key == *key.as_bytes()).map(|(rank, _)| rank);
        self.it.on_sent(rank.expect("it is held"), 3);
    }

    fn keys(&self) -> Vec<String> {
        self.it.queue().map(|(_, item)| String::from_utf8_lossy(&item.key).into_owned()).collect()
    }

    fn check(&self) {
        let Self { it, config, .. } = self;
        let bytes: usize = it.queue().map(|(_, item)| item.bytes()).sum();
        assert_eq!(bytes, it.bytes);
        assert!(bytes <= config.broadcast_bytes_max && it.len() <= config.broadcasts_max);
        assert!(it.heard.len() <= config.broadcasts_remembered_max);
        let known = it.origins.iter().flat_map(|(slot, origin)| {
            origin.by_key.iter().map(move |(key, known)| (*slot, key.clone(), known))
        });
        let (own, others): (Vec<_>, Vec<_>) = known.partition(|(slot, ..)| *slot == Slot::LOCAL);
        assert_eq!(others.len(), it.heard.len());
        assert!(others.iter().all(|(slot, key, known)| it.heard[&known.number] == (*slot, key.clone())));
        assert!(own.iter().all(|(.., known)| known.rank.is_some()), "own ones are known while they are held");
        let held: Vec<_> = own.iter().chain(&others).filter_map(|(.., known)| known.rank).collect();
        assert_eq!(held.len(), it.len());
        assert!(held.iter().all(|rank| it.queue.contains_key(rank)));
    }
}

fn b() -> Slot {
    Slot::new(1)
}

fn c() -> Slot {
    Slot::new(2)
}

fn named(keys: &[&str]) -> Vec<String> {
    keys.iter().map(|key| (*key).to_owned()).collect()
}
