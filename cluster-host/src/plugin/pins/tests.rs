//! Pins with a real plugin: what may be loaded, what is kept, what can be gone back to.

mod keeping;
mod minisign;
mod swapping;

use std::{
    fs::{self, Permissions},
    os::unix::fs::{PermissionsExt as _, symlink},
};

use tempfile::TempDir;

use super::*;
use crate::{
    config::Config,
    plugin::{PluginFile, Registry, inspect_content},
};

/// The file of the plugin that is pinned.
const FILE: &str = "libplugin_faulty.so";

/// A plugin directory with one file in it, and a place for what is said about it.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        fs::create_dir(place.path("plugins")).unwrap();
        for directory in ["", "plugins"] {
            fs::set_permissions(place.path(directory), Permissions::from_mode(0o755)).unwrap();
        }
        place.put("one");
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn file(&self) -> PathBuf {
        self.path("plugins").join(FILE)
    }

    /// Puts a content in the place of the file as an upgrade does it. It is a working plugin with any mark.
    fn put(&self, mark: &str) -> ContentHash {
        write(&self.path("new"), &plugin(mark));
        fs::rename(self.path("new"), self.file()).unwrap();
        inspect_content(&self.file()).unwrap().content.unwrap()
    }

    fn config(&self, plugins: &str) -> PluginsConfig {
        let text = format!("[plugins]\n{plugins}\n");
        let loaded = Config::parse(&self.path("host.toml"), &text, &|_| None);
        loaded.unwrap_or_else(|problems| panic!("{problems:?}")).config.plugins
    }

    fn pin(&self, plugins: &str) -> Result<Registry, PinsError> {
        let mut registry = Registry::scan(&self.path("plugins"));
        registry.pin(&self.config(plugins)).map(|()| registry)
    }

    /// What becomes of the one file.
    fn state(&self, plugins: &str) -> String {
        let text = match self.pin(plugins) {
            Err(error) => format!("none: {error}"),
            Ok(registry) => match registry.files() {
                [PluginFile { result: Ok(inspected), pending: None, .. }] => inspected.standing.to_string(),
                [PluginFile { result: Ok(kept), pending: Some(refusal), .. }] => {
                    format!("{} in place of {refusal}", kept.path.display())
                }
                [PluginFile { result: Err(refusal), .. }] => refusal.to_string(),
                _ => panic!("one file"),
            },
        };
        assert!(!text.contains('\n'), "one line: {text}");
        text.replace(self.0.path().to_str().unwrap(), "DIR")
    }

    /// Writes a lock file with the contents that are valid, the newest first.
    fn lock(&self, contents: &[ContentHash]) {
        let mut lock = Lock::of(&[inspect_content(&self.file()).unwrap()]);
        let sample = lock.contents.pop().unwrap();
        lock.contents = contents
            .iter()
            .map(|sha256| super::super::LockedContent { sha256: *sha256, ..sample.clone() })
            .collect();
        write(&self.path("plugins.lock"), lock.render().unwrap().as_bytes());
    }
}

fn write(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).unwrap();
    fs::set_permissions(path, Permissions::from_mode(0o644)).unwrap();
}

/// A real plugin, which Cargo leaves beside the test as it is a dev-dependency, with a mark behind it that makes it
/// another content.
fn plugin(mark: &str) -> Vec<u8> {
    let path = std::env::current_exe().unwrap().with_file_name(FILE);
    let mut bytes = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    bytes.extend(mark.as_bytes());
    bytes
}

/// Nothing pinned, nothing asked; and where only pinned plugins are wanted, an unpinned one is refused with the
/// command that would pin it.
#[test]
fn unpinned() {
    let place = Place::new();
    assert_eq!(place.state(""), "unpinned");
    assert_eq!(place.pin("").unwrap().files()[0].result.as_ref().unwrap().content, None, "nothing is hashed");
    let not_pinned = "DIR/plugins/libplugin_faulty.so: not pinned; if you trust it, run \
                      cluster-host plugins lock --add --plugins DIR/plugins --output";
    assert_eq!(
        place.state("allow_unpinned = false"),
        format!("{not_pinned} plugins.lock, and set lock in [plugins]")
    );
    write(&place.path("plugins.lock"), b"format = 1\n");
    assert_eq!(place.state("lock = 'plugins.lock'"), format!("{not_pinned} DIR/plugins.lock"));
    assert_eq!(place.state("lock = 'plugins.lock'\nallow_unpinned = true"), "unpinned");
}

/// A name that is pinned has one of the contents that are valid, however it is allowed to others.
#[test]
fn pinned() {
    let place = Place::new();
    let (one, two) = (place.put("one"), place.put("two"));
    let three = place.put("three");
    assert_ne!(one, two);
    place.lock(&[two, one]);
    let in_config = format!("sha256.plugin-faulty = ['{two}', '{one}']");
    for (pins, standing) in [(in_config.as_str(), "pinned"), ("lock = 'plugins.lock'", "locked")] {
        for (mark, content) in [("one", one), ("two", two)] {
            assert_eq!(place.put(mark), content);
            assert_eq!(place.state(pins), standing, "{mark}");
        }
        place.put("three");
        let output = if pins.starts_with("lock") {
            "DIR/plugins.lock"
        } else {
            "plugins.lock, and set lock in [plugins]"
        };
        let refused = format!(
            "DIR/plugins/libplugin_faulty.so: not a content that is pinned for plugin-faulty: its SHA-256 is {three}; \
             if you trust it, run cluster-host plugins lock --add --plugins DIR/plugins --output {output}"
        );
        assert_eq!(place.state(pins), refused);
        assert_eq!(place.state(&format!("{pins}\nallow_unpinned = true")), refused);
    }
    assert_eq!(
        place.state(&format!("lock = 'plugins.lock'\nsha256.plugin-faulty = '{three}'")),
        "pinned",
        "either"
    );
}

