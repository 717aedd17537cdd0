//! Clients that delete: step by step, while others go on writing.

use trellis_crdt::Kind;
use trellis_storage::{ElementCursor, Operation, Outcome as Stored};
use trellis_wal::Lsn;

use super::clients::{Asked, Outcome};
use super::{Event, World};
use crate::invariants::{Before, Held};
use crate::model::What;

/// A deletion that is under way.
#[derive(Debug)]
pub(super) struct Deletion {
    pub(super) asked: Asked,
    /// Of which process: the next one is asked from the start.
    process: u32,
    key: &'static str,
    kind: Option<Kind>,
    from: ElementCursor,
    before: Before,
    dots: Vec<(u8, u64)>,
    until: Lsn,
}

impl World {
    pub(super) fn begin_deletion(&mut self, asked: Asked, key: &'static str, kind: Option<Kind>) -> Held {
        let Some(process) = &self.host(asked.host).process else { return Ok(()) };
        self.delete_step(Deletion {
            asked,
            process: process.number,
            key,
            kind,
            from: ElementCursor::START,
            before: Before::of(process, key, kind),
            dots: Vec::new(),
            until: Lsn::ZERO,
        })
    }

    /// Takes one step, and the next one a moment later.
    pub(super) fn delete_step(&mut self, mut deletion: Deletion) -> Held {
        let Deletion { asked, key, kind, from, .. } = deletion;
        let planned =
            self.plan.requests.iter().find(|request| request.index == asked.index && !self.is_healed);
        let Some(request) = planned.cloned() else { return Ok(()) };
        if self.process(asked.host, deletion.process).is_none() {
            self.coverage.count("deletions cut short");
            return self.try_again(asked);
        }
        let (outcome, dots) = self.write(asked.host, &Operation::Delete { key, kind, from }, What::Delete)?;
        let written = match outcome {
            Outcome::Taken(Some(written)) => written,
            Outcome::Taken(None) | Outcome::NobodyThere => return Ok(()),
            Outcome::Refused(error) => return self.on_refused(asked, &error),
        };
        deletion.dots.extend(dots);
        deletion.until = deletion.until.max(written.lsn.unwrap_or(Lsn::ZERO));
        if let Stored::Deleted { next: Some(next), .. } = written.outcome {
            self.coverage.count("deletions that went on");
            deletion.from = next;
            let at = self.now + self.dice.pick(&[0, 500, 20_000]);
            self.agenda.enter(at, Event::DeletionGoesOn(Box::new(deletion)));
            return Ok(());
        }
        if let Some(process) = self.process(asked.host, deletion.process) {
            self.checks.deleted(asked.host, process, &deletion.before)?;
        }
        self.await_write(asked, &request, Some(deletion.until), deletion.dots)
    }
}
