//! `trellis context`: which cluster, by which nodes, with which certificate.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use trellis_rpc::{TlsFiles, TlsReloader};

use crate::args::{self, Global};
use crate::exit::{Exit, Failure};
use crate::output::{Answer, Report, columns};

mod store;

#[cfg(test)]
pub(crate) use self::store::tests;
pub(crate) use self::store::{Context, Contexts, Node};

pub(crate) fn run(command: args::Context, global: &Global) -> Result<Answer, Failure> {
    let contexts = Contexts::of_this_user()?;
    match command {
        args::Context::Ls => list(&contexts),
        args::Context::Show { name } => show(&contexts, name),
        args::Context::Use { name } => {
            contexts.choose(&name)?;
            Ok(Answer::default())
        }
        args::Context::Add { name, members, is_used, replace } => {
            let context = assemble(name, &members, global)?;
            contexts.add(&context, replace)?;
            if is_used {
                contexts.choose(&context.name)?;
            }
            Ok(Answer::default())
        }
    }
}

fn list(contexts: &Contexts) -> Result<Answer, Failure> {
    Ok(Answer::new(Listing { current: contexts.current()?, contexts: contexts.all()? }))
}

fn show(contexts: &Contexts, name: Option<String>) -> Result<Answer, Failure> {
    let name = match name {
        Some(name) => name,
        None => contexts
            .current()?
            .ok_or_else(|| Failure::usage("no context is in use").hint("trellis context use NAME"))?,
    };
    Ok(Answer::new(contexts.load(&name)?))
}

/// Reads the certificates, so that a context that is saved is one that can be used.
fn assemble(name: String, members: &[String], global: &Global) -> Result<Context, Failure> {
    let file = |flag: &Option<PathBuf>, of: &str| {
        let path = flag.as_deref().ok_or_else(|| Failure::usage(format!("a context needs {of} FILE")))?;
        absolute(path)
    };
    let (ca, cert, key) =
        (file(&global.ca, "--ca")?, file(&global.cert, "--cert")?, file(&global.key, "--key")?);
    let files = TlsFiles { ca: ca.clone(), cert: cert.clone(), key: key.clone() };
    let tls = TlsReloader::load(files).map_err(|error| Failure::of(Exit::Usage, &error))?;
    let nodes = members.iter().map(|member| parse_member(member)).collect::<Result<_, _>>()?;
    Ok(Context { name, cluster: tls.own().cluster, ca, cert, key, nodes })
}

fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    path.canonicalize()
        .map_err(|error| Failure::usage(format!("cannot find {}", path.display())).cause(error))
}

fn parse_member(member: &str) -> Result<Node, Failure> {
    match member.split_once('=') {
        Some((name, client)) if !name.is_empty() && client.contains(':') => {
            Ok(Node { name: name.to_owned(), client: client.to_owned() })
        }
        _ => Err(Failure::usage(format!("\"{member}\" is no member")).hint("--member n1=127.0.0.1:7400")),
    }
}

/// `trellis context ls`.
struct Listing {
    current: Option<String>,
    contexts: BTreeMap<String, Context>,
}

impl Listing {
    fn is_current(&self, name: &str) -> bool {
        self.current.as_deref() == Some(name)
    }
}

impl Report for Listing {
    fn plain(&self) -> String {
        let line = |name: &String| format!("{name}{}\n", if self.is_current(name) { " *" } else { "" });
        self.contexts.keys().map(line).collect()
    }

    fn table(&self) -> String {
        let row = |(name, context): (&String, &Context)| {
            let mark = if self.is_current(name) { " *" } else { "" };
            [format!("{name}{mark}"), context.cluster.clone(), endpoints(context).join(" ")]
        };
        columns(["CONTEXT", "CLUSTER", "NODES"], self.contexts.iter().map(row))
    }

    fn json(&self) -> Value {
        json!({ "current": self.current, "contexts": self.contexts.values().collect::<Vec<_>>() })
    }
}

impl Report for Context {
    fn plain(&self) -> String {
        let Self { name, cluster, ca, cert, key, .. } = self;
        let (ca, cert, key) = (ca.display(), cert.display(), key.display());
        let nodes = endpoints(self).join(" ");
        format!(
            "name     {name}\ncluster  {cluster}\nca       {ca}\ncert     {cert}\nkey      {key}\nnodes    {nodes}\n"
        )
    }

    fn table(&self) -> String {
        self.plain()
    }

    fn json(&self) -> Value {
        json!(self)
    }
}

fn endpoints(context: &Context) -> Vec<String> {
    context.nodes.iter().map(|node| format!("{}={}", node.name, node.client)).collect()
}

#[cfg(test)]
mod report_tests {
    use super::tests::example;
    use super::*;

    #[test]
    fn the_list_marks_the_one_in_use() {
        let contexts = ["dev", "prod"].map(|name| (name.to_owned(), example(name))).into();
        let listing = Listing { current: Some("prod".to_owned()), contexts };
        assert_eq!(listing.plain(), "dev\nprod *\n");
        let nodes = "n1=127.0.0.1:7401 n2=127.0.0.1:7402 n3=127.0.0.1:7403";
        assert_eq!(
            listing.table(),
            format!("CONTEXT  CLUSTER   NODES\ndev      dev-7f3a  {nodes}\nprod *   dev-7f3a  {nodes}\n")
        );
        assert_eq!(listing.json()["contexts"][0]["nodes"][1]["client"], "127.0.0.1:7402");
        assert_eq!(listing.json()["current"], "prod");
    }

    #[test]
    fn a_member_is_a_name_and_an_address() {
        let node = Node { name: "n1".to_owned(), client: "[::1]:7400".to_owned() };
        assert_eq!(parse_member("n1=[::1]:7400"), Ok(node));
        for member in ["n1", "n1=", "=1:2", "n1=host"] {
            assert_eq!(parse_member(member).unwrap_err().exit, Exit::Usage, "{member}");
        }
    }
}
