//! Programs that have nothing in common but a name: one that serves, and any number that ask.
//!
//! `listener serve` in one terminal, `listener ask TEXT` in others; in either order. Without a
//! command it plays all the parts itself.

use std::process::{Child, Command};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::{Parser, Subcommand};
use crossproc::prelude::*;
use crossproc::{Connector, Listener};

/// Both sides name the types of a connection in the same order.
type Reply = (u64, String);
type Question = String;

#[derive(Parser)]
#[command(about = "Counts the words of whoever asks")]
struct Options {
    #[command(subcommand)]
    part: Option<Part>,
    /// The name to meet at
    #[arg(long, default_value = "crossproc.example", global = true)]
    name: String,
}

#[derive(Subcommand)]
enum Part {
    /// Answer questions
    Serve {
        /// End after so many connections
        #[arg(long)]
        connections: Option<usize>,
    },
    /// Ask one question, once somebody serves
    Ask {
        /// What to count the words of
        text: String,
    },
}

/// A thread for each connection, so that one that takes its time keeps nobody waiting.
fn serve(name: &str, connections: Option<usize>) -> Result<()> {
    let listener = Listener::<Reply, Question>::bind(name)?;
    std::thread::scope(|scope| {
        for end in listener.incoming().take(connections.unwrap_or(usize::MAX)) {
            let end = end?;
            scope.spawn(move || answer(&end));
        }
        Ok(())
    })
}

/// Until the other end is closed, or its process has died.
fn answer(end: &PipeEnd<Reply, Question>) {
    for text in end {
        let Ok(text) = text else { return };
        let longest = text.split_whitespace().max_by_key(|word| word.len()).unwrap_or_default();
        let reply = (text.split_whitespace().count() as u64, longest.to_owned());
        if end.send(&reply).is_err() {
            return;
        }
    }
}

fn ask(name: &str, text: &str) -> Result<()> {
    let connector = Connector::<Reply, Question>::new(name);
    let end = connector.connect_timeout(Duration::from_secs(10))?;
    end.send(&text.to_owned())?;
    let (words, longest) = end.recv()?;
    println!("{words} words in {text:?}, the longest is {longest:?}");
    Ok(())
}

/// All parts, each in a program of its own.
fn play() -> Result<()> {
    let name = format!("crossproc.example.{}", std::process::id());
    let start = |arguments: &[&str]| -> Result<Child> {
        let mut program = Command::new(std::env::current_exe()?);
        program.args(arguments).args(["--name", &name]).spawn().context("start a part")
    };
    let mut asking = start(&["ask", "who is there"])?; // before anybody serves
    let mut serving = start(&["serve", "--connections", "2"])?;
    ensure!(asking.wait()?.success(), "the first to ask has failed");
    ensure!(start(&["ask", "and who is that over there"])?.wait()?.success(), "the second too");
    ensure!(serving.wait()?.success(), "the server has failed");
    Ok(())
}

fn main() -> Result<()> {
    crossproc::init();
    let options = Options::parse();
    match options.part {
        Some(Part::Serve { connections }) => serve(&options.name, connections),
        Some(Part::Ask { text }) => ask(&options.name, &text),
        None => play(),
    }
}
