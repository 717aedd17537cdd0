//! What the shipped binary must not contain.

use trellis_tests::trellis_binary;

/// In every build whose rules can be switched off; see docs/testing.md.
const FAULT_MARKER: &[u8] = b"trellis-fault-build";

#[test]
fn no_rule_of_the_shipped_binary_can_be_switched_off() -> anyhow::Result<()> {
    let bytes = std::fs::read(trellis_binary()?)?;
    let contains = |words: &[u8]| bytes.windows(words.len()).any(|window| window == words);
    assert!(!contains(FAULT_MARKER));
    assert!(!contains(b"R4 an entry is indexed under all its origins"));
    assert!(contains(b"COUNTER_OVERFLOW"), "words that are in the program are found");
    Ok(())
}
