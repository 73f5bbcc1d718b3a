//! Whatever goes wrong in a program passes on through `?`, and says what it said.

use std::time::Duration;

use crossproc::prelude::*;
use crossproc::{AckError, TaskDoneError};

type Answer = Result<(), Box<dyn std::error::Error>>;

/// What a function says that ends with `?`.
fn said(f: impl FnOnce() -> crossproc::Result<()>) -> String {
    f().err().map_or_else(|| "nothing".to_string(), |error| error.to_string())
}

#[test]
fn errors_of_queues_pass_on() -> Answer {
    let queue = Queue::<u64>::options().leases(1).bounded(2)?;
    assert_eq!(said(|| Ok(queue.task_done()?)), TaskDoneError::NotJoinable.to_string());
    assert_eq!(said(|| Ok(queue.join()?)), TaskDoneError::NotJoinable.to_string());
    queue.put(1)?;
    assert_eq!(said(|| Ok(queue.lease()?.ack().map(drop)?)), "nothing");
    queue.close();
    assert_eq!(
        said(|| Ok(queue.put_many(&[1, 2])?)),
        "0 items were put, the next was not: the queue is closed"
    );
    assert_eq!(
        crossproc::Error::from(AckError::Corrupt).to_string(),
        AckError::Corrupt.to_string()
    );
    Ok(())
}

#[test]
fn errors_of_those_who_meet_by_name_pass_on() {
    assert!(
        said(|| Listener::<u8, u8>::bind("a/b").map(drop).map_err(Into::into)).contains("slash")
    );
    assert!(
        said(|| Pipe::<u8, u8>::connect("a/b").map(drop).map_err(Into::into)).contains("slash")
    );
}

#[test]
fn errors_of_locks_and_their_family_pass_on() -> Answer {
    let semaphore = BoundedSemaphore::new(1)?;
    let permit = semaphore.acquire()?;
    assert!(said(|| Ok(semaphore.try_acquire().map(drop)?)).contains("no permit now"));
    drop(permit);
    assert!(said(|| Ok(semaphore.release(1)?)).contains("limit of 1"));
    let once = Once::new()?;
    let parse = || -> Result<u8, std::io::Error> { Err(std::io::Error::other("no luck")) };
    assert_eq!(said(|| Ok(once.call_once_try(|_| parse().map(drop))?)), "no luck");
    let event = Event::new()?;
    let many: Vec<&dyn crossproc::Waitable> = vec![&event; 1000];
    let waited = said(|| Ok(wait_any(&many, Duration::from_millis(1)).map(drop)?));
    assert!(waited.contains("1000 were given"), "{waited}");
    Ok(())
}
