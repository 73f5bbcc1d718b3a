//! A process that asks and one that answers, over the two ends of a pipe; then one message the other
//! way, larger than the pipe.

use crossproc::prelude::*;

/// What is asked.
#[derive(Serialize, Deserialize)]
enum Ask {
    /// How many primes there are below this.
    PrimesBelow(u32),
    /// All of them.
    ListBelow(u32),
}

type Answer = Result<Vec<u32>, String>;

fn primes(below: u32) -> Vec<u32> {
    (2..below).filter(|n| (2..).take_while(|d| d * d <= *n).all(|d| n % d != 0)).collect()
}

fn answer(end: PipeEnd<Answer, Ask>) -> Result<u32, Failure> {
    let mut answered = 0;
    for ask in &end {
        // Until the other end is closed, or its process has died.
        end.send(&match ask? {
            Ask::PrimesBelow(limit) if limit > 1_000_000 => Err("too many".to_string()),
            Ask::PrimesBelow(limit) => Ok(vec![u32::try_from(primes(limit).len())?]),
            Ask::ListBelow(limit) => Ok(primes(limit)),
        })?;
        answered += 1;
    }
    Ok(answered)
}

fn ask(end: PipeEnd<Ask, Answer>) -> Result<(), Failure> {
    for below in [100, 10_000, 2_000_000] {
        end.send(&Ask::PrimesBelow(below))?;
        match end.recv()? {
            Ok(count) => println!("{} primes below {below}", count[0]),
            Err(why) => println!("below {below}: {why}"),
        }
    }
    end.send(&Ask::ListBelow(200_000))?;
    let list = end.recv()?.unwrap_or_default();
    println!("the last of {} below 200000 is {:?}", list.len(), list.last());
    Ok(())
}

fn main() -> Result<(), Failure> {
    crossproc::init();
    let (a, b) = Pipe::<Ask, Answer>::new()?;
    let answering = spawn((b,), answer)?; // each end goes to one process, and is that one's alone
    let asking = spawn((a,), ask)?;
    asking.join()??;
    println!("{} questions answered", answering.join()??);
    Ok(())
}
