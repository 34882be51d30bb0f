//! The agent of plain POSIX: every process of a scenario runs this program. Its arguments are the role of the process
//! and the ends of pipes that it was given: `NAME=r5` is a reader and `NAME=w6` a writer under these descriptors.

mod words;
mod frame;
mod ends;
mod children;
mod start;
mod system;
mod conversation;
mod waiting;
mod orders;
mod agent;

use agent::Agent;
use ends::{End, Ends, Side};
use frame::{Incoming, Outgoing};
use orders::Ending;
use std::collections::BTreeSet;
use std::env;
use std::ffi::CString;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::process;

fn main() {
    match prepare().map(Agent::serve) {
        Ok(Ending::Return) => {}
        Ok(Ending::Exit(code)) => process::exit(code),
        Ok(Ending::Raise) => panic!("the scenario says that this entry fails"),
        Err(error) => {
            eprintln!("posix: {error}");
            process::exit(2);
        }
    }
}

fn prepare() -> io::Result<Agent> {
    let mut arguments = env::args().skip(1);
    let role = arguments.next().ok_or_else(|| invalid("no role"))?;
    let mut taken = BTreeSet::new();
    let mut ends = Ends::default();
    for argument in arguments {
        let (name, end) = given(&argument, &mut taken)?;
        ends.0.insert(name, end);
    }
    let program = CString::new(env::current_exe()?.into_os_string().into_vec())?;
    Agent::new(program, &role, ends)
}

/// An end that came with the start of this process.
fn given(argument: &str, taken: &mut BTreeSet<i32>) -> io::Result<(String, End)> {
    let wrong = || invalid(argument);
    let mut take = |number: &str| -> io::Result<OwnedFd> {
        let number = number.parse().map_err(|_| wrong())?;
        // Each number has one owner here, and the first three belong to nobody.
        if number > 2 && taken.insert(number) { Ok(system::adopt(number)?) } else { Err(wrong()) }
    };
    let (name, end) = argument.rsplit_once('=').ok_or_else(wrong)?;
    let (end, parcel) =
        end.split_once('+').map_or((end, None), |(end, parcel)| (end, Some(parcel)));
    let mut carried = Vec::new();
    if let Some(parcel) = parcel {
        File::from(take(parcel)?).read_to_end(&mut carried)?;
    }
    let (side, number) = match (end.strip_prefix('r'), end.strip_prefix('w')) {
        (Some(number), _) => (Side::Reader(Incoming::new(carried)), number),
        (_, Some(number)) => (Side::Writer(Outgoing::new(carried)), number),
        _ => return Err(wrong()),
    };
    Ok((name.to_owned(), End::new(take(number)?, side)))
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("not an argument of this program: {what}"))
}
