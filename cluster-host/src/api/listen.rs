//! Where the API listens, and taking that place: a Unix socket that only its owner may open, or a port on loopback.

use std::{
    fmt,
    fs::{self, File},
    io,
    net::{SocketAddr, TcpListener},
    os::unix::{
        fs::{FileTypeExt, MetadataExt, PermissionsExt},
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    str::FromStr,
};

use socket2::{Domain, SockAddr, Socket, Type};

use super::access::{Access, AccessConfig, AccessError};
use crate::takeover;

/// Connections that the kernel keeps waiting while we accept others.
const BACKLOG: i32 = 1024;

/// Where the service (`contrib/systemd`) has its socket. Nobody but root makes a directory in `/run`.
pub(crate) const SERVICE_DIRECTORY: &str = "/run/cluster-host";

/// Where the API listens: `unix:PATH`, or `ADDR:PORT`; on an address that is not loopback's only where something says who
/// may ask.
///
/// # Examples
///
/// ```
/// use cluster_host::api::ListenAddress;
///
/// let socket = ListenAddress::parse("unix:/run/cluster-host.sock")?;
/// assert!(!socket.is_open(), "only this machine reaches it");
/// let port: ListenAddress = "localhost:4444".parse()?;
/// assert_eq!(port.to_string(), "127.0.0.1:4444");
/// assert!(ListenAddress::parse("0.0.0.0:4444")?.is_open());
/// assert!(ListenAddress::parse("/run/cluster-host.sock").is_err(), "a path begins with unix:");
/// # Ok::<(), cluster_host::api::ListenError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListenAddress {
    /// A Unix socket.
    Unix(PathBuf),
    /// A port; port 0 takes a free one.
    Tcp(SocketAddr),
}

/// Why the API cannot listen there. Nothing is left behind; the operator can mend all of them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListenError {
    /// The text is no address.
    #[error(
        "{0:?} is no address to listen on: write unix:PATH or ADDR:PORT, as unix:/run/cluster-host.sock or 127.0.0.1:4444"
    )]
    NotAddress(String),
    /// An address that others can reach, and why it may not be so.
    #[error("cannot listen on {0}: {1}")]
    NotLoopback(SocketAddr, &'static str),
    /// A file that says who may ask cannot be used.
    #[error("cannot listen on {0}: {1}")]
    Access(ListenAddress, #[source] AccessError),
    /// Somebody answers there.
    #[error("cannot listen on {0}: another process already does")]
    InUse(ListenAddress),
    /// Something that is not ours to remove.
    #[error("cannot listen on {0}: there is a file that is no socket; remove it or name another path")]
    NotSocket(ListenAddress),
    /// The path's directory is missing.
    #[error("cannot listen on {0}: the directory does not exist; create it or name another path")]
    NoDirectory(ListenAddress),
    /// The system says no.
    #[error("cannot listen on {address}: {source}")]
    Io {
        /// Where.
        address: ListenAddress,
        /// What it says.
        #[source]
        source: io::Error,
    },
}

/// The place, taken. The socket file goes when this is dropped, if it is still ours.
///
/// # Examples
///
/// ```
/// use cluster_host::api::{AccessConfig, ListenAddress, ListenError, Listener};
///
/// // Of port 0 it takes one that is free.
/// let listener = Listener::bind(&"127.0.0.1:0".parse()?)?;
/// assert_ne!(listener.address().to_string(), "127.0.0.1:0");
/// assert!(matches!(Listener::bind(listener.address()), Err(ListenError::InUse(_))));
///
/// // Where others can come, something has to say who may ask.
/// let open = ListenAddress::parse("0.0.0.0:4444")?;
/// let refused = Listener::bind_guarded(&open, &AccessConfig::default());
/// assert!(matches!(refused, Err(ListenError::NotLoopback(..))));
///
/// // A socket's file goes with it.
/// let directory = tempfile::tempdir()?;
/// let path = directory.path().join("api.sock");
/// let listener = Listener::bind_probes(&ListenAddress::Unix(path.clone()))?;
/// assert!(path.exists());
/// drop(listener);
/// assert!(!path.exists());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Listener {
    pub(super) socket: ListeningSocket,
    pub(super) place: Place,
    pub(super) access: Access,
}

