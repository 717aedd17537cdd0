//! Where contexts are kept.
//!
//! A directory holds `contexts/NAME.toml` for each, and `current`, the name of the one in use.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::exit::{Exit, Failure};

/// One cluster, and who one is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Context {
    pub(crate) name: String,
    /// The cluster's id, as its certificates have it.
    pub(crate) cluster: String,
    pub(crate) ca: PathBuf,
    pub(crate) cert: PathBuf,
    pub(crate) key: PathBuf,
    /// At least one.
    pub(crate) nodes: Vec<Node>,
}

/// A node of a context.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Node {
    pub(crate) name: String,
    /// Its client address, `host:port`.
    pub(crate) client: String,
}

/// The contexts of one user.
#[derive(Debug)]
pub(crate) struct Contexts {
    directory: PathBuf,
}

impl Contexts {
    /// The contexts in `$TRELLIS_CONFIG_DIR`, else where the XDG rules say.
    pub(crate) fn of_this_user() -> Result<Self, Failure> {
        let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let variables = ["TRELLIS_CONFIG_DIR", "XDG_CONFIG_HOME", "HOME"].map(set);
        let directory = directory_of(variables).ok_or_else(|| {
            Failure::usage("there is no place for contexts").hint("set TRELLIS_CONFIG_DIR to a directory")
        })?;
        Ok(Self { directory })
    }

    /// The contexts in a directory, which need not exist.
    #[cfg(test)]
    pub(crate) fn in_directory(directory: &Path) -> Self {
        Self { directory: directory.to_owned() }
    }

    /// The context of this name.
    pub(crate) fn load(&self, name: &str) -> Result<Context, Failure> {
        check_name(name)?;
        let path = self.path(name);
        let text = fs::read_to_string(&path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => {
                let names = self.names().unwrap_or_default().join(", ");
                let known = if names.is_empty() {
                    "there are none yet".to_owned()
                } else {
                    format!("there are {names}")
                };
                Failure::usage(format!("there is no context \"{name}\""))
                    .cause(known)
                    .hint("trellis context ls")
            }
            _ => cannot("read", &path, &error),
        })?;
        let context: Context = toml::from_str(&text).map_err(|error| {
            Failure::usage(format!("{} is damaged", path.display()))
                .cause(error.message())
                .hint(format!("trellis context add {name} --replace ..."))
        })?;
        Ok(context)
    }

    /// The name of the context in use, if one is chosen.
    pub(crate) fn current(&self) -> Result<Option<String>, Failure> {
        let path = self.directory.join(CURRENT);
        match fs::read_to_string(&path) {
            Ok(name) => Ok(Some(name.trim().to_owned()).filter(|name| !name.is_empty())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(cannot("read", &path, &error)),
        }
    }

    /// All names, sorted.
    pub(crate) fn names(&self) -> Result<Vec<String>, Failure> {
        let directory = self.directory.join(FOLDER);
        let entries = match fs::read_dir(&directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(cannot("read", &directory, &error)),
        };
        let mut names = Vec::new();
        for entry in entries {
            let file = entry.map_err(|error| cannot("read", &directory, &error))?.file_name();
            names.extend(file.to_str().and_then(|file| file.strip_suffix(SUFFIX)).map(str::to_owned));
        }
        names.sort_unstable();
        Ok(names)
    }

    /// All contexts by name; one that is damaged fails.
    pub(crate) fn all(&self) -> Result<BTreeMap<String, Context>, Failure> {
        self.names()?.into_iter().map(|name| Ok((name.clone(), self.load(&name)?))).collect()
    }

    /// Uses a context from here on.
    pub(crate) fn choose(&self, name: &str) -> Result<(), Failure> {
        self.load(name)?;
        self.write(&self.directory.join(CURRENT), &format!("{name}\n"))
    }

    /// Saves a context. One of the same name is kept unless `is_replaced`.
    pub(crate) fn add(&self, context: &Context, is_replaced: bool) -> Result<(), Failure> {
        check_name(&context.name)?;
        let path = self.path(&context.name);
        if !is_replaced && path.exists() {
            let failure = Failure::usage(format!("there is a context \"{}\" already", context.name));
            return Err(failure.hint("add --replace to write it again"));
        }
        let text = toml::to_string(context).expect("a context is strings and tables of strings");
        self.write(&path, &text)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(FOLDER).join(format!("{name}{SUFFIX}"))
    }

    /// Replaces a file by rename, so that a reader never sees half of it.
    fn write(&self, path: &Path, text: &str) -> Result<(), Failure> {
        let temporary = path.with_extension(format!("tmp{}", std::process::id()));
        let parent = path.parent().unwrap_or(&self.directory);
        fs::create_dir_all(parent)
            .and_then(|()| fs::write(&temporary, text))
            .and_then(|()| fs::rename(&temporary, path))
            .map_err(|error| cannot("write", path, &error))
    }
}

