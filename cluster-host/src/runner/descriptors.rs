//! The descriptors that a runner is started with: its end of the socket pair as standard input, its output, and by
//! accident whatever a library in the host has opened without `O_CLOEXEC`.

#![allow(
    unsafe_code,
    reason = "descriptors that nobody in this program has opened can only be closed by their numbers"
)]

use std::{
    fs, io,
    os::{
        fd::{FromRawFd as _, OwnedFd, RawFd},
        unix::net::UnixStream,
    },
};

use rustix::{fs as file, io::fcntl_dupfd_cloexec, stdio};

/// The descriptor of the socket from then on. It is not one that a plugin has to do with.
const SOCKET: RawFd = 3;

/// Closes everything but standard input, output and error; takes the socket out of the place of standard input, which
/// becomes `/dev/null`. Call it first of all, with one thread.
pub(super) fn take() -> io::Result<UnixStream> {
    let mut stray = Vec::new();
    for entry in fs::read_dir("/proc/self/fd")? {
        let number = entry?.file_name().to_str().and_then(|name| name.parse::<RawFd>().ok());
        stray.extend(number.filter(|number| *number >= SOCKET));
    }
    // That of the directory is among them, and closed.
    for number in stray {
        if fs::exists(format!("/proc/self/fd/{number}"))? {
            // SAFETY: it is open, and nothing in this process, which has only just begun, has opened it.
            drop(unsafe { OwnedFd::from_raw_fd(number) });
        }
    }
    let socket = fcntl_dupfd_cloexec(stdio::stdin(), SOCKET)?;
    let null = file::open("/dev/null", file::OFlags::RDWR | file::OFlags::CLOEXEC, file::Mode::empty())?;
    stdio::dup2_stdin(&null)?;
    rustix::net::sockopt::socket_domain(&socket).map_err(|_no_socket| {
        io::Error::other("this is no command: cluster-host starts it by itself to run a plugin")
    })?;
    Ok(socket.into())
}
