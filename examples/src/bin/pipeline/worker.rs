//! What a worker process does: take a file, count it, report, until the queue is closed.

use std::fs::{File, OpenOptions};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use crossproc::prelude::*;
use serde::{Deserialize, Serialize};

use crate::count::Count;

/// A file to count. The path travels as bytes: file names need not be UTF-8.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Job {
    pub(crate) id: u64,
    pub(crate) path: Vec<u8>,
}

/// What a worker tells the parent. Each message names the worker's number, which is never given
/// twice, so that what a dead worker began can be thrown away.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Report {
    /// The worker has the job.
    Taken { worker: u64, job: u64 },
    /// Some of the file's words.
    Part { worker: u64, job: u64, words: Vec<(Vec<u8>, u64)> },
    /// The report is whole.
    Done { worker: u64, job: u64, parts: u64, bytes: u64 },
    /// The file could not be read.
    Unreadable { worker: u64, job: u64, error: String },
}

/// Words in one part of a report.
const WORDS_A_PART: usize = 2048;

/// The body of a worker process.
pub(crate) fn work(
    worker: u64,
    jobs: Queue<Job>,
    reports: Queue<Report>,
    bytes_read: Value<u64>,
) -> Result<(), Failure> {
    for job in jobs.iter() {
        let job = job?;
        let id = job.id;
        reports.put(Report::Taken { worker, job: id })?;
        match count(job, &bytes_read) {
            Ok(count) => report(worker, id, count, &reports)?,
            Err(error) => {
                let error = error.to_string();
                reports.put(Report::Unreadable { worker, job: id, error })?;
            }
        }
    }
    Ok(())
}

fn count(job: Job, bytes_read: &Value<u64>) -> std::io::Result<Count> {
    Count::read(open(job)?, |bytes| {
        bytes_read.fetch_add(bytes);
    })
}

/// Opens a regular file, and only that: what was a file when the tree was walked may be a link or
/// a named pipe by now.
fn open(job: Job) -> std::io::Result<File> {
    let path = PathBuf::from(std::ffi::OsString::from_vec(job.path));
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(std::io::Error::other("it is no regular file any more"))
    }
}

fn report(worker: u64, job: u64, count: Count, reports: &Queue<Report>) -> Result<(), Failure> {
    let bytes = count.bytes;
    let mut words = count.words.into_iter();
    let mut parts = 0;
    loop {
        let part: Vec<_> = words.by_ref().take(WORDS_A_PART).collect();
        if part.is_empty() {
            break;
        }
        parts += 1;
        reports.put(Report::Part { worker, job, words: part })?;
    }
    reports.put(Report::Done { worker, job, parts, bytes })?;
    Ok(())
}
