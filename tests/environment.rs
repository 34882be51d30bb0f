//! Poor places: few descriptors, few processes, nothing to write to, no `/proc`, no privileges. The harness passes what
//! can be passed there, says what cannot be and why, and leaves nothing. Where a place cannot be made, the reason is
//! printed.

#![cfg(target_os = "linux")]

mod support {
    pub(crate) mod leftover_processes;
    pub(crate) mod faulty_agent;
}

use libtest_mimic::{Arguments, Failed, Trial};
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use support::leftover_processes::{entries, processes};

const HARNESS: &str = env!("CARGO_BIN_EXE_gipc-harness");

/// A place: a shell script that makes it and ends with `exec "$@"`, and what it takes to be there.
struct Place {
    wants: &'static [&'static str],
    script: &'static str,
}

const FEW_DESCRIPTORS: Place = Place { wants: &["true"], script: "ulimit -n 64; exec \"$@\"" };
const FEW_PROCESSES: Place = Place {
    wants: &["prlimit", "setpriv", "--reuid=65533", "--clear-groups", "true"],
    script: "exec prlimit --nproc=200 setpriv --reuid=65533 --clear-groups \"$@\"",
};
const NOBODY: Place = Place {
    wants: &["setpriv", "--reuid=65533", "--clear-groups", "true"],
    script: "exec setpriv --reuid=65533 --clear-groups \"$@\"",
};
const NO_PROC: Place = Place {
    wants: &["unshare", "-m", "true"],
    script: "exec unshare -m sh -c 'mount -t tmpfs none /proc && exec \"$@\"' sh \"$@\"",
};
const READ_ONLY: Place = Place {
    wants: &["unshare", "-m", "true"],
    script: "exec unshare -m sh -c 'mkdir here && mount -t tmpfs -o ro none here && cd here && exec \"$@\"' sh \"$@\"",
};
const FULL_DISK: Place = Place {
    wants: &["unshare", "-m", "true"],
    script: "exec unshare -m sh -c 'mount -t tmpfs -o size=4k none \"$TMPDIR\" \
             && { cat /dev/zero >\"$TMPDIR/all\" 2>/dev/null; exec \"$@\"; }' sh \"$@\"",
};

const NO_TMPDIR: Place = Place { wants: &["true"], script: "TMPDIR=$TMPDIR/nowhere exec \"$@\"" };
const LONG_TMPDIR: Place = Place {
    wants: &["true"],
    script: "TMPDIR=$PWD/$(printf 'x%.0s' $(seq 120)); mkdir \"$TMPDIR\"; export TMPDIR; exec \"$@\"",
};

