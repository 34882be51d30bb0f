//! `matrix`: runs the suite on many adapters.

use super::args::Matrix;
use crate::error::Error;
use crate::report::console::Console;
use crate::report::matrix::{Direction, changes, collect, table};
use crate::suite::Suite;

pub(super) fn matrix(suite: &Suite, args: &Matrix, console: &mut Console) -> Result<u8, Error> {
    let before = args.against.as_deref().map(collect::read).transpose()?;
    collect::check_folder(&args.output)?;
    let matrix = match args.from.split_first() {
        Some((first, others)) => {
            let mut matrix = collect::merge(first, others)?;
            collect::add_texts(&mut matrix, suite)?;
            matrix
        }
        None => {
            let request = args.execution.request(&args.selection);
            collect::collect(suite, &args.adapter, &request, console)?
        }
    };
    let changes = before.as_ref().map(|before| changes(before, &matrix));
    collect::write(&args.output, &matrix, changes.as_deref())?;
    console.verbatim(&table(&matrix, changes.as_deref()));
    console.line(&format!("\n  {}", collect::index_page(&args.output).display()));
    let is_worse = |all: &Vec<_>| {
        all.iter().any(|change: &crate::report::matrix::Change| change.way == Direction::Worse)
    };
    Ok(match matrix.exit_code() {
        _ if args.whole && !matrix.partial().is_empty() => 3,
        0 => u8::from(changes.as_ref().is_some_and(is_worse)),
        code => code,
    })
}