#[derive(Debug)]
pub(super) enum ListeningSocket {
    Unix(UnixListener),
    Tcp(TcpListener),
}

/// Gives the place free when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) address: ListenAddress,
    /// Device and inode of the socket file.
    file: Option<(u64, u64)>,
}

// === impl ListenAddress ===

impl ListenAddress {
    /// Parses `unix:PATH` or `ADDR:PORT`.
    ///
    /// # Errors
    /// [`ListenError::NotAddress`].
    pub fn parse(text: &str) -> Result<Self, ListenError> {
        let not_address = || ListenError::NotAddress(text.to_owned());
        if let Some(path) = text.strip_prefix("unix:") {
            return if path.is_empty() { Err(not_address()) } else { Ok(Self::Unix(path.into())) };
        }
        let address = match text.strip_prefix("localhost:") {
            Some(port) => SocketAddr::from(([127, 0, 0, 1], port.parse().map_err(|_no_port| not_address())?)),
            None => text.parse().map_err(|_no_address| not_address())?,
        };
        Ok(Self::Tcp(address))
    }

    /// Whether others can reach it.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(self, Self::Tcp(address) if !address.ip().is_loopback())
    }
}

impl Default for ListenAddress {
    /// The same rule in the daemon and in the commands that look for it. A service is given `$RUNTIME_DIRECTORY`: there.
    /// For root in `/run/cluster-host`, which is there while the service runs, or in `/run`, whatever else the
    /// environment says, because services and log-in shells differ in it. For others `cluster-host.sock` in
    /// `$XDG_RUNTIME_DIR`, or in `/run/user/UID` where the variable is not set, or, where that does not exist (as in
    /// containers), `/tmp/cluster-host-UID.sock`.
    fn default() -> Self {
        let user = rustix::process::geteuid();
        let directory = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let (service, runtime) = (directory("RUNTIME_DIRECTORY"), directory("XDG_RUNTIME_DIR"));
        let given = service.or_else(|| runtime.filter(|_| !user.is_root()));
        Self::Unix(default_path(user.as_raw(), user.is_root(), given.as_deref(), &Path::is_dir))
    }
}

fn default_path(user: u32, root: bool, given: Option<&Path>, is_dir: &dyn Fn(&Path) -> bool) -> PathBuf {
    const FILE: &str = "cluster-host.sock";
    let (service, users) = (Path::new(SERVICE_DIRECTORY), PathBuf::from(format!("/run/user/{user}")));
    match given {
        Some(directory) => directory.join(FILE),
        None if root && is_dir(service) => service.join(FILE),
        None if root => Path::new("/run").join(FILE),
        None if is_dir(&users) => users.join(FILE),
        None => PathBuf::from(format!("/tmp/cluster-host-{user}.sock")),
    }
}

impl FromStr for ListenAddress {
    type Err = ListenError;
    fn from_str(text: &str) -> Result<Self, ListenError> {
        Self::parse(text)
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp(address) => write!(f, "{address}"),
        }
    }
}

// === impl Listener ===

impl Listener {
    /// Takes the place, which only this machine can reach. A socket file that a dead process left is replaced.
    ///
    /// # Errors
    /// [`ListenError`].
    pub fn bind(address: &ListenAddress) -> Result<Self, ListenError> {
        Self::bind_guarded(address, &AccessConfig::default())
    }

    /// Takes the place, and lets in whom the configuration says. On a Unix socket that is its owner, whatever it says.
    ///
    /// # Errors
    /// [`ListenError`].
    pub fn bind_guarded(address: &ListenAddress, access: &AccessConfig) -> Result<Self, ListenError> {
        match address {
            ListenAddress::Tcp(tcp) => {
                if let Some(why) = access.refusal().filter(|_| address.is_open()) {
                    return Err(ListenError::NotLoopback(*tcp, why));
                }
                let access = access.load().map_err(|error| ListenError::Access(address.clone(), error))?;
                Ok(Self { access, ..take_tcp(address, *tcp)? })
            }
            ListenAddress::Unix(path) => take(|| bind_unix(address, path)),
        }
    }

