//! What every member reported, and the check that no report contradicts the one before.

use std::collections::BTreeMap;
use std::time::Duration;

use trellis_swim::Event;

/// Events in the order they came, checked as they come.
#[derive(Default)]
pub(crate) struct History {
    pub(crate) events: Vec<(Duration, usize, Event<String>)>,
    /// Per (speaker, listener): when the listener last got a message of the speaker.
    spoken: BTreeMap<(usize, usize), Duration>,
    views: BTreeMap<(usize, String), View>,
}

impl History {
    /// A new process knows nothing of what an earlier one reported.
    pub(crate) fn on_start(&mut self, observer: usize) {
        self.views.retain(|(other, _), _| *other != observer);
    }

    pub(crate) fn on_spoken(&mut self, speaker: usize, listener: usize, at: Duration) {
        self.spoken.insert((speaker, listener), at);
    }

    /// The newest moment at which any of the listeners got a message of the speaker.
    pub(crate) fn last_spoken(&self, speaker: usize, listeners: &[usize]) -> Option<Duration> {
        listeners.iter().filter_map(|listener| self.spoken.get(&(speaker, *listener)).copied()).max()
    }

    /// When the observer first reported such an event from `since` on.
    pub(crate) fn first(
        &self,
        observer: usize,
        since: Duration,
        wanted: impl Fn(&Event<String>) -> bool,
    ) -> Option<Duration> {
        let mut later = self.events.iter().filter(|(at, by, _)| *by == observer && *at >= since);
        later.find(|(_, _, event)| wanted(event)).map(|(at, ..)| *at)
    }

    /// How many deaths were reported after `since`.
    pub(crate) fn deaths_since(&self, since: Duration) -> usize {
        self.events.iter().filter(|(at, _, event)| *at > since && matches!(event, Event::Dead(_))).count()
    }

    pub(crate) fn on_event(&mut self, observer: usize, at: Duration, event: Event<String>) {
        self.events.push((at, observer, event.clone()));
        let (member, expected, next): (_, &[View], _) = match &event {
            Event::Up(member) => (member, &[View::Down], View::Up),
            Event::Suspected(member) => (member, &[View::Up], View::Suspected),
            Event::Refuted(member) => (member, &[View::Suspected], View::Up),
            Event::Dead(member) => (member, &[View::Up, View::Suspected], View::Down),
            Event::Left(member) => (member, &[View::Up, View::Suspected, View::Down], View::Down),
            Event::Updated(member) => {
                let view = self.view(observer, &member.id);
                assert!(view != View::Down, "{observer} at {at:?}: {event:?} of a member that is down");
                return;
            }
            Event::Conflict(_) | Event::LeaveDrained => return,
        };
        let view = self.view(observer, &member.id);
        assert!(expected.contains(&view), "{observer} at {at:?}: {event:?} while the member was {view:?}");
        self.views.insert((observer, member.id.clone()), next);
    }

    fn view(&self, observer: usize, subject: &str) -> View {
        self.views.get(&(observer, subject.to_owned())).copied().unwrap_or(View::Down)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum View {
    Down,
    Up,
    Suspected,
}
