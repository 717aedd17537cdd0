//! Whom a command talks to: the flags over the context.

use std::path::PathBuf;

use trellis_rpc::Endpoint;

use crate::args::Global;
use crate::context::{Context, Contexts, Node};
use crate::exit::Failure;

/// The nodes to try, in order, and the certificate to show them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// The context that the endpoints are of, if they are of one.
    pub(crate) context: Option<String>,
    /// Never empty.
    pub(crate) endpoints: Vec<Endpoint>,
    /// The only node that may answer, where its address is still to be asked for.
    pub(crate) sought: Option<String>,
    pub(crate) ca: PathBuf,
    pub(crate) cert: PathBuf,
    pub(crate) key: PathBuf,
}

impl Target {
    /// Puts flags and context together. Flags win one by one; contexts are looked at only for what they leave open.
    pub(crate) fn resolve(
        global: &Global,
        contexts: impl FnOnce() -> Result<Contexts, Failure>,
    ) -> Result<Self, Failure> {
        let files = [&global.ca, &global.cert, &global.key];
        let is_told_all = !global.endpoints.is_empty() && files.iter().all(|file| file.is_some());
        let context =
            if is_told_all && global.context.is_none() { None } else { selected(global, &contexts()?)? };
        let file = |flag: &Option<PathBuf>, of_context: fn(&Context) -> &PathBuf, name: &str| {
            flag.clone()
                .or_else(|| context.as_ref().map(of_context).cloned())
                .ok_or_else(|| nothing_selected(name))
        };
        let ca = file(&global.ca, |context| &context.ca, "--ca")?;
        let cert = file(&global.cert, |context| &context.cert, "--cert")?;
        let key = file(&global.key, |context| &context.key, "--key")?;
        let mut sought = global.node.clone();
        let endpoints: Vec<Endpoint> = match &context {
            _ if !global.endpoints.is_empty() => global
                .endpoints
                .iter()
                .map(|address| Endpoint { address: address.clone(), node: None })
                .collect(),
            Some(context) => match context.nodes.iter().find(|node| Some(&node.name) == sought.as_ref()) {
                Some(node) => {
                    sought = None;
                    vec![endpoint(node)]
                }
                None => context.nodes.iter().map(endpoint).collect(),
            },
            None => Vec::new(),
        };
        if endpoints.is_empty() {
            return Err(nothing_selected("--endpoints"));
        }
        let context = context.filter(|_| global.endpoints.is_empty()).map(|context| context.name);
        Ok(Self { context, endpoints, sought, ca, cert, key })
    }

    /// The endpoints in words.
    pub(crate) fn describe(&self) -> String {
        let addresses: Vec<&str> = self.endpoints.iter().map(|endpoint| endpoint.address.as_str()).collect();
        match &self.context {
            Some(context) => format!("context \"{context}\" ({})", addresses.join(", ")),
            None => addresses.join(", "),
        }
    }
}

/// The context that was named, or the one in use.
fn selected(global: &Global, contexts: &Contexts) -> Result<Option<Context>, Failure> {
    let name = match &global.context {
        Some(name) => Some(name.clone()),
        None => contexts.current()?,
    };
    name.map(|name| contexts.load(&name)).transpose()
}

fn endpoint(node: &Node) -> Endpoint {
    Endpoint { address: node.client.clone(), node: Some(node.name.clone()) }
}

fn nothing_selected(flag: &str) -> Failure {
    Failure::usage(format!("no cluster is selected: there is no context in use and no {flag}"))
        .hint("trellis context use NAME, or run a cluster on this machine: cargo xtask cluster 3")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::args::tests::flags;
    use crate::context::tests::example;
    use crate::exit::Exit;

    #[test]
    fn a_named_context_wins_over_the_one_in_use() {
        let directory = contexts();
        assert_eq!(resolve(&flags(), &directory).unwrap().context.as_deref(), Some("dev"));
        let named = Global { context: Some("prod".to_owned()), ..flags() };
        assert_eq!(resolve(&named, &directory).unwrap().context.as_deref(), Some("prod"));
    }

    #[test]
    fn a_node_of_the_context_is_asked_alone_and_another_one_is_looked_for() {
        let directory = contexts();
        let known = resolve(&Global { node: Some("n2".to_owned()), ..flags() }, &directory).unwrap();
        let n2 = Endpoint { address: "127.0.0.1:7402".to_owned(), node: Some("n2".to_owned()) };
        assert_eq!((known.endpoints, known.sought), (vec![n2], None));
        let unknown = resolve(&Global { node: Some("n9".to_owned()), ..flags() }, &directory).unwrap();
        assert_eq!((unknown.endpoints.len(), unknown.sought.as_deref()), (3, Some("n9")));
    }

    #[test]
    fn flags_win_one_by_one() {
        let endpoints = vec!["10.0.0.1:7400".to_owned()];
        let global = Global { endpoints, key: Some(PathBuf::from("/mine.key")), ..flags() };
        let target = resolve(&global, contexts()).unwrap();
        assert_eq!(target.endpoints, [Endpoint { address: "10.0.0.1:7400".to_owned(), node: None }]);
        assert_eq!((target.key, target.cert), (PathBuf::from("/mine.key"), example("dev").cert));
    }

    #[test]
    fn who_is_told_everything_looks_at_no_context() {
        let file = |name: &str| Some(PathBuf::from(name));
        let endpoints = vec!["10.0.0.1:7400".to_owned()];
        let global = Global { endpoints, ca: file("a"), cert: file("b"), key: file("c"), ..flags() };
        let target = Target::resolve(&global, || Err(Failure::usage("contexts were looked at"))).unwrap();
        assert_eq!((target.context, target.ca), (None, PathBuf::from("a")));
    }

    #[test]
    fn without_context_and_flags_the_next_step_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let failure = resolve(&flags(), &directory).unwrap_err();
        assert_eq!(failure.exit, Exit::Usage);
        assert!(failure.hint.is_some_and(|hint| hint.contains("cargo xtask cluster 3")));
    }

    fn resolve(global: &Global, directory: impl AsRef<Path>) -> Result<Target, Failure> {
        Target::resolve(global, || Ok(Contexts::in_directory(directory.as_ref())))
    }

    fn contexts() -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        let contexts = Contexts::in_directory(directory.path());
        contexts.add(&example("dev"), false).unwrap();
        contexts.add(&example("prod"), false).unwrap();
        contexts.choose("dev").unwrap();
        directory
    }
}