    /// Takes the place for probes, which may be one that others can reach.
    ///
    /// # Errors
    /// [`ListenError`].
    pub fn bind_probes(address: &ListenAddress) -> Result<Self, ListenError> {
        match address {
            ListenAddress::Tcp(tcp) => take_tcp(address, *tcp),
            ListenAddress::Unix(_) => Self::bind(address),
        }
    }

    /// Where it listens; of port 0 the port that was free.
    #[must_use]
    pub fn address(&self) -> &ListenAddress {
        &self.place.address
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let (ListenAddress::Unix(path), Some(file)) = (&self.address, self.file)
            && fs::symlink_metadata(path).is_ok_and(|now| (now.dev(), now.ino()) == file)
            && let Err(error) = fs::remove_file(path)
        {
            tracing::warn!(path = %path.display(), err = %error, "cannot remove the API's socket");
        }
    }
}

fn take<T>(bind: impl FnMut() -> Result<T, ListenError>) -> Result<T, ListenError> {
    takeover::take(bind, |error| matches!(error, ListenError::InUse(_)))
}

fn take_tcp(address: &ListenAddress, tcp: SocketAddr) -> Result<Listener, ListenError> {
    let listener = take(|| TcpListener::bind(tcp).map_err(|error| refused(address, error)))?;
    let tcp = listener.local_addr().map_err(|error| refused(address, error))?;
    let place = Place { address: ListenAddress::Tcp(tcp), file: None };
    Ok(Listener { socket: ListeningSocket::Tcp(listener), place, access: Access::default() })
}

fn bind_unix(address: &ListenAddress, path: &Path) -> Result<Listener, ListenError> {
    // Of two that start at once and both see a dead socket, one would remove the other's live one. A lock on the
    // directory leaves nothing behind. Where it cannot be had, going on without it is better than not starting.
    let directory =
        path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let directory = File::open(directory).ok();
    if let Some(directory) = &directory
        && let Err(error) = directory.try_lock()
    {
        tracing::debug!(err = %error, "the directory of the API's socket is not locked");
    }
    let listener = match listen(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            remove_dead(address, path)?;
            listen(path)
        }
        other => other,
    };
    let listener = listener.map_err(|error| refused(address, error))?;
    let file = fs::symlink_metadata(path).map_err(|error| refused(address, error))?;
    let place = Place { address: address.clone(), file: Some((file.dev(), file.ino())) };
    Ok(Listener { socket: ListeningSocket::Unix(listener), place, access: Access::default() })
}

/// Nobody can connect between `bind` and `listen`, so nobody slips in before the mode is set.
fn listen(path: &Path) -> io::Result<UnixListener> {
    let address = SockAddr::unix(path)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.bind(&address)?;
    let listening =
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).and_then(|()| socket.listen(BACKLOG));
    if let Err(error) = listening {
        fs::remove_file(path)?;
        return Err(error);
    }
    Ok(socket.into())
}

/// Removes a socket that nobody listens on.
fn remove_dead(address: &ListenAddress, path: &Path) -> Result<(), ListenError> {
    let is_socket =
        fs::symlink_metadata(path).map_err(|error| refused(address, error))?.file_type().is_socket();
    if !is_socket {
        return Err(ListenError::NotSocket(address.clone()));
    }
    match UnixStream::connect(path) {
        Ok(_answered) => Err(ListenError::InUse(address.clone())),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(|error| refused(address, error))
        }
        // Gone meanwhile.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(refused(address, error)),
    }
}

