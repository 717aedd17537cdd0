//! Every input that the fuzzer has found worth keeping: no panic, and no memory beyond what the input accounts for.
#![cfg(not(trellis_fault))]

use std::fs;
use std::path::Path;

use peak_alloc::PeakAlloc;

mod harness;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// One test, as all memory of the process is counted.
#[test]
fn no_input_of_the_corpus_harms_or_takes_memory_for_what_it_claims() {
    for (target, run) in TARGETS {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/corpus").join(target);
        let mut inputs = 0;
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            println!("{}", path.display());
            let input = fs::read(&path).unwrap();
            // A run before, so that what is made once in a process is there.
            run(&input);
            MEMORY.reset_peak_usage();
            let before = MEMORY.current_usage();
            run(&input);
            let taken = MEMORY.peak_usage() - before;
            let limit = MEMORY_MAX + 16 * input.len();
            assert!(taken <= limit, "{}: {taken} bytes of memory, {limit} at most", path.display());
            inputs += 1;
        }
        assert!(inputs > 10, "{inputs} inputs for {target}");
    }
}

type Target = (&'static str, fn(&[u8]));
const TARGETS: &[Target] =
    &[("segment", harness::segment), ("snapshot", harness::snapshot), ("directory", harness::directory)];

/// A segment of the log that opens, twice as the disk in memory has it, and the queue. A record may claim 1 GiB, a
/// chunk 32 MiB.
const MEMORY_MAX: usize = 2 << 20;
