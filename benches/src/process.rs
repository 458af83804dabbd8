//! What a process costs, read from `/proc`.

use std::{error::Error, fs, process::Child, time::Duration};

/// A process that is killed when this is dropped.
#[derive(Debug)]
pub struct Process(pub Child);

/// Memory of a process, in KiB.
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    /// What it alone has.
    pub private: u64,
    /// What of that was written to.
    pub dirty: u64,
    /// That, and its share of what it has in common with others.
    pub pss: u64,
    /// All that it has mapped in memory.
    pub rss: u64,
    /// What is not backed by a file: program text is given up when memory is short, this is not.
    pub anonymous: u64,
}

// === impl Process ===

impl Process {
    /// Its memory.
    ///
    /// # Errors
    /// The process has ended, or the kernel does not tell.
    pub fn memory(&self) -> Result<Memory, Box<dyn Error>> {
        Memory::of(self.0.id())
    }

    /// CPU time that all its threads have used.
    ///
    /// # Errors
    /// The process has ended, or the kernel does not tell.
    pub fn cpu(&self) -> Result<Duration, Box<dyn Error>> {
        let mut total = 0;
        for task in fs::read_dir(format!("/proc/{}/task", self.0.id()))? {
            let schedstat = fs::read_to_string(task?.path().join("schedstat"))?;
            total += schedstat.split_whitespace().next().ok_or("no schedstat")?.parse::<u64>()?;
        }
        Ok(Duration::from_nanos(total))
    }
}

// === impl Memory ===

impl Memory {
    /// That of any process.
    ///
    /// # Errors
    /// The process has ended, or the kernel does not tell.
    pub fn of(process: u32) -> Result<Self, Box<dyn Error>> {
        let rollup = fs::read_to_string(format!("/proc/{process}/smaps_rollup"))?;
        let kib = |name: &str| -> Result<u64, Box<dyn Error>> {
            let words = rollup.lines().map(str::split_whitespace);
            let mut values =
                words.filter_map(|mut words| (words.next() == Some(name)).then(|| words.next())?);
            Ok(values.next().ok_or_else(|| format!("no {name} in smaps_rollup"))?.parse()?)
        };
        let dirty = kib("Private_Dirty:")?;
        let private = kib("Private_Clean:")? + dirty;
        Ok(Self { private, dirty, pss: kib("Pss:")?, rss: kib("Rss:")?, anonymous: kib("Anonymous:")? })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Gone already, or gone now.
        self.0.kill().unwrap_or_default();
        let _status = self.0.wait();
    }
}
