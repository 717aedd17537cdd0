//! Every scenario as a test of its own, under its name.

use trellis_tests::sim::scenarios::ALL;
use trellis_tests::{Held, for_all_scenarios};

macro_rules! tested {
    ($($module:ident: $($name:ident),+;)+) => {
        $($(
            #[test]
            fn $name() -> Held {
                perform(stringify!($name))
            }
        )+)+
    };
}

for_all_scenarios!(tested);

#[test]
fn no_two_scenarios_have_one_name() {
    let mut names: Vec<&str> = ALL.iter().map(|(name, _)| *name).collect();
    names.sort_unstable();
    let count = names.len();
    names.dedup();
    assert_eq!(names.len(), count);
}

fn perform(name: &str) -> Held {
    let (_, scenario) = ALL.iter().find(|(known, _)| *known == name).expect("the list has every scenario");
    scenario()
}