/// Under pins the rights count as without: a pin is no reason to read what others may write or exchange.
#[test]
fn rights_count_too() {
    let place = Place::new();
    let one = place.put("one");
    let pins = format!("sha256.plugin-faulty = '{one}'");
    fs::set_permissions(place.file(), Permissions::from_mode(0o664)).unwrap();
    assert_eq!(
        place.state(&pins),
        "DIR/plugins/libplugin_faulty.so: group-writable (mode 0664); run chmod g-w DIR/plugins/libplugin_faulty.so"
    );
    fs::rename(place.file(), place.path("elsewhere")).unwrap();
    symlink(place.path("elsewhere"), place.file()).unwrap();
    assert_eq!(
        place.state(&pins),
        "DIR/plugins/libplugin_faulty.so: a symbolic link to DIR/elsewhere; \
         run cp --remove-destination DIR/elsewhere DIR/plugins/libplugin_faulty.so"
    );
}

/// A lock file that nobody need sign is as much as the plugins are; a link to it is followed, as its directory counts.
#[test]
fn lock_file_rights() {
    let place = Place::new();
    place.lock(&[place.put("one")]);
    let lock = place.path("plugins.lock");
    fs::set_permissions(&lock, Permissions::from_mode(0o666)).unwrap();
    assert_eq!(
        place.state("lock = 'plugins.lock'"),
        "none: the lock file DIR/plugins.lock: world-writable (mode 0666); run chmod go-w DIR/plugins.lock"
    );
    fs::set_permissions(&lock, Permissions::from_mode(0o644)).unwrap();
    symlink(&lock, place.path("link.lock")).unwrap();
    assert_eq!(place.state("lock = 'link.lock'"), "locked");
    assert_eq!(
        place.state("lock = 'missing.lock'"),
        "none: the lock file DIR/missing.lock cannot be read: No such file or directory (os error 2)"
    );
    rustix::fs::mknodat(rustix::fs::CWD, place.path("fifo"), rustix::fs::FileType::Fifo, 0o644.into(), 0)
        .unwrap();
    assert_eq!(
        place.state("lock = 'fifo'"),
        "none: the lock file DIR/fifo: a FIFO, not a regular file; remove it from the plugin directory"
    );
}

/// What a locked plugin offers is not taken from another one, even where unpinned ones are allowed.
#[test]
fn offers_are_not_taken() {
    let place = Place::new();
    let mut lock = Lock::of(&[inspect_content(&place.file()).unwrap()]);
    lock.contents[0].name = "honest".to_owned();
    write(&place.path("plugins.lock"), lock.render().unwrap().as_bytes());
    assert_eq!(
        place.state("lock = 'plugins.lock'\nallow_unpinned = true"),
        "DIR/plugins/libplugin_faulty.so: not pinned, but it offers the strategy fixed of honest, which is; \
         if you trust it, run cluster-host plugins lock --add --plugins DIR/plugins --output DIR/plugins.lock"
    );
}

/// Who embeds a host and has not pinned its registry has it pinned by the configuration, or no host; a host that runs
/// becomes what a configuration asks for in the same way, or stays what it is.
#[tokio::test]
async fn a_host_is_pinned_by_its_configuration() {
    let place = Place::new();
    let config = |plugins: &str| {
        let topology = "[topologies.t]\nstrategy = 'fixed'\nconnect = 'none'\nconfig = { nodes = [] }\n";
        let text = format!("{topology}[plugins]\n{plugins}\n");
        Config::parse(&place.path("host.toml"), &text, &|_| None).unwrap().config
    };
    let scanned = || Registry::scan(&place.path("plugins"));
    let start = |plugins: &str| crate::Host::builder(config(plugins), scanned()).start();
    for (plugins, reason) in
        [("allow_unpinned = false", "not pinned"), ("lock = 'missing.lock'", "cannot be read")]
    {
        let error = start(plugins).expect_err("no host").to_string();
        assert!(error.contains(reason), "{error}");
    }
    let one = place.put("one");
    let pinned = format!("sha256.plugin-faulty = '{one}'");
    start(&pinned).unwrap().stop().await;

    let host = start("").unwrap();
    let apply = async |plugins: &str| host.handle().apply(config(plugins), &mut scanned()).await;
    let error = apply("allow_unpinned = false").await.expect_err("nothing is changed").to_string();
    assert!(error.contains("not pinned"), "{error}");
    assert!(!apply(&pinned).await.unwrap().is_empty());
    host.stop().await;
}

/// Once a lock file cannot be believed nothing is loaded by what was believed before.
#[test]
fn nothing_is_left_of_a_registry_that_cannot_be_pinned() {
    let place = Place::new();
    let mut registry = place.pin("").unwrap();
    assert_eq!(registry.files().len(), 1);
    registry.pin(&place.config("lock = 'missing.lock'")).unwrap_err();
    assert_eq!(registry.files().len(), 0);
}
