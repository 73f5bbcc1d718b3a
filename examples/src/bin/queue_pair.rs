//! A producer and a consumer process over a queue of ten; the consumer starts two ticks later.

use std::thread::sleep;
use std::time::Duration;

use crossproc::prelude::*;

const TICK: Duration = Duration::from_millis(20);
const ITEMS: u32 = 25;

fn produce(queue: Queue<u32>) -> Result<(), Failure> {
    for item in 0..ITEMS {
        queue.put(item)?; // waits while ten are in the queue
    }
    println!("produced {ITEMS} items");
    queue.close();
    Ok(())
}

fn consume(queue: Queue<u32>) -> Result<u32, Failure> {
    sleep(2 * TICK);
    println!("consumer starts, {} items wait", queue.len());
    let mut sum = 0;
    for item in queue.iter() {
        sum += item?;
    }
    Ok(sum)
}

fn main() -> Result<(), Failure> {
    crossproc::init();
    let queue = Queue::bounded(10)?;
    let producer = spawn((queue.clone(),), produce)?;
    let consumer = spawn((queue,), consume)?;
    producer.join()??;
    println!("the consumer's sum is {}", consumer.join()??);
    Ok(())
}
