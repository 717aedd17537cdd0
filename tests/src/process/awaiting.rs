//! Waiting for an event.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

/// Asks `probe` until it answers with a value, and returns that value and how long it took to appear.
///
/// The pause between two questions begins at 2 ms and doubles up to 50 ms: an event is noticed soon, and a busy machine
/// is not kept busy by the asking.
///
/// # Errors
///
/// When nothing appeared within `patience`: `what` and the error of the last question, if it failed.
pub fn await_until<T>(
    what: &str,
    patience: Duration,
    mut probe: impl FnMut() -> Result<Option<T>>,
) -> Result<(T, Duration)> {
    let started = Instant::now();
    let mut pause = PAUSE_MIN;
    loop {
        let answer = probe();
        let elapsed = started.elapsed();
        match answer {
            Ok(Some(value)) => return Ok((value, elapsed)),
            Ok(None) => ensure!(elapsed < patience, "waited {elapsed:.1?} in vain until {what}"),
            Err(error) if elapsed >= patience => {
                return Err(error).context(format!("waited {elapsed:.1?} in vain until {what}"));
            }
            Err(_) => {}
        }
        thread::sleep(pause);
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

const PAUSE_MIN: Duration = Duration::from_millis(2);
const PAUSE_MAX: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use anyhow::bail;

    use super::*;

    #[test]
    fn failures_are_borne_until_the_value_is_there() {
        let mut questions = 0;
        let probe = || {
            questions += 1;
            match questions {
                1 => bail!("not yet"),
                2 => Ok(None),
                _ => Ok(Some("here")),
            }
        };
        assert_eq!(await_until("it is here", Duration::from_secs(60), probe).unwrap().0, "here");
    }

    #[test]
    fn whoever_waits_in_vain_hears_for_what_and_why() {
        let error = await_until::<()>("it is here", Duration::ZERO, || bail!("it is there")).unwrap_err();
        let text = format!("{error:#}");
        assert!(text.contains("in vain until it is here: it is there"), "{text}");
    }
}