fn refused(address: &ListenAddress, source: io::Error) -> ListenError {
    let address = address.clone();
    match (source.kind(), &address) {
        (io::ErrorKind::AddrInUse, _) => ListenError::InUse(address),
        (io::ErrorKind::NotFound, ListenAddress::Unix(_)) => ListenError::NoDirectory(address),
        _ => ListenError::Io { address, source },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is an address, and which line refuses what is none.
    #[test]
    fn addresses() {
        for good in ["unix:/run/x.sock", "unix:x.sock", "127.0.0.1:4444", "127.0.0.2:0", "[::1]:4444"] {
            assert_eq!(ListenAddress::parse(good).unwrap().to_string(), good);
        }
        assert_eq!(ListenAddress::parse("localhost:80").unwrap().to_string(), "127.0.0.1:80");
        for remote in ["0.0.0.0:4444", "[::]:4444", "10.0.0.1:4444", "[::ffff:127.0.0.1]:4444"] {
            let address = ListenAddress::parse(remote).unwrap();
            assert!(address.is_open());
            assert!(matches!(Listener::bind(&address), Err(ListenError::NotLoopback(..))), "{remote}");
        }
        for bad in ["", "unix:", "/run/x.sock", "4444", "127.0.0.1", "example.org:80", "localhost:x"] {
            assert!(matches!(ListenAddress::parse(bad), Err(ListenError::NotAddress(_))), "{bad}");
        }
    }

    /// Daemon and client come to the same default, for root and for users, with and without a session.
    #[test]
    fn default_paths() {
        let path = |user, given: Option<&str>, exists| {
            default_path(user, user == 0, given.map(Path::new), &|_| exists).display().to_string()
        };
        assert_eq!(path(0, None, false), "/run/cluster-host.sock");
        assert_eq!(path(0, None, true), "/run/cluster-host/cluster-host.sock");
        assert_eq!(path(0, Some("/run/other"), true), "/run/other/cluster-host.sock");
        assert_eq!(path(7, Some("/x"), true), "/x/cluster-host.sock");
        assert_eq!(path(7, None, true), "/run/user/7/cluster-host.sock");
        assert_eq!(path(7, None, false), "/tmp/cluster-host-7.sock");
    }

    /// The socket is its owner's alone, a live one is not taken over, and it is gone afterwards.
    #[test]
    fn socket_is_private_and_exclusive() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("api.sock");
        let address = ListenAddress::Unix(path.clone());
        let listener = Listener::bind(&address).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(matches!(Listener::bind(&address), Err(ListenError::InUse(_))));
        assert!(path.exists(), "the refused one leaves the live one alone");
        drop(listener);
        assert!(!path.exists());
    }

    /// What a dead process left is replaced, and what another put in our place since is not removed.
    #[test]
    fn dead_socket_is_replaced() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("api.sock");
        let address = ListenAddress::Unix(path.clone());
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists(), "the standard library's listener leaves its file");
        let first = Listener::bind(&address).unwrap();
        fs::remove_file(&path).unwrap();
        let second = Listener::bind(&address).unwrap();
        drop(first);
        assert!(path.exists());
        drop(second);
        assert!(!path.exists());
    }

    /// What the child of a killed host holds until it has become its command is waited for.
    #[test]
    fn held_for_a_moment() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("api.sock");
        let left = UnixListener::bind(&path).unwrap();
        let child = std::thread::spawn(move || {
            for _try in 0..2 {
                left.accept().unwrap();
            }
        });
        Listener::bind(&ListenAddress::Unix(path)).unwrap();
        child.join().unwrap();
    }

    /// Each failure has a line of its own.
    #[test]
    fn refusals() {
        let scratch = tempfile::tempdir().unwrap();
        let file = scratch.path().join("file");
        fs::write(&file, "precious").unwrap();
        let refusal = |path: &Path| {
            let address = ListenAddress::Unix(path.to_owned());
            Listener::bind(&address).unwrap_err().to_string().replace(scratch.path().to_str().unwrap(), "DIR")
        };
        assert_eq!(
            refusal(&file),
            "cannot listen on unix:DIR/file: there is a file that is no socket; remove it or name another path"
        );
        assert_eq!(fs::read(&file).unwrap(), b"precious");
        assert_eq!(
            refusal(&scratch.path().join("no/api.sock")),
            "cannot listen on unix:DIR/no/api.sock: the directory does not exist; create it or name another path"
        );
        let long = refusal(&scratch.path().join("x".repeat(200)));
        assert!(long.contains("path must be shorter than SUN_LEN"), "{long}");
        let tcp = Listener::bind(&ListenAddress::parse("127.0.0.1:0").unwrap()).unwrap();
        let taken = Listener::bind(tcp.address()).unwrap_err().to_string();
        assert_eq!(taken, format!("cannot listen on {}: another process already does", tcp.address()));
    }
}
