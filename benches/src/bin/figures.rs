//! Prints every figure that crossproc promises in one run: ours beside its reference, or beside the
//! bound that it must stay below.
//!
//! ```text
//! cargo run --release -p benches --bin figures [-- --quick] [--json] [--only PREFIX]
//! ```

use benches::figure::{Effort, Row};
use benches::rows;
use std::io::Write as _;

use clap::Parser;

/// Measure every figure beside its reference.
#[derive(Parser)]
#[command(version, about)]
struct Options {
    /// Fewer and shorter rounds: below a minute.
    #[arg(long)]
    quick: bool,
    /// Print a list of objects instead of a table: times in ns, rates per second, shares of a core
    /// in per cent.
    #[arg(long)]
    json: bool,
    /// Only the rows whose key begins with this.
    #[arg(long, default_value = "")]
    only: String,
}

fn main() -> anyhow::Result<()> {
    rows::early();
    crossproc::init();
    let options = Options::parse();
    let effort = if options.quick {
        Effort { rounds: 3, percent: 20 }
    } else {
        Effort { rounds: 9, percent: 100 }
    };
    let mut rows: Vec<Row> = Vec::new();
    let mut take = |row: Row| -> std::io::Result<()> {
        if !options.json {
            print(&row)?;
        }
        rows.push(row);
        Ok(())
    };
    let is_asked_for = |key: &str| key.starts_with(&options.only);
    for figure in rows::all().iter().filter(|figure| is_asked_for(figure.key)) {
        take(figure.measure(&effort)?)?;
    }
    for bounded in rows::bounded() {
        if bounded.rows.iter().any(|bound| is_asked_for(bound.key)) {
            let measured = bounded.measure(&effort)?.into_iter();
            measured.filter(|row| is_asked_for(row.key)).try_for_each(&mut take)?;
        }
    }
    anyhow::ensure!(!rows.is_empty(), "no row's key begins with {:?}", options.only);
    if options.json {
        println!("{}", serde_json::to_string_pretty(&rows)?);
    } else {
        let missed = rows.iter().filter(|row| !row.ok).count();
        println!("{} figures, {missed} short of their target", rows.len());
    }
    Ok(())
}

/// Whoever reads this may have had enough of it, as `head` has: an error, and no panic.
fn print(row: &Row) -> std::io::Result<()> {
    writeln!(
        std::io::stdout(),
        "{:22} {:>12} {:>12}  {:>5.2} x  ({:>10})  {}  {}",
        row.key,
        row.unit.shown(row.ours, 2),
        row.unit.shown(row.reference, 2),
        row.ratio,
        row.target,
        if row.ok { "ok  " } else { "MISS" },
        row.what
    )
}
