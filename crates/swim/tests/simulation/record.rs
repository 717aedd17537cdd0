//! What every member reported, and the check that no report contradicts the one before.

use std::collections::BTreeSet;
use std::time::Duration;

use trellis_swim::{Event, Member};

use crate::name::Name;

/// Events in the order they came, checked as they come.
#[derive(Default)]
pub(crate) struct Record {
    pub(crate) happened: Vec<Happened>,
    /// By member: when any other last got a message of it, in microseconds.
    heard: Vec<u64>,
    /// By observer and member.
    views: Vec<Vec<View>>,
    dead: BTreeSet<(usize, u32, u64, u64)>,
    /// Observer, origin, key and payload of every broadcast that was heard.
    pub(crate) broadcasts: Vec<(usize, u32, Vec<u8>, Vec<u8>)>,
}

/// One event at one member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Happened {
    pub(crate) at: Duration,
    pub(crate) observer: usize,
    pub(crate) subject: u32,
    pub(crate) what: What,
    pub(crate) stamp: (u64, u64),
}

impl Happened {
    /// What tells it from others at the same moment, for a trace: a thousand members that get to know each other
    /// have a million events, too many to spell out.
    pub(crate) fn facts(&self) -> [u64; 5] {
        [self.observer as u64, self.subject.into(), self.what as u64, self.stamp.0, self.stamp.1]
    }
}

/// The kind of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum What {
    Up,
    Suspected,
    Unreachable,
    Refuted,
    Dead,
    Left,
    Updated,
    Conflict,
    SelfAccused,
    SelfLagging,
    Isolated,
    Healed,
    LeaveDrained,
    Broadcast,
}

impl Record {
    /// A new process knows nothing of what an earlier one reported.
    pub(crate) fn on_start(&mut self, observer: usize) {
        if let Some(views) = self.views.get_mut(observer) {
            views.clear();
        }
        self.dead.retain(|(other, ..)| *other != observer);
    }

    pub(crate) fn on_heard(&mut self, speaker: usize, at: u64) {
        if self.heard.len() <= speaker {
            self.heard.resize(speaker + 1, 0);
        }
        self.heard[speaker] = at;
    }

    /// The newest moment at which anybody got a message of the speaker.
    pub(crate) fn last_heard(&self, speaker: usize) -> Duration {
        Duration::from_micros(self.heard.get(speaker).copied().unwrap_or(0))
    }

    /// When the observer first reported this of the subject from `since` on.
    pub(crate) fn first(
        &self,
        observer: usize,
        subject: u32,
        what: What,
        since: Duration,
    ) -> Option<Duration> {
        let mut later = self.happened.iter().filter(|it| it.at >= since && it.observer == observer);
        later.find(|it| it.subject == subject && it.what == what).map(|it| it.at)
    }

    pub(crate) fn of(&self, what: What, since: Duration) -> impl Iterator<Item = &Happened> {
        self.happened.iter().filter(move |it| it.what == what && it.at > since)
    }

    pub(crate) fn deaths_since(&self, since: Duration) -> usize {
        self.of(What::Dead, since).count()
    }

    pub(crate) fn on_event(
        &mut self,
        observer: usize,
        own: Name,
        at: Duration,
        event: &Event<Name>,
    ) -> Happened {
        let own = (own.0, (0, 0));
        let of = |member: &Member<Name>| (member.id.0, (member.epoch, member.incarnation));
        let (what, (subject, stamp)) = match event {
            Event::Up(member) => (What::Up, of(member)),
            Event::Suspected { member, .. } => (What::Suspected, of(member)),
            Event::Unreachable(member) => (What::Unreachable, of(member)),
            Event::Refuted(member) => (What::Refuted, of(member)),
            Event::Dead { member, .. } => (What::Dead, of(member)),
            Event::Left(member) => (What::Left, of(member)),
            Event::Updated(member) => (What::Updated, of(member)),
            Event::Conflict(member) => (What::Conflict, of(member)),
            Event::SelfAccused(member) => (What::SelfAccused, of(member)),
            Event::SelfLagging(_) => (What::SelfLagging, own),
            Event::Isolated => (What::Isolated, own),
            Event::Healed => (What::Healed, own),
            Event::LeaveDrained => (What::LeaveDrained, own),
            Event::Broadcast { origin, key, payload } => {
                self.broadcasts.push((observer, origin.0, key.to_vec(), payload.to_vec()));
                let stamp = (key.len() as u64, payload.len() as u64);
                return Happened { at, observer, subject: origin.0, what: What::Broadcast, stamp };
            }
        };
        let happened = Happened { at, observer, subject, what, stamp };
        self.happened.push(happened);
        self.check_order(observer, subject, what, at);
        if what == What::Dead {
            let is_first = self.dead.insert((observer, subject, stamp.0, stamp.1));
            assert!(is_first, "{observer} at {at:?}: {subject} dies twice at {stamp:?}");
        }
        happened
    }

    fn check_order(&mut self, observer: usize, subject: u32, what: What, at: Duration) {
        let (expected, next): (&[View], _) = match what {
            What::Up => (&[View::Down], Some(View::Up)),
            What::Suspected => (&[View::Up], Some(View::Suspected)),
            What::Unreachable => (&[View::Suspected], Some(View::Unreachable)),
            What::Refuted => (&[View::Suspected, View::Unreachable], Some(View::Up)),
            What::Dead => (&[View::Up, View::Suspected, View::Unreachable], Some(View::Down)),
            What::Left => (&[View::Up, View::Suspected, View::Unreachable, View::Down], Some(View::Down)),
            What::Updated => (&[View::Up, View::Suspected, View::Unreachable], None),
            _ => return,
        };
        if self.views.len() <= observer {
            self.views.resize(observer + 1, Vec::new());
        }
        let views = &mut self.views[observer];
        if views.len() <= subject as usize {
            views.resize(subject as usize + 1, View::Down);
        }
        let view = &mut views[subject as usize];
        assert!(expected.contains(view), "{observer} at {at:?}: {what:?} of {subject}, which was {view:?}");
        *view = next.unwrap_or(*view);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum View {
    Down,
    Up,
    Suspected,
    Unreachable,
}
