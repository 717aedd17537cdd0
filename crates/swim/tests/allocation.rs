//! While nothing changes nothing is allocated: a member may run for a year beside what has better use for memory.

use std::alloc::System;
use std::time::{Duration, Instant};

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use trellis_swim::{Config, Handled, Local, Output, Priority, Swim, TransmitId};

/// One test in this file: the count is the whole process's.
#[test]
fn a_quiet_period_allocates_nothing() {
    let start = Instant::now();
    let mut members: Vec<_> = (0..20).map(|id| member(id, start)).collect();
    let book: Vec<_> = members.iter().map(|member| member.local().clone()).collect();
    members.iter_mut().for_each(|member| member.import(book.iter().cloned(), start));
    let mut buffers = Buffers::default();
    let minute = Duration::from_secs(60);
    // Queues grow to the size that they keep.
    let allocations_before = run(&mut members, &mut buffers, start, start + minute);
    assert!(allocations_before > 0, "the count counts");
    let allocations = run(&mut members, &mut buffers, start + minute, start + 11 * minute);
    assert_eq!(allocations, 0);
    assert!(members.iter().all(|member| member.counters().probes > 600), "they were at work");
    let now = start + 11 * minute;
    let news = run_with_news(&mut members, &mut buffers, now);
    assert!(news > 0, "a change may allocate, and the count sees it");
    members[4]
        .offer_broadcast(b"key", vec![1; 40], Priority::Normal, now + minute / 4)
        .expect("there is room");
    let broadcast = run(&mut members, &mut buffers, now + minute / 4, now + minute);
    let heard: u64 = members.iter().map(|member| member.counters().broadcasts_received).sum();
    assert!(broadcast > 0 && heard == 19, "{heard} of 19 heard it");
    let after = run(&mut members, &mut buffers, now + minute, now + 2 * minute);
    assert_eq!(after, 0, "and when it is told there is quiet again");
}

/// Runs until `end` and returns how many allocations the members made.
fn run(members: &mut [Swim<u64>], buffers: &mut Buffers, start: Instant, end: Instant) -> usize {
    let before = allocations();
    let mut now = start;
    loop {
        perform(members, buffers, now);
        let next = members.iter().filter_map(Swim::poll_timeout).min();
        let Some(next) = next.filter(|next| *next <= end) else {
            return allocations() - before;
        };
        now = next;
        members.iter_mut().for_each(|member| {
            if member.poll_timeout().is_some_and(|due| due <= now) {
                member.handle_timeout(now);
            }
        });
    }
}

fn run_with_news(members: &mut [Swim<u64>], buffers: &mut Buffers, now: Instant) -> usize {
    let before = allocations();
    members[3].update_meta(vec![1, 2, 3], now).expect("short metadata");
    run(members, buffers, now, now + Duration::from_secs(5));
    allocations() - before
}

/// Delivers everything at once, until there is nothing more.
fn perform(members: &mut [Swim<u64>], buffers: &mut Buffers, now: Instant) {
    let Buffers { request, reply } = buffers;
    let mut is_done = false;
    while !is_done {
        is_done = true;
        for sender in 0..members.len() {
            while let Some(output) = members[sender].poll_output(request) {
                is_done = false;
                let Output::Transmit(transmit) = output else { continue };
                let receiver = transmit.peer.expect("all know each other");
                let handled =
                    members[receiver as usize].handle_message(&(sender as u64), request, now, now, reply);
                if let Ok(Handled::Replied) = handled {
                    answer(&mut members[sender], (transmit.id, receiver), reply, now);
                }
            }
        }
    }
}

fn answer(member: &mut Swim<u64>, (id, from): (TransmitId, u64), reply: &[u8], now: Instant) {
    member.handle_reply(id, &from, reply, now, now).expect("the reply to what was sent");
}

fn allocations() -> usize {
    let stats = ALLOCATOR.stats();
    stats.allocations + stats.reallocations
}

#[derive(Default)]
struct Buffers {
    request: Vec<u8>,
    reply: Vec<u8>,
}

fn member(id: u64, now: Instant) -> Swim<u64> {
    let local = Local { id, epoch: 1, addr: format!("10.0.0.{id}:7500"), meta: vec![7; 20] };
    Swim::new(Config::default(), local, 1, id, now).expect("a valid configuration")
}

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;
