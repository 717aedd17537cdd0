//! `trellis serve`: configuration, logging, and the node.

use std::io;

use tracing_subscriber::EnvFilter;
use trellis_node::runtime::ServeError;
use trellis_node::{Config, ConfigErrors, Sources};
use trellis_wal::tools::Verdict;

use crate::args::{LogFormat, Serve};
use crate::exit::{Exit, Failure};
use crate::output::Answer;
use crate::wal;

/// Runs a node until it is told to stop.
pub(crate) fn run(serve: Serve) -> Result<Answer, Failure> {
    let config = Config::load(&Sources::with_process_env(serve.file, serve.settings))
        .map_err(|e| misconfigured(&e))?;
    start_logging(&serve.log, serve.log_format)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Internal, "the runtime cannot be started").cause(error))?;
    match runtime.block_on(trellis_node::runtime::serve(config, serve.found)) {
        Ok(()) => Ok(Answer::default()),
        Err(error) => {
            let failure = Failure::of(Exit::Usage, &error);
            Err(match next_step(&error) {
                Some(hint) => failure.hint(hint),
                None => failure,
            })
        }
    }
}

/// Of a log that is damaged, the command that says what of it can be kept, before the way without it.
fn next_step(error: &ServeError) -> Option<String> {
    let hint = error.hint();
    match error {
        ServeError::Log { path, source } if Verdict::of_error(source) == Verdict::Corrupt => {
            let otherwise = hint.map(|hint| format!("; or {hint}")).unwrap_or_default();
            Some(format!("{}{otherwise}", wal::verify_command(path)))
        }
        _ => hint,
    }
}

fn misconfigured(errors: &ConfigErrors) -> Failure {
    let mut failure = Failure::usage("the configuration cannot be used");
    for problem in errors.problems() {
        failure = match problem.hint() {
            Some(hint) => failure.cause(format!("{problem} ({hint})")),
            None => failure.cause(problem),
        };
    }
    failure.hint("every setting is in deploy/node.example.toml")
}

/// Standard output belongs to answers, so log lines go to standard error.
fn start_logging(filter: &str, format: LogFormat) -> Result<(), Failure> {
    let filter = EnvFilter::try_new(filter).map_err(|error| {
        Failure::usage(format!("\"{filter}\" is no log filter"))
            .cause(error)
            .hint("--log info,trellis_swim=debug")
    })?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    let started = match format {
        LogFormat::Plain => builder.with_ansi(io::IsTerminal::is_terminal(&io::stderr())).try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
    started.map_err(|error| Failure::new(Exit::Internal, "logging cannot be started").cause(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_of_a_configuration_is_a_cause_with_its_hint() {
        let sources =
            Sources { flags: vec!["shard=3".to_owned(), "name=n1".to_owned()], ..Sources::default() };
        let failure = misconfigured(&Config::load(&sources).unwrap_err());
        assert_eq!(failure.exit, Exit::Usage);
        assert_eq!(failure.causes[0], "flag --set shard=3: there is no setting shard (did you mean shards?)");
        assert!(failure.causes.len() > 3, "{failure:?}");
    }

    #[test]
    fn a_log_filter_that_is_none_is_refused_with_an_example() {
        let failure = start_logging("a=b=c", LogFormat::Plain).unwrap_err();
        assert_eq!(failure.exit, Exit::Usage);
        assert!(failure.hint.is_some());
    }
}
