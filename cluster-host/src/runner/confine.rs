//! What a runner takes away from itself before it loads anything, and the word to the operator where it cannot.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::Once,
};

use landlock::{
    ABI, Access as _, AccessFs, BitFlags, CompatLevel, Compatible as _, PathBeneath, PathFd, Ruleset,
    RulesetAttr as _, RulesetCreated, RulesetCreatedAttr as _, RulesetError, RulesetStatus, Scope,
};
use rustix::{
    process::{Resource, Rlimit, setrlimit},
    thread::set_no_new_privs,
};
use tracing::warn;

use super::setup::Setup;

/// Descriptors that a runner may have open.
const FILES_MAX: u64 = 1024;
/// The newest rights and scopes that are taken away, where the kernel knows them.
const LANDLOCK: ABI = ABI::V9;

/// What programs need of a system: libraries, programs, settings, certificates, and what it tells of itself. `/proc/self`
/// is the runner: what other processes have in their environment is not to be read.
const SYSTEM: [&str; 19] = [
    "/usr",
    "/lib",
    "/lib32",
    "/lib64",
    "/bin",
    "/sbin",
    "/nix/store",
    "/etc",
    "/dev/random",
    "/dev/urandom",
    "/proc/self",
    "/proc/sys",
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/proc/stat",
    "/sys/fs/cgroup",
    "/sys/devices/system/cpu",
    "/run/secrets/kubernetes.io",
    "/run/secrets/eks.amazonaws.com",
];

/// Confines this process, which has one thread. Of what the kernel does not have, Landlock alone is done without.
pub(super) fn confine(setup: &Setup, plugin: Option<&File>) -> io::Result<()> {
    set_no_new_privs(true)?;
    limit(Resource::Core, 0)?;
    // Not the address space: each thread of the C library reserves 64 MiB there, of which it uses next to nothing.
    limit(Resource::Data, setup.memory_bytes_max)?;
    limit(Resource::Nofile, FILES_MAX)?;
    landlock(setup, plugin).map(drop).map_err(io::Error::other)
}

fn limit(resource: Resource, max: u64) -> io::Result<()> {
    let hard = rustix::process::getrlimit(resource).maximum;
    let max = Some(hard.map_or(max, |hard| hard.min(max)));
    Ok(setrlimit(resource, Rlimit { current: max, maximum: max })?)
}

fn landlock(setup: &Setup, plugin: Option<&File>) -> Result<RulesetStatus, RulesetError> {
    let (read, write) = (AccessFs::from_read(LANDLOCK), AccessFs::from_all(LANDLOCK));
    let ruleset = Ruleset::default().handle_access(write)?.scope(Scope::from_all(LANDLOCK))?.create()?;
    let system = SYSTEM.into_iter().map(PathBuf::from).chain(resolver());
    let mut ruleset = allow(ruleset, system, read)?;
    ruleset = allow(ruleset, setup.read.iter().cloned(), read)?;
    ruleset = allow(ruleset, setup.write.iter().cloned(), write)?;
    ruleset = allow(ruleset, ["/dev/null", "/dev/zero"].map(PathBuf::from).into_iter(), write)?;
    if let Some(plugin) = plugin {
        // The loader opens it once more, by its descriptor. What is in memory alone is in no file system: for that there
        // can be no rule, and it needs none.
        let allowed =
            ruleset.try_clone().map(|copy| copy.add_rule(PathBeneath::new(plugin, AccessFs::ReadFile)));
        if let Ok(Ok(allowed)) = allowed {
            ruleset = allowed;
        }
    }
    ruleset.restrict_self().map(|restricted| restricted.ruleset)
}

/// Whether files can be taken away at all.
fn has_landlock() -> bool {
    let ruleset = Ruleset::default().set_compatibility(CompatLevel::HardRequirement);
    ruleset.handle_access(AccessFs::Execute).and_then(Ruleset::create).is_ok()
}

/// Tells the host's operator, once, where [`confine`] takes no files away.
pub(super) fn warn_of_open_files() {
    static TOLD: Once = Once::new();
    TOLD.call_once(|| {
        if !has_landlock() {
            warn!(
                "plugins in processes of their own can open whatever their user can: this kernel has no Landlock, or its calls are \
                 forbidden; have a kernel with it, and allow landlock_* where system calls are filtered"
            );
        }
    });
}

/// What is not there is nothing to allow.
fn allow(
    mut ruleset: RulesetCreated,
    paths: impl Iterator<Item = PathBuf>,
    access: BitFlags<AccessFs>,
) -> Result<RulesetCreated, RulesetError> {
    for path in paths {
        if let Ok(path) = PathFd::new(&path) {
            ruleset = ruleset.add_rule(PathBeneath::new(path, access))?;
        }
    }
    Ok(ruleset)
}

/// Where the name servers are written down, if not in `/etc`. The directory, because the file is exchanged.
fn resolver() -> Option<PathBuf> {
    fs::canonicalize("/etc/resolv.conf").ok()?.parent().map(Path::to_owned)
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Write as _, os::fd::AsRawFd as _, thread};

    use rustix::fs::{MemfdFlags, memfd_create};

    use super::{super::setup::PluginName, *};

    /// What is named may be read, and the plugin, which may have no name at all; what is not named may not, where the
    /// kernel has Landlock.
    #[test]
    fn files() {
        let directory = tempfile::tempdir().unwrap();
        let [named, other, plugin] = ["named", "other", "plugin"].map(|name| directory.path().join(name));
        for path in [&named, &other, &plugin] {
            fs::write(path, "text").unwrap();
        }
        let mut memory = File::from(memfd_create("plugin", MemfdFlags::CLOEXEC).unwrap());
        memory.write_all(b"text").unwrap();
        for plugin in [memory, File::open(&plugin).unwrap()] {
            let setup = Setup {
                plugin: PluginName::Builtin(String::new()),
                read: vec![named.clone(), "/does/not/exist".into()],
                write: Vec::new(),
                memory_bytes_max: 0,
            };
            let (named, other) = (named.clone(), other.clone());
            // Landlock confines one thread and those that it starts.
            let confined = thread::spawn(move || {
                set_no_new_privs(true).unwrap();
                let status = landlock(&setup, Some(&plugin)).unwrap();
                let by_descriptor = format!("/proc/self/fd/{}", plugin.as_raw_fd());
                let can = [named, by_descriptor.into(), other].map(|path| fs::read(path).is_ok());
                assert_eq!(has_landlock(), status != RulesetStatus::NotEnforced);
                (can, !has_landlock())
            });
            let (can, is_open) = confined.join().unwrap();
            assert_eq!(can, [true, true, is_open]);
        }
    }
}
