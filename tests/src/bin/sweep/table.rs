//! The report as the table that `docs/crash-safety.md` keeps.

use std::io::{self, Write};

use tests::sweep::{Form, Row};

/// A line for each operation in each state, whatever the forms it was swept in.
pub(crate) fn write(out: &mut impl Write, rows: &[Row]) -> io::Result<()> {
    writeln!(
        out,
        "| operation | state | instructions | starts | kills | images | interleaved | stopped \
         | worst ms | outcomes, and from which k |\n\
         |---|---|---:|---:|---:|---:|---:|---:|---:|---|"
    )?;
    let same =
        |one: &Row, other: &Row| (&one.operation, &one.state) == (&other.operation, &other.state);
    for rows in rows.chunk_by(same) {
        line(out, rows)?;
    }
    Ok(())
}

fn line(out: &mut impl Write, rows: &[Row]) -> io::Result<()> {
    let Some(first) = rows.first() else { return Ok(()) };
    let killed = |row: &&Row| matches!(row.form, Form::Kill | Form::Double);
    let most = |count: fn(&Row) -> u32| rows.iter().map(count).max().unwrap_or(0);
    let sum = |count: fn(&Row) -> u32| rows.iter().map(count).sum::<u32>();
    let stops = |form| rows.iter().filter(|row| row.form == form).map(|row| row.stops).sum::<u32>();
    let instructions = rows.iter().filter(killed).map(|row| row.instructions).max();
    let worst = rows.iter().map(|row| row.worst_ms).fold(0.0, f64::max);
    write!(
        out,
        "| {} | {} | {} | {} | {} | {} | {} | {} | {worst:.1} | ",
        first.operation,
        first.state,
        instructions.unwrap_or_else(|| most(|row| row.instructions)),
        most(|row| row.starts),
        sum(|row| row.kills),
        sum(|row| row.images),
        stops(Form::Interleave),
        stops(Form::Stop),
    )?;
    // The form stop goes through the outcomes of the form interleave, at fewer places.
    let telling = rows.iter().filter(|row| {
        killed(row) || row.form == Form::Interleave && row.flips.len() > 1 || !row.is_green()
    });
    for (at, row) in telling.enumerate() {
        let apart = if at == 0 { "" } else { "; " };
        let beside = if row.beside.is_empty() { "" } else { "beside " };
        let colon = if row.beside.is_empty() { "" } else { ": " };
        write!(out, "{apart}{beside}{}{colon}", row.beside)?;
        if !row.is_green() {
            write!(out, "RED in the form {}", row.form)?;
            continue;
        }
        for (at, flip) in row.flips.iter().enumerate() {
            let arrow = if at == 0 { "" } else { " > " };
            write!(out, "{arrow}{}@{}", flip.outcome, flip.k)?;
        }
    }
    writeln!(out, " |")
}
