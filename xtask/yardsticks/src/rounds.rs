//! Rounds in which all contenders take turns.

use std::time::Duration;

use crate::contender::Contender;

/// How much is done in which order.
#[derive(Clone, Copy, Debug)]
pub struct Rounds {
    /// How many: medians are of so many values.
    pub count: usize,
    /// How often each contender has its turn in one round.
    pub turns: usize,
    /// How often a contender does its work in one turn. `None`: as often as takes a millisecond.
    pub times: Option<u64>,
}

impl Rounds {
    /// For work that takes nano- or microseconds.
    pub const MICRO: Self = Self { count: 301, turns: 1, times: None };

    /// Lets the contenders take turns, every second round in the opposite order.
    pub fn measure(self, contenders: &mut [Contender<'_>]) -> Samples {
        let times: Vec<u64> = contenders.iter_mut().map(|one| self.times_of(one)).collect();
        let mut nanos = vec![Vec::with_capacity(self.count); contenders.len()];
        for round in 0..self.count {
            let mut elapsed = vec![Duration::ZERO; contenders.len()];
            for _ in 0..self.turns {
                for position in 0..contenders.len() {
                    let is_forward = round % 2 == 0;
                    let index = if is_forward { position } else { contenders.len() - 1 - position };
                    elapsed[index] += contenders[index].run(times[index]);
                }
            }
            for (index, elapsed) in elapsed.into_iter().enumerate() {
                let done = times[index] as f64 * self.turns as f64;
                nanos[index].push(elapsed.as_secs_f64() * 1e9 / done);
            }
        }
        Samples { names: contenders.iter().map(Contender::name).collect(), nanos }
    }

    fn times_of(self, contender: &mut Contender<'_>) -> u64 {
        if let Some(times) = self.times {
            return times;
        }
        let mut times = 1;
        while contender.run(times) < TURN / 2 {
            times *= 2;
        }
        times
    }
}

/// What the rounds gave: of each contender, in the order in which they were handed in, nanoseconds by round.
#[derive(Clone, Debug)]
pub struct Samples {
    names: Vec<&'static str>,
    nanos: Vec<Vec<f64>>,
}

impl Samples {
    /// What the contender with this index is called.
    pub fn name(&self, contender: usize) -> &'static str {
        self.names[contender]
    }

    /// Nanoseconds that the contender with this index took for doing its work once.
    pub fn nanos(&self, contender: usize) -> Spread {
        Spread::of(self.nanos[contender].clone())
    }

    /// How many times as long as `base` the contender `index` took: the ratios of the rounds.
    pub fn ratio(&self, index: usize, base: usize) -> Spread {
        let rounds = self.nanos[index].iter().zip(&self.nanos[base]);
        Spread::of(rounds.map(|(ours, theirs)| ours / theirs).collect())
    }
}

/// The middle half of some values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// A quarter of the values is below it.
    pub low: f64,
    /// The value in the middle.
    pub median: f64,
    /// A quarter of the values is beyond it.
    pub high: f64,
}

impl Spread {
    fn of(mut values: Vec<f64>) -> Self {
        values.sort_unstable_by(f64::total_cmp);
        let at = |quarters: usize| values.get(values.len() * quarters / 4).copied().unwrap_or(f64::NAN);
        Self { low: at(1), median: at(2), high: at(3) }
    }
}

/// Long enough for the clock, and short enough that most turns are not interrupted.
const TURN: Duration = Duration::from_millis(1);

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[test]
    fn contenders_take_turns_and_every_second_round_goes_backwards() {
        let turns = RefCell::new(Vec::new());
        let contender = |name: &'static str, millis| {
            let turns = &turns;
            Contender::timed(name, move |times| {
                turns.borrow_mut().push(name);
                Duration::from_millis(times * millis)
            })
        };
        let mut contenders = [contender("a", 2), contender("b", 8)];
        let samples = Rounds { count: 2, turns: 2, times: Some(10) }.measure(&mut contenders);
        assert_eq!(*turns.borrow(), ["a", "b", "a", "b", "b", "a", "b", "a"]);
        assert!((samples.nanos(0).median - 2e6).abs() < 1.0);
        assert!((samples.ratio(0, 1).median - 0.25).abs() < 1e-9);
    }

    #[test]
    fn a_turn_takes_at_least_half_a_millisecond() {
        let mut contender = Contender::timed("a", |times| Duration::from_micros(10 * times));
        assert_eq!(Rounds::MICRO.times_of(&mut contender), 64);
    }

    #[test]
    fn a_spread_is_the_middle_half() {
        let spread = Spread::of(vec![9.0, 1.0, 5.0, 3.0, 7.0]);
        assert_eq!(spread, Spread { low: 3.0, median: 5.0, high: 7.0 });
    }
}
