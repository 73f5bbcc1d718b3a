//! Which files are out, and what has been counted: a file counts once, when its report has arrived
//! whole.

use std::collections::{BTreeMap, HashMap};

use crate::count::Words;
use crate::worker::{Job, Report};

/// What the whole run found.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    pub(crate) files: u64,
    pub(crate) bytes: u64,
    pub(crate) words: Words,
    pub(crate) unreadable: u64,
    pub(crate) deaths: u64,
    pub(crate) workers: u64,
    pub(crate) seconds: f64,
}

/// The files that are out and the reports that are coming in.
#[derive(Default)]
pub(crate) struct Ledger {
    pub(crate) totals: Totals,
    /// Files given out and not reported yet, with the worker that said it has them.
    out: BTreeMap<u64, (Job, Option<u64>)>,
    /// Words of reports that are not whole yet, by worker.
    coming: HashMap<u64, Coming>,
    next_id: u64,
}

struct Coming {
    job: u64,
    parts: u64,
    words: Vec<(Vec<u8>, u64)>,
}

impl Ledger {
    /// A file to be given out.
    pub(crate) fn open(&mut self, path: Vec<u8>) -> Job {
        self.next_id += 1;
        let job = Job { id: self.next_id, path };
        self.out.insert(job.id, (job.clone(), None));
        job
    }

    /// How many files are out.
    pub(crate) fn out(&self) -> usize {
        self.out.len()
    }

    /// Takes in one report. Returns the path and the error of a file that could not be read.
    pub(crate) fn take(&mut self, report: Report) -> Option<(Job, String)> {
        match report {
            Report::Taken { worker, job } => {
                if let Some((_, holder)) = self.out.get_mut(&job) {
                    *holder = Some(worker);
                }
                self.coming.insert(worker, Coming { job, parts: 0, words: Vec::new() });
            }
            Report::Part { worker, job, words } => {
                if let Some(coming) = self.coming.get_mut(&worker).filter(|c| c.job == job) {
                    coming.parts += 1;
                    coming.words.extend(words);
                }
            }
            Report::Done { worker, job, parts, bytes } => self.close(worker, job, parts, bytes),
            Report::Unreadable { worker, job, error } => {
                self.coming.remove(&worker);
                let (job, _) = self.out.remove(&job)?;
                self.totals.unreadable += 1;
                return Some((job, error));
            }
        }
        None
    }

    fn close(&mut self, worker: u64, job: u64, parts: u64, bytes: u64) {
        let Some(coming) = self.coming.remove(&worker) else { return };
        if coming.job != job || coming.parts != parts {
            return;
        }
        // Given out twice and reported twice: the first counts.
        if self.out.remove(&job).is_none() {
            return;
        }
        self.totals.files += 1;
        self.totals.bytes += bytes;
        for (word, seen) in coming.words {
            *self.totals.words.entry(word).or_default() += seen;
        }
    }

    /// A worker died, and all that it had sent is taken in: its file is to be given out again.
    pub(crate) fn buried(&mut self, worker: u64) -> Vec<Job> {
        self.coming.remove(&worker);
        self.totals.deaths += 1;
        self.give_again(|holder| holder == Some(worker))
    }

    /// Files of which no living worker says that it has them, though the queue is empty: their
    /// workers died between taking and saying so. One that is still about to say so costs no more
    /// than a second count that is thrown away.
    pub(crate) fn lost(&mut self) -> Vec<Job> {
        self.give_again(|holder| holder.is_none())
    }

    fn give_again(&mut self, is_lost: impl Fn(Option<u64>) -> bool) -> Vec<Job> {
        let lost = self.out.values_mut().filter(|(_, holder)| is_lost(*holder));
        lost.map(|(job, holder)| {
            *holder = None;
            job.clone()
        })
        .collect()
    }
}
