//! Ten tasks in one queue; four processes take them until it is empty and report in a second one.

use crossproc::prelude::*;

fn work(tasks: Queue<u32>, reports: Queue<String>) -> Result<(), Failure> {
    while let Ok(number) = tasks.try_get() {
        reports.put(format!("Task no {number} is done by {}", crossproc::current_name()))?;
    }
    Ok(())
}

fn main() -> Result<(), Failure> {
    crossproc::init();
    let tasks = Queue::bounded(10)?;
    let reports = Queue::bounded(10)?;
    for number in 0..10 {
        tasks.put(number)?;
    }
    let mut workers = Vec::new();
    for number in 1..=4 {
        let builder = Process::builder().name(format!("Process-{number}"));
        workers.push(builder.spawn((tasks.clone(), reports.clone()), work)?);
    }
    for worker in workers {
        worker.join()??;
    }
    while let Ok(report) = reports.try_get() {
        println!("{report}");
    }
    Ok(())
}
