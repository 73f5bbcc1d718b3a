//! Starts five child processes that announce start and end of a short job, and joins them all.

use std::process::ExitCode;
use std::thread::sleep;
use std::time::Duration;

use crossproc::prelude::*;

fn job(number: u32) {
    println!("worker {number} starts");
    sleep(Duration::from_millis(200)); // the work
    println!("worker {number} ends");
}

fn main() -> ExitCode {
    crossproc::init();
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("workers: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> crossproc::Result<()> {
    let mut workers = Vec::new();
    for number in 0..5 {
        // A pid exists only once a process has started: before spawn there is no handle to ask.
        let handle = spawn((number,), job)?;
        println!("started worker {number}, pid {}", handle.pid());
        workers.push(handle);
    }
    for worker in workers {
        worker.join()?;
    }
    println!("all joined");
    Ok(())
}