/// What is asked of gipc-core.
const ALL: &[&str] = &["run", "close", "deadlock", "own"];
/// What hangs, on an implementation that loses wake-ups.
const DEAF: &[&str] = &["run", "task/neighbour-runs-while-one-waits", "--adapter", "DEAF"];

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if arguments.get(1).is_some_and(|word| word == "agent") {
        std::process::exit(support::faulty_agent::play(&arguments[2], &arguments[3..]));
    }
    let trials = vec![
        trial("sixty_four_descriptors_are_enough", FEW_DESCRIPTORS, ALL, 0, "ulimit -n"),
        trial(
            "what_needs_more_descriptors_is_no_failure_of_the_implementation",
            FEW_DESCRIPTORS,
            &["run", "children/alive-1000"],
            3,
            "1 ENVIRONMENT",
        ),
        trial("two_hundred_processes_are_enough", FEW_PROCESSES, ALL, 0, "ulimit -u"),
        trial("nobody_needs_privileges", NOBODY, ALL, 0, "passed"),
        trial("nothing_is_written_where_all_passes", READ_ONLY, ALL, 0, "passed"),
        trial(
            "evidence_that_cannot_be_kept_is_said",
            READ_ONLY,
            DEAF,
            3,
            "cannot keep the evidence",
        ),
        trial(
            "without_a_temporary_folder_nothing_is_performed",
            NO_TMPDIR,
            &["run", "close"],
            3,
            "no directory for the run",
        ),
        trial(
            "a_temporary_folder_whose_name_is_too_long_is_said",
            LONG_TMPDIR,
            &["run", "close"],
            3,
            "is TMPDIR too long?",
        ),
        trial("a_full_disk_is_said", FULL_DISK, &["doctor"], 1, "set TMPDIR"),
        trial(
            "without_proc_loops_that_turn_are_the_proof",
            NO_PROC,
            DEAF,
            1,
            "every loop has turned twice",
        ),
        trial(
            "without_proc_a_start_that_fails_is_the_systems",
            NO_PROC,
            &["run", "close/eof-after-exit"],
            3,
            "processes are not shown",
        ),
        trial(
            "without_proc_the_doctor_says_so",
            NO_PROC,
            &["doctor"],
            1,
            "processes are not shown",
        ),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

fn trial(
    name: &'static str,
    place: Place,
    arguments: &'static [&'static str],
    code: i32,
    says: &'static str,
) -> Trial {
    let made = Command::new(place.wants[0]).args(&place.wants[1..]).output();
    let reason = match made {
        Ok(output) if output.status.success() => None,
        Ok(output) => Some(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        Err(error) => Some(format!("{}: {error}", place.wants[0])),
    };
    if let Some(reason) = &reason {
        writeln!(std::io::stdout(), "{name} is not asked: {reason}").expect("a terminal");
    }
    let ask = move || check(&place, arguments, code, says).map_err(Failed::from);
    Trial::test(name, ask).with_ignored_flag(reason.is_some())
}

fn check(place: &Place, arguments: &[&str], code: i32, says: &str) -> Result<(), String> {
    let folder = tempfile::Builder::new().prefix("environment").tempdir().expect("a folder");
    let folder = folder.path();
    open(folder);
    let scratch = folder.join("scratch");
    fs::create_dir(&scratch).expect("a folder");
    open(&scratch);
    let program = copy(Path::new(HARNESS), folder);
    let agent = copy(&std::env::current_exe().expect("this program"), folder);
    let manifest = format!("name = \"deaf\"\ncommand = [{agent:?}, \"agent\", \"deaf\"]\n");
    fs::write(folder.join("adapter.toml"), manifest).expect("a file");
    let here = folder.display().to_string();
    let arguments = arguments.iter().map(|word| if *word == "DEAF" { &here } else { *word });
    let root =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the project");
    let output = Command::new("sh")
        .current_dir(folder)
        .env("TMPDIR", &scratch)
        .args(["-c", place.script, "sh"])
        .arg(program)
        .arg("--scenarios")
        .arg(copied(&root.join("scenarios"), folder))
        .arg("--adapters")
        .arg(copied(&root.join("adapters/gipc-core"), folder))
        .args(arguments)
        .output()
        .expect("a shell");
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    let left = (processes(&scratch), entries(&scratch));
    match output.status.code() == Some(code) && text.contains(says) {
        true if left.0.is_empty() && left.1.is_empty() => Ok(()),
        true => Err(format!("left behind: {left:?}")),
        false => Err(format!("{}, and not {code} with {says:?}:\n{text}", output.status)),
    }
}

/// Anybody may come in and write.
fn open(folder: &Path) {
    fs::set_permissions(folder, fs::Permissions::from_mode(0o777)).expect("it is ours");
}

/// A copy that anybody may start, wherever the project is.
fn copy(program: &Path, folder: &Path) -> PathBuf {
    let copy = folder.join(program.file_name().expect("a program has a name"));
    fs::copy(program, &copy).expect("there is room");
    copy
}

/// The same with all that is in a folder; an adapter's is put into one of its own.
fn copied(from: &Path, folder: &Path) -> PathBuf {
    let name = from.file_name().expect("a name");
    let to = match from.join("adapter.toml").exists() {
        true => folder.join("adapters"),
        false => folder.join(name),
    };
    let inside = if to.ends_with("adapters") { to.join(name) } else { to.clone() };
    fs::create_dir_all(&inside).expect("a folder");
    for entry in fs::read_dir(from).expect("it can be read").flatten() {
        let there = inside.join(entry.file_name());
        match entry.path().is_dir() {
            true => {
                fs::create_dir(&there).expect("a folder");
                for file in fs::read_dir(entry.path()).expect("it can be read").flatten() {
                    fs::copy(file.path(), there.join(file.file_name())).expect("there is room");
                }
            }
            false => drop(fs::copy(entry.path(), there).expect("there is room")),
        }
    }
    to
}
