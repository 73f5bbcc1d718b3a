//! One process with a default argument, three with arguments of their own.

use crossproc::prelude::*;

fn greet(name: Option<String>) {
    println!("Hello, {}!", name.unwrap_or_else(|| "world".to_owned()));
}

fn main() -> crossproc::Result<()> {
    crossproc::init();
    let mut greeters = vec![spawn((None,), greet)?];
    for name in ["Ada", "Grace", "Barbara"] {
        greeters.push(spawn((Some(name.to_owned()),), greet)?);
    }
    for greeter in greeters {
        greeter.join()?;
    }
    Ok(())
}
