//! Puts four colours into a queue, and takes them out, numbered, until it is empty.

use crossproc::prelude::*;

fn main() -> Result<(), Failure> {
    crossproc::init();
    let queue = Queue::bounded(4)?;
    for colour in ["red", "green", "blue", "black"] {
        queue.put(colour.to_owned())?;
    }
    println!("{} colours in the queue", queue.len());
    let mut number = 0;
    while let Ok(colour) = queue.try_get() {
        number += 1;
        println!("colour no {number}: {colour}");
    }
    Ok(())
}
