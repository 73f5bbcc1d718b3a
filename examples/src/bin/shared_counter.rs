//! Four processes increment shared integers 10 000 times each, in three ways: always exact.

use crossproc::prelude::*;

const PROCESSES: u64 = 4;
const TIMES: u64 = 10_000;

fn count(
    lock: Lock,
    locked: Value<u64>,
    updated: Value<u64>,
    added: Value<u64>,
) -> Result<(), Failure> {
    for _ in 0..TIMES {
        {
            // Two steps, read and write: only the lock makes them one.
            let _guard = lock.lock().or_recover(|_| {})?;
            locked.set(locked.get() + 1)?;
        }
        updated.update(|n| *n += 1)?;
        added.fetch_add(1);
    }
    Ok(())
}

fn main() -> Result<(), Failure> {
    crossproc::init();
    let lock = Lock::new()?;
    let [locked, updated, added] = [Value::new(0)?, Value::new(0)?, Value::new(0)?];
    let mut counters = Vec::new();
    for _ in 0..PROCESSES {
        let values = (lock.clone(), locked.clone(), updated.clone(), added.clone());
        counters.push(spawn(values, count)?);
    }
    for counter in counters {
        counter.join()??;
    }
    println!("{PROCESSES} processes, {TIMES} increments each:");
    println!("  under a lock:    {}", locked.get());
    println!("  with update:     {}", updated.get());
    println!("  with fetch_add:  {}", added.get());
    let expected = PROCESSES * TIMES;
    if [locked.get(), updated.get(), added.get()] != [expected; 3] {
        return Err(Failure::new("a counter is not exact"));
    }
    Ok(())
}