fn directory_of([own, xdg, home]: [Option<PathBuf>; 3]) -> Option<PathBuf> {
    own.or_else(|| Some(xdg?.join("trellis"))).or_else(|| Some(home?.join(".config/trellis")))
}

/// A name is a file's name, so it must not lead elsewhere.
fn check_name(name: &str) -> Result<(), Failure> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if !name.is_empty() && !name.starts_with('.') && name.chars().all(is_plain) {
        return Ok(());
    }
    Err(Failure::usage(format!("\"{}\" is no name for a context", name.escape_debug()))
        .hint("letters, digits, and . _ - after the first"))
}

fn cannot(verb: &str, path: &Path, error: &io::Error) -> Failure {
    Failure::new(Exit::Usage, format!("cannot {verb} {}", path.display())).cause(error)
}

const CURRENT: &str = "current";
const FOLDER: &str = "contexts";
const SUFFIX: &str = ".toml";

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    #[test]
    fn what_is_added_is_loaded_listed_and_chosen() {
        let directory = tempfile::tempdir().unwrap();
        let contexts = Contexts::in_directory(directory.path());
        assert_eq!(contexts.names().unwrap(), Vec::<String>::new());
        assert_eq!(contexts.current().unwrap(), None);

        contexts.add(&example("prod"), false).unwrap();
        contexts.add(&example("dev"), false).unwrap();
        assert_eq!(contexts.load("prod").unwrap(), example("prod"));
        assert_eq!(contexts.names().unwrap(), ["dev", "prod"]);
        contexts.choose("prod").unwrap();
        assert_eq!(contexts.current().unwrap().as_deref(), Some("prod"));
    }

    #[test]
    fn a_context_is_replaced_only_on_demand() {
        let directory = tempfile::tempdir().unwrap();
        let contexts = Contexts::in_directory(directory.path());
        contexts.add(&example("dev"), false).unwrap();
        let changed = Context { cluster: "other".to_owned(), ..example("dev") };
        assert_eq!(contexts.add(&changed, false).unwrap_err().exit, Exit::Usage);
        assert_eq!(contexts.load("dev").unwrap(), example("dev"));
        contexts.add(&changed, true).unwrap();
        assert_eq!(contexts.load("dev").unwrap(), changed);
    }

    #[test]
    fn a_context_that_is_not_there_is_told_with_those_that_are() {
        let directory = tempfile::tempdir().unwrap();
        let contexts = Contexts::in_directory(directory.path());
        contexts.add(&example("dev"), false).unwrap();
        for failure in [contexts.load("prod").unwrap_err(), contexts.choose("prod").unwrap_err()] {
            assert_eq!(failure.causes, ["there are dev"]);
        }
        assert_eq!(contexts.current().unwrap(), None);
    }

    #[test]
    fn a_name_never_leaves_the_directory() {
        let contexts = Contexts::in_directory(Path::new("/nowhere"));
        for name in ["", "..", "../x", "a/b", ".hidden", "a b"] {
            assert!(contexts.load(name).unwrap_err().message.contains("is no name"), "{name}");
            assert!(contexts.add(&example(name), true).is_err(), "{name}");
        }
    }

    #[test]
    fn a_damaged_context_is_told_with_its_file() {
        let directory = tempfile::tempdir().unwrap();
        let contexts = Contexts::in_directory(directory.path());
        contexts.add(&example("dev"), false).unwrap();
        fs::write(directory.path().join("contexts/dev.toml"), "name = \"dev\"\ncolour = 1\n").unwrap();
        let failure = contexts.load("dev").unwrap_err();
        assert!(failure.message.contains("dev.toml is damaged"), "{failure:?}");
    }

    #[test]
    fn the_directory_is_the_own_variable_then_xdg_then_home() {
        let [own, xdg, home] = ["/own", "/xdg", "/home/me"].map(|path| Some(PathBuf::from(path)));
        assert_eq!(directory_of([own.clone(), xdg.clone(), home.clone()]), own);
        assert_eq!(directory_of([None, xdg, home.clone()]), Some(PathBuf::from("/xdg/trellis")));
        assert_eq!(directory_of([None, None, home]), Some(PathBuf::from("/home/me/.config/trellis")));
        assert_eq!(directory_of([None, None, None]), None);
    }

    pub(crate) fn example(name: &str) -> Context {
        let node =
            |number: u16| Node { name: format!("n{number}"), client: format!("127.0.0.1:740{number}") };
        Context {
            name: name.to_owned(),
            cluster: "dev-7f3a".to_owned(),
            ca: PathBuf::from("/certs/ca.crt"),
            cert: PathBuf::from("/certs/dev.crt"),
            key: PathBuf::from("/certs/dev.key"),
            nodes: (1..=3).map(node).collect(),
        }
    }
}
