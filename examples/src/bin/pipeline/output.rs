//! What the user sees: progress while it runs, a table or JSON at the end.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::ledger::Totals;

/// Progress on stderr: a line that moves on a terminal, plain lines elsewhere.
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    said: Instant,
}

impl Progress {
    pub(crate) fn new() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new_spinner();
            if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} [{elapsed}]") {
                bar.set_style(style);
            }
            bar
        });
        Self { bar, said: Instant::now() }
    }

    pub(crate) fn tell(&mut self, files: u64, out: usize, bytes: u64) {
        let text = || format!("{files} files counted, {out} out, {} read", HumanBytes(bytes));
        if let Some(bar) = &self.bar {
            bar.set_message(text());
            bar.tick();
        } else if self.said.elapsed() >= Duration::from_secs(1) {
            self.said = Instant::now();
            eprintln!("{}", text());
        }
    }

    /// A line that stays.
    pub(crate) fn note(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.println(text),
            None => eprintln!("{text}"),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// The `n` most frequent words, the most frequent first, equals in order of their bytes.
fn top(totals: &Totals, n: usize) -> Vec<(String, u64)> {
    let mut words: Vec<_> = totals.words.iter().collect();
    words.sort_unstable_by(|a, b| b.1.cmp(a.1).then_with(|| a.0.cmp(b.0)));
    words.truncate(n);
    words.into_iter().map(|(w, &n)| (String::from_utf8_lossy(w).into_owned(), n)).collect()
}

fn words(totals: &Totals) -> u64 {
    totals.words.values().sum()
}

#[derive(Serialize)]
struct Top {
    word: String,
    count: u64,
}

#[derive(Serialize)]
struct Json {
    files: u64,
    bytes: u64,
    words: u64,
    distinct: usize,
    unreadable: u64,
    top: Vec<Top>,
    seconds: f64,
    workers: u64,
    deaths: u64,
}

pub(crate) fn json(totals: &Totals, n: usize) -> anyhow::Result<()> {
    let json = Json {
        files: totals.files,
        bytes: totals.bytes,
        words: words(totals),
        distinct: totals.words.len(),
        unreadable: totals.unreadable,
        top: top(totals, n).into_iter().map(|(word, count)| Top { word, count }).collect(),
        seconds: totals.seconds,
        workers: totals.workers,
        deaths: totals.deaths,
    };
    let mut out = std::io::stdout().lock();
    serde_json::to_writer(&mut out, &json)?;
    writeln!(out)?;
    Ok(())
}

pub(crate) fn table(totals: &Totals, n: usize) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    let rate = |count: u64| count as f64 / totals.seconds.max(1e-9);
    writeln!(out, "files     {:>14}", totals.files)?;
    writeln!(out, "bytes     {:>14}  ({:.1} MB/s)", totals.bytes, rate(totals.bytes) / 1e6)?;
    writeln!(out, "words     {:>14}  ({:.0}/s)", words(totals), rate(words(totals)))?;
    writeln!(out, "distinct  {:>14}", totals.words.len())?;
    if totals.unreadable > 0 {
        writeln!(out, "unreadable{:>14}", totals.unreadable)?;
    }
    writeln!(out, "seconds   {:>14.3}", totals.seconds)?;
    writeln!(out, "workers   {:>14}  ({} died and were replaced)", totals.workers, totals.deaths)?;
    for (word, count) in top(totals, n) {
        writeln!(out, "{count:>12}  {word}")?;
    }
    Ok(())
}
