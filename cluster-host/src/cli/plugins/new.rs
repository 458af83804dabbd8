//! `cluster-host plugins new`: a crate that builds, with a test that passes, to start a plugin from.

mod name;
mod sdk;

use std::{
    fs::{self, DirBuilder, File},
    io::{self, Write},
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, Result, ensure};

use self::{name::PluginName, sdk::Sdk};

const EXAMPLES: &str = "\
Examples:
  cluster-host plugins new inventory            # ./strategy-inventory, which looks up again and again
  cluster-host plugins new registry --watch     # ./strategy-registry, which is told of changes
  cluster-host plugins new tunnel --connector   # ./connector-tunnel, which makes links

The guide: docs/writing-a-strategy.md";

/// Write a crate to start a strategy or a connector from: it builds, has a test that passes, and overwrites nothing
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct NewArgs {
    /// What a configuration will select it by: lower case letters, digits, '-' and '_'
    name: PluginName,
    #[command(flatten)]
    kind: KindArgs,
    /// The directory to write [default: strategy-NAME or connector-NAME]
    #[arg(long, value_name = "DIR")]
    path: Option<PathBuf>,
    /// Where cluster-sdk comes from: a checkout, or a version [default: the checkout that this program was built from]
    #[arg(long, value_name = "PATH|VERSION")]
    sdk: Option<Sdk>,
}

#[derive(Debug, Clone, Copy, clap::Args)]
#[group(multiple = false)]
struct KindArgs {
    /// A strategy that looks up again and again (the default)
    #[arg(long)]
    poll: bool,
    /// A strategy that is told of changes
    #[arg(long)]
    watch: bool,
    /// A connector: it makes and breaks links
    #[arg(long)]
    connector: bool,
}

/// What differs between the three.
struct Kind {
    word: &'static str,
    what: &'static str,
    code: &'static str,
    tests: &'static str,
    cluster: &'static str,
    /// A config to try it with, of a strategy.
    config: Option<&'static str>,
}

const POLL: Kind = Kind {
    word: "strategy",
    what: "It finds each address that a name resolves to.",
    code: include_str!("../../../templates/poll/lib.rs"),
    tests: include_str!("../../../templates/poll/tests.rs"),
    cluster: include_str!("../../../templates/cluster.toml.strategy"),
    config: Some("{ host = \"localhost\" }"),
};
const WATCH: Kind = Kind {
    word: "strategy",
    what: "It follows a registry that tells of each change.",
    code: include_str!("../../../templates/watch/lib.rs"),
    tests: include_str!("../../../templates/watch/tests.rs"),
    cluster: include_str!("../../../templates/cluster.toml.strategy"),
    config: Some("{ registry = \"127.0.0.1:7000\" }"),
};
const CONNECTOR: Kind = Kind {
    word: "connector",
    what: "Its links are TCP connections that stay open.",
    code: include_str!("../../../templates/connector/lib.rs"),
    tests: include_str!("../../../templates/connector/tests.rs"),
    cluster: include_str!("../../../templates/cluster.toml.connector"),
    config: None,
};

const CARGO: &str = include_str!("../../../templates/cargo.toml.template");
const CLIPPY: &str = include_str!("../../../templates/clippy.toml.template");
const GITIGNORE: &str = include_str!("../../../templates/gitignore.template");
const README: &str = include_str!("../../../templates/README.md.template");

/// The mode of new directories, whatever the umask allows: no plugin is loaded from below one that others can write to.
const DIRECTORY_MODE: u32 = 0o755;

/// Runs the command.
///
/// # Errors
/// When something is there already, or cannot be written; what was written before stays.
pub(super) fn new(args: &NewArgs, out: &mut dyn Write) -> Result<ExitCode> {
    let kind = args.kind.kind();
    let sdk = args.sdk.clone().unwrap_or_default();
    let crate_name = format!("{}-{}", kind.word, args.name);
    let directory = args.path.clone().unwrap_or_else(|| PathBuf::from(&crate_name));
    ensure_free(&directory)?;
    let library = crate_name.replace('-', "_");
    let file = format!("lib{library}.so");
    let attempt = match kind.config {
        Some(config) => format!("cluster-host discover {} --config '{config}'", args.name),
        None => format!("cluster-host strategies describe {}", args.name),
    };
    let fill = |template: &str| {
        let parts = [
            ("@CRATE@", crate_name.as_str()),
            ("@LIB@", &library),
            ("@WORD@", kind.word),
            ("@WHAT@", kind.what),
            ("@TRY@", &attempt),
            ("@CONFIG@", kind.config.unwrap_or_default()),
            ("@RUST@", env!("CARGO_PKG_RUST_VERSION")),
            ("@SDK@", &sdk.dependency()),
            ("newcomer", args.name.as_str()),
            ("Newcomer", &args.name.type_name()),
        ];
        parts.iter().fold(template.to_owned(), |text, (placeholder, value)| text.replace(placeholder, value))
    };
    for (name, template) in [
        ("Cargo.toml", CARGO),
        ("clippy.toml", CLIPPY),
        (".gitignore", GITIGNORE),
        ("README.md", README),
        ("cluster.toml", kind.cluster),
        ("src/lib.rs", kind.code),
        ("src/tests.rs", kind.tests),
    ] {
        write(&directory.join(name), fill(template).as_bytes())?;
    }
    // What the SDK was tested with.
    if let Some(lock) = sdk.lock() {
        write(&directory.join("Cargo.lock"), &lock)?;
    }
    let shown = directory.display();
    writeln!(out, "{shown}: a {} {}, ready to build. Next:", kind.word, args.name)?;
    writeln!(out, "  cd {shown} && cargo test && cargo build")?;
    writeln!(out, "  install -D -m 644 target/debug/{file} plugins/{file}")?;
    writeln!(out, "  {attempt}")?;
    Ok(ExitCode::SUCCESS)
}

fn ensure_free(directory: &Path) -> Result<()> {
    let shown = directory.display();
    match fs::read_dir(directory) {
        Ok(mut entries) => {
            ensure!(entries.next().is_none(), "{shown} is not empty: name another directory by --path");
            Ok(())
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error).with_context(|| format!("{shown}: name another directory by --path")),
    }
}

fn write(path: &Path, text: &[u8]) -> Result<()> {
    let create = |directory| DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(directory);
    let written = path.parent().map_or(Ok(()), create);
    let written = written.and_then(|()| File::create_new(path)?.write_all(text));
    written.with_context(|| path.display().to_string())
}

// === impl KindArgs ===

impl KindArgs {
    fn kind(self) -> &'static Kind {
        match self {
            Self { watch: true, .. } => &WATCH,
            Self { connector: true, .. } => &CONNECTOR,
            Self { .. } => &POLL,
        }
    }
}
