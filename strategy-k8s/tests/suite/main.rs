//! The strategy against API servers on real sockets: the small one of `tests/apiserver`, and a real `kube-apiserver` with
//! its `etcd` where they are on the PATH or named by `KUBE_APISERVER` and `ETCD`.
//!
//! ```text
//! scenarios ──► Cluster ──► Rest (objects, Roles: HTTPS as `admin`) ──► Server: Fake, Real
//!     └───────► Followed (the strategy in a test host) ──────────────────►
//! ```
//!
//! Each scenario is a test `fake::NAME` and a test `real::NAME`. Without a real server the latter are ignored, not passed.
#![allow(
    clippy::panic,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "all of this is a test, though the compiler is not told so"
)]

mod certificates;
mod cluster;
mod driver;
mod fake;
mod followed;
mod real;
mod rest;
mod scenarios;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

use self::{cluster::Cluster, fake::Fake, real::Binaries, real::Real};

/// Why the tests against a real server are left out.
const NO_SERVER: &str = "no kube-apiserver: set KUBE_APISERVER and ETCD, or have both on the PATH";

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let binaries = match Binaries::of_this_process() {
        Ok(binaries) => binaries,
        Err(problem) => {
            eprintln!("{problem}");
            return ExitCode::FAILURE;
        }
    };
    let mut trials = driver::trials();
    for (name, scenario) in scenarios::ALL {
        trials.push(Trial::test(format!("fake::{name}"), move || {
            scenario(&Cluster::new(Fake::start()));
            Ok(())
        }));
        let here = binaries.clone();
        let real = Trial::test(format!("real::{name}"), move || {
            // Whoever asks for ignored tests is told that there is nothing to run them against.
            scenario(&Cluster::new(Real::start(&here.ok_or(NO_SERVER)?)));
            Ok(())
        });
        trials.push(real.with_ignored_flag(binaries.is_none()));
    }
    if binaries.is_none() && !arguments.list {
        eprintln!("tests real::* are ignored ({NO_SERVER})");
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}
