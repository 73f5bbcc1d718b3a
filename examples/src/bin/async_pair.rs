//! Processes that block feed tasks that wait: two queues, two producers each, and one thread of tokio's.

use std::time::Duration;

use crossproc::prelude::*;
use crossproc::{Consumer, Producer};
use tokio::time::timeout;

const ITEMS: u32 = 10;
const TICK: Duration = Duration::from_millis(5);

fn produce(producer: Producer<String>, name: String) -> Result<(), Failure> {
    for item in 0..ITEMS {
        producer.put(format!("{name} {item}"))?; // blocks while the queue is full
    }
    Ok(()) // the last producer that ends closes the queue
}

/// Takes what comes, and says so when nothing comes for a while.
async fn consume(consumer: Consumer<String>) -> Result<u32, Failure> {
    let mut count = 0;
    loop {
        match timeout(TICK, consumer.get_async()).await {
            Ok(Ok(_item)) => count += 1,
            Ok(Err(GetError::Closed)) => return Ok(count),
            Ok(Err(error)) => return Err(error.into()),
            // The future was dropped while it waited: nothing is lost.
            Err(_elapsed) => {}
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn run() -> Result<(), Failure> {
    let (letters, numbers) = (Queue::bounded(4)?, Queue::bounded(4)?);
    let mut children = Vec::new();
    for (queue, name) in [(&letters, "a"), (&letters, "b"), (&numbers, "1"), (&numbers, "2")] {
        children.push(spawn((queue.producer()?, name.to_owned()), produce)?);
    }
    let (letters, numbers) = (letters.consumer()?, numbers.consumer()?);
    let (letters, numbers) = tokio::join!(consume(letters), consume(numbers));
    println!("{} letters and {} numbers came", letters?, numbers?);
    for child in children {
        child.join()??;
    }
    Ok(())
}

fn main() -> Result<(), Failure> {
    crossproc::init();
    run()
}
