//! Mv-registers of `crdts`.

use crdts::{CmRDT, CvRDT, MVReg};

use crate::contender::Contender;

/// Merges a register into another, where each holds one value that the other has not seen, after so many actors wrote to
/// both.
pub fn mv_register_merge(actors: u64) -> Contender<'static> {
    let mut ours = MVReg::<Box<[u8]>, u64>::new();
    (1..=actors).for_each(|actor| write(&mut ours, actor, b"an older value .."));
    let mut theirs = ours.clone();
    write(&mut ours, 1, b"one value .....1");
    write(&mut theirs, 2, b"another value .2");
    // Merging takes the other one by value, so each time has its own.
    Contender::on_clones("crdts", (ours, theirs), |(ours, theirs)| {
        ours.merge(std::mem::take(theirs));
    })
}

fn write(register: &mut MVReg<Box<[u8]>, u64>, actor: u64, value: &[u8]) {
    let context = register.read_ctx().derive_add_ctx(actor);
    register.apply(register.write(value.into(), context));
}
