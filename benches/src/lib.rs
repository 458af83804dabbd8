//! Measuring, and showing what was measured: rivals take turns in the same run, the median of the rounds counts, and
//! a line says whether the goal was reached.
//!
//! Each benchmark is a binary: `cargo run --release -p benches --bin fanout`. It fails when a goal was missed.

#![allow(clippy::print_stdout, reason = "a benchmark's results are what it prints")]

mod lines;
mod process;
pub mod rollout;

use std::{process::ExitCode, thread, time::Duration};

use rustix::time::{ClockId, clock_gettime};

pub use self::{
    lines::Lines,
    process::{Memory, Process},
};

/// How often each rival is measured: the median of so many shrugs off a busy machine.
pub const ROUNDS: usize = 5;

/// How long anything may take.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Lets time pass.
#[expect(
    clippy::disallowed_methods,
    reason = "what is measured is that nothing happens for a while, or polled"
)]
pub fn pause(time: Duration) {
    thread::sleep(time);
}

/// CPU time that this thread has used: other processes do not count, however busy the machine is.
#[must_use]
pub fn thread_cpu() -> Duration {
    now(ClockId::ThreadCPUTime)
}

/// Time that passes, whoever uses it.
#[must_use]
pub fn wall() -> Duration {
    now(ClockId::Monotonic)
}

fn now(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanoseconds = u32::try_from(time.tv_nsec).unwrap_or(0);
    Duration::new(seconds, nanoseconds)
}

/// CPU nanoseconds of this thread for each of `count` repetitions that `work` does.
pub fn cpu_ns_each(count: usize, work: impl FnOnce()) -> f64 {
    let start = thread_cpu();
    work();
    ns_each(thread_cpu().saturating_sub(start), count)
}

/// A duration as nanoseconds for each of `count`.
#[must_use]
pub fn ns_each(duration: Duration, count: usize) -> f64 {
    let count = u32::try_from(count).map_or(f64::NAN, f64::from);
    duration.as_secs_f64() * 1e9 / count
}

/// Repeats a measurement of rivals, each in its turn, and gives the median of each.
pub fn rounds<const RIVALS: usize>(mut measure: impl FnMut() -> [f64; RIVALS]) -> [f64; RIVALS] {
    let mut figures = [(); RIVALS].map(|()| Vec::with_capacity(ROUNDS));
    for _round in 0..ROUNDS {
        for (figure, figures) in measure().into_iter().zip(&mut figures) {
            figures.push(figure);
        }
    }
    figures.map(median)
}

/// The one in the middle.
#[must_use]
pub fn median(figures: Vec<f64>) -> f64 {
    percentile(figures, 50)
}

/// The smallest figure that at least so many percent of the figures do not exceed.
#[must_use]
pub fn percentile(mut figures: Vec<f64>, percent: usize) -> f64 {
    figures.sort_by(f64::total_cmp);
    let index = (figures.len() * percent).div_ceil(100).saturating_sub(1);
    figures.get(index).copied().unwrap_or(f64::NAN)
}

/// The lines of one benchmark, and whether every goal in them was reached.
#[derive(Debug)]
pub struct Table {
    name: &'static str,
    missed: usize,
}

impl Table {
    /// An empty table.
    #[must_use]
    pub fn new(name: &'static str) -> Self {
        Self { name, missed: 0 }
    }

    /// Prints a line without a goal.
    pub fn note(&self, line: &str) {
        println!("{} {line}", self.name);
    }

    /// Prints ours beside the rival's figure (in nanoseconds), with the largest ratio that is good enough; without
    /// one the ratio is only shown.
    pub fn ratio(&mut self, case: &str, ours: f64, (rival, theirs): (&str, f64), goal: Option<f64>) {
        let ratio = ours / theirs;
        let line = format!(
            "{} {case}: ours {}, {rival} {}, ratio {ratio:.3}",
            self.name,
            nanoseconds(ours),
            nanoseconds(theirs)
        );
        match goal {
            Some(goal) => println!("{line} (goal ≤ {goal:.3}) {}", self.verdict(ratio <= goal)),
            None => println!("{line}"),
        }
    }

    /// Prints a statement and whether it holds.
    pub fn check(&mut self, statement: &str, holds: bool) {
        let verdict = self.verdict(holds);
        println!("{} {statement}: {verdict}", self.name);
    }

    fn verdict(&mut self, reached: bool) -> &'static str {
        if reached {
            return "ok";
        }
        self.missed += 1;
        "MISSED"
    }

    /// Fails if a goal was missed.
    #[must_use]
    pub fn exit(self) -> ExitCode {
        if self.missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

/// Nanoseconds in the unit that reads best.
fn nanoseconds(figure: f64) -> String {
    match figure {
        _ if figure < 1e3 => format!("{figure:.1} ns"),
        _ if figure < 1e6 => format!("{:.1} us", figure / 1e3),
        _ => format!("{:.2} ms", figure / 1e6),
    }
}

/// A plugin as `make plugins` has built it: beside this program there may be one without link-time optimisation.
#[must_use]
pub fn plugin(file: &str) -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins").join(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Percentiles are figures that were measured, and the units are those a reader would take.
    #[test]
    fn figures() {
        let hundred = || (1_u8..=100).map(f64::from).collect();
        assert_eq!([1, 50, 99, 100].map(|percent| percentile(hundred(), percent)), [1.0, 50.0, 99.0, 100.0]);
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!([1.94, 5_270.0, 24_600_000.0].map(nanoseconds), ["1.9 ns", "5.3 us", "24.60 ms"]);
    }
}
