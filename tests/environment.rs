//! Restricted environments: few descriptors, few processes, no writable directory, no `/proc`, no privileges. The
//! harness passes what can pass there, reports what cannot and why, and leaves nothing behind. If an environment cannot
//! be created on this machine, its tests are skipped and the reason is printed.

#![cfg_attr(not(target_os = "linux"), allow(dead_code, unused_imports))]

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

/// A restricted environment.
struct Environment {
    /// A command that succeeds if the environment can be created here.
    probe: &'static [&'static str],
    /// A shell script that creates the environment and ends with `exec "$@"`.
    script: &'static str,
}

const FEW_DESCRIPTORS: Environment =
    Environment { probe: &["true"], script: "ulimit -n 64; exec \"$@\"" };
const FOR_FEW_CHILDREN: Environment =
    Environment { probe: &["true"], script: "ulimit -n 256; exec \"$@\"" };
const FEW_PROCESSES: Environment = Environment {
    probe: &["prlimit", "setpriv", "--reuid=65533", "--clear-groups", "true"],
    script: "exec prlimit --nproc=200 setpriv --reuid=65533 --clear-groups \"$@\"",
};
const UNPRIVILEGED: Environment = Environment {
    probe: &["setpriv", "--reuid=65533", "--clear-groups", "true"],
    script: "exec setpriv --reuid=65533 --clear-groups \"$@\"",
};
const NO_PROC: Environment = Environment {
    probe: &["unshare", "-m", "true"],
    script: "exec unshare -m sh -c 'mount -t tmpfs none /proc && exec \"$@\"' sh \"$@\"",
};
const READ_ONLY: Environment = Environment {
    probe: &["unshare", "-m", "true"],
    script: "exec unshare -m sh -c 'mkdir here && mount -t tmpfs -o ro none here && cd here && exec \"$@\"' sh \"$@\"",
};
const FULL_DISK: Environment = Environment {
    probe: &["unshare", "-m", "true"],
    script: "exec unshare -m sh -c 'mount -t tmpfs -o size=4k none \"$TMPDIR\" \
             && { cat /dev/zero >\"$TMPDIR/all\" 2>/dev/null; exec \"$@\"; }' sh \"$@\"",
};

const NO_TMPDIR: Environment =
    Environment { probe: &["true"], script: "TMPDIR=$TMPDIR/nowhere exec \"$@\"" };
const LONG_TMPDIR: Environment = Environment {
    probe: &["true"],
    script: "TMPDIR=$PWD/$(printf 'x%.0s' $(seq 120)); mkdir \"$TMPDIR\"; export TMPDIR; exec \"$@\"",
};
const NO_SIGCHLD: Environment =
    Environment { probe: &["true"], script: "trap '' CHLD; exec \"$@\"" };
/// A seccomp filter answers ENOSYS to pidfd_open, close_range and clone3.
const NO_PIDFD: Environment = Environment {
    probe: &["python3", "-c", "import ctypes; assert 'x86_64' in __import__('platform').machine()"],
    script: "export RUST_BACKTRACE=1; exec python3 \"$SECCOMP\" 434,436,435 \"$@\"",
};
const PORTABLE: Environment =
    Environment { probe: &["true"], script: "exec \"$@\" --force-portable" };
/// As on FreeBSD: a program finds itself, and nothing lists processes or descriptors.
const NO_DEV_FD: Environment = Environment {
    probe: &["unshare", "-m", "true"],
    script: "exec unshare -m sh -c 'mount -t tmpfs none /proc && mkdir /proc/self && ln -s \"$1\" /proc/self/exe \
             && exec \"$@\"' sh \"$@\"",
};
/// Nothing shows when a process ends.
const NO_PROCESS_END: Environment = Environment {
    probe: &[
        "unshare",
        "-m",
        "python3",
        "-c",
        "import ctypes; assert 'x86_64' in __import__('platform').machine()",
    ],
    script: "exec unshare -m sh -c 'mount -t tmpfs none /proc && mkdir /proc/self && ln -s \"$1\" /proc/self/exe \
             && exec python3 \"$SECCOMP\" 434,436,435 \"$@\"' sh \"$@\"",
};
const NO_SHELL: Environment =
    Environment { probe: &["true"], script: "PATH=/nowhere; export PATH; exec \"$@\"" };
const NO_DEV_NULL: Environment = Environment {
    probe: &["unshare", "-m", "true"],
    script: "exec unshare -m sh -c 'mount -t tmpfs none /dev && exec \"$@\"' sh \"$@\"",
};

/// Scenarios that gipc-core passes.
/// One scenario of `own` has sixty ends of pipes open.
const PASSING: &[&str] =
    &["run", "close", "deadlock", "own", "--skip", "own/a-number-above-the-limit-of-the-child"];
/// A scenario that hangs on an implementation that loses wake-ups. `FAULTY` stands for the folder of its adapter.
const HANGING: &[&str] = &["run", "task/neighbour-runs-while-one-waits", "--adapter", "FAULTY"];

/// What these tests do to a process, or look up about it, only Linux can do.
#[cfg(not(target_os = "linux"))]
fn main() {}

#[cfg(target_os = "linux")]
fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if arguments.get(1).is_some_and(|word| word == "agent") {
        std::process::exit(support::faulty_agent::play(&arguments[2], &arguments[3..]));
    }
    let trials = vec![
        trial("sixty_four_descriptors_are_enough", FEW_DESCRIPTORS, PASSING, 0, "ulimit -n"),
        trial(
            "a_lack_of_descriptors_is_not_a_failure_of_the_implementation",
            FEW_DESCRIPTORS,
            &["run", "children/alive-1000"],
            3,
            "1 ENVIRONMENT",
        ),
        trial(
            "too_few_descriptors_for_a_hundred_children_are_not_a_failure_of_the_implementation",
            FOR_FEW_CHILDREN,
            &["run", "children/alive-100"],
            3,
            "1 ENVIRONMENT",
        ),
        trial(
            "the_doctor_reports_too_few_descriptors_for_a_hundred_children",
            FOR_FEW_CHILDREN,
            &["doctor"],
            1,
            "children/alive-100",
        ),
        trial("two_hundred_processes_are_enough", FEW_PROCESSES, PASSING, 0, "ulimit -u"),
        trial("the_harness_needs_no_privileges", UNPRIVILEGED, PASSING, 0, "passed"),
        trial("a_passing_run_writes_no_evidence", READ_ONLY, PASSING, 0, "passed"),
        trial(
            "evidence_that_cannot_be_written_is_reported",
            READ_ONLY,
            HANGING,
            1,
            "choose another folder with --record DIR",
        ),
        trial(
            "evidence_that_is_asked_for_and_cannot_be_written_is_no_success",
            READ_ONLY,
            &["run", "close/twice", "--keep"],
            3,
            "cannot write the record to",
        ),
        trial("an_ignored_sigchld_changes_nothing", NO_SIGCHLD, PASSING, 0, "passed"),
        trial(
            "without_pidfd_a_child_that_prints_its_panic_is_no_stall",
            NO_PIDFD,
            &["run", "process/a-failing-entry", "close/failing-writer-gives-eof", "--repeat", "5"],
            0,
            "10 passed",
        ),
        trial(
            "without_pidfd_a_process_can_be_killed_all_the_same",
            NO_PIDFD,
            &["run", "close/eof-after-exit", "--kill", "all"],
            0,
            "passed",
        ),
        trial(
            "without_pidfd_the_end_of_a_child_is_known_although_it_is_found_after_the_end_of_main",
            NO_PIDFD,
            &["run", "process/killed-right-after-its-start", "--repeat", "100"],
            0,
            "100 passed",
        ),
        trial(
            "the_doctor_reports_how_the_end_of_a_process_is_found_without_pidfd",
            NO_PIDFD,
            &["doctor"],
            0,
            "looked for every 10 ms",
        ),
        trial(
            "without_pidfd_and_proc_the_suite_passes_with_turns_of_the_loops",
            PORTABLE,
            PASSING,
            0,
            "passed",
        ),
        trial(
            "where_nothing_shows_the_end_of_a_process_a_child_that_ends_late_is_waited_for",
            NO_PROCESS_END,
            &["run", "close/eof-after-close", "--adapter", "FAULTY@ends-late"],
            0,
            "1 passed",
        ),
        trial(
            "without_proc_what_follows_from_a_failed_start_is_attributed_to_the_environment",
            NO_PROC,
            &["run", "process/terminate", "process/a-task-of-the-parent-stays-there"],
            3,
            "2 ENVIRONMENT",
        ),
        trial(
            "without_a_list_of_descriptors_agents_write_frames_and_set_limits",
            NO_DEV_FD,
            &[
                "run",
                "frame",
                "pipe/close-frees-the-descriptor",
                "pipe/fails-half-way-and-leaves-nothing",
            ],
            0,
            "passed",
        ),
        trial("the_doctor_reports_a_missing_shell", NO_SHELL, &["doctor"], 1, "no program `sh`"),
        trial(
            "a_missing_shell_is_not_a_failure_of_the_implementation",
            NO_SHELL,
            &["run", "process/a-stranger-ends-first"],
            3,
            "1 ENVIRONMENT",
        ),
        trial("the_doctor_reports_a_missing_dev_null", NO_DEV_NULL, &["doctor"], 1, "/dev/null"),
        trial(
            "a_missing_dev_null_is_not_a_failure_of_the_implementation",
            NO_DEV_NULL,
            &["run", "close/twice"],
            3,
            "1 ENVIRONMENT",
        ),
        trial("the_doctor_reports_a_missing_folder", NO_TMPDIR, &["doctor"], 1, "that exists"),
        trial(
            "the_doctor_reports_a_too_long_path",
            LONG_TMPDIR,
            &["doctor"],
            1,
            "set TMPDIR to a shorter path",
        ),
        trial(
            "without_a_temporary_directory_no_scenario_runs",
            NO_TMPDIR,
            &["run", "close"],
            3,
            "no directory for the run",
        ),
        trial(
            "a_temporary_directory_with_a_too_long_path_is_reported",
            LONG_TMPDIR,
            &["run", "close"],
            3,
            "is TMPDIR too long?",
        ),
        trial("the_doctor_reports_a_full_disk", FULL_DISK, &["doctor"], 1, "set TMPDIR"),
        trial(
            "without_proc_a_hang_is_proved_by_the_turns_of_the_loops",
            NO_PROC,
            HANGING,
            1,
            "every event loop has turned twice",
        ),
        trial(
            "without_proc_a_failed_start_is_attributed_to_the_environment",
            NO_PROC,
            &["run", "close/eof-after-exit"],
            3,
            "processes are not shown",
        ),
        trial(
            "the_doctor_reports_a_missing_proc",
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
    environment: Environment,
    arguments: &'static [&'static str],
    code: i32,
    says: &'static str,
) -> Trial {
    let probed = Command::new(environment.probe[0]).args(&environment.probe[1..]).output();
    let reason = match probed {
        Ok(output) if output.status.success() => None,
        Ok(output) => Some(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        Err(error) => Some(format!("{}: {error}", environment.probe[0])),
    };
    if let Some(reason) = &reason {
        writeln!(std::io::stdout(), "{name} is skipped: {reason}").expect("stdout is open");
    }
    let test = move || check(&environment, arguments, code, says).map_err(Failed::from);
    Trial::test(name, test).with_ignored_flag(reason.is_some())
}

/// Runs the harness in an environment, and compares its exit code, a part of its output and what it leaves behind.
fn check(
    environment: &Environment,
    arguments: &[&str],
    code: i32,
    says: &str,
) -> Result<(), String> {
    let folder = tempfile::Builder::new().prefix("environment").tempdir().expect("a folder");
    let folder = folder.path();
    make_writable_for_all(folder);
    let scratch = folder.join("scratch");
    fs::create_dir(&scratch).expect("a folder");
    make_writable_for_all(&scratch);
    let program = copy_program(Path::new(HARNESS), folder);
    let agent = copy_program(&std::env::current_exe().expect("this program"), folder);
    let manifest = format!(
        "name = \"faulty\"\ncommand = [{agent:?}, \"agent\", \"{{fault}}\"]\n[words]\nfault = \"deaf\"\n\
         [[variant]]\nname = \"ends-late\"\nwords = {{ fault = \"ends-late\" }}\n"
    );
    fs::write(folder.join("adapter.toml"), manifest).expect("the manifest is written");
    let faulty = folder.display().to_string();
    let arguments = arguments.iter().map(|word| word.replace("FAULTY", &faulty));
    let root =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the project");
    let output = Command::new("sh")
        .current_dir(folder)
        .env("TMPDIR", &scratch)
        .env("GIPC_HARNESS_CACHE", folder.join("cache"))
        .env("SECCOMP", root.join("tests/support/seccomp.py"))
        .args(["-c", environment.script, "sh"])
        .arg(program)
        .arg("--scenarios")
        .arg(copy_folder(&root.join("scenarios"), folder))
        .arg("--adapters")
        .arg(copy_folder(&root.join("adapters/gipc-core"), folder))
        .args(arguments)
        .output()
        .expect("the shell starts");
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    let leftovers = [processes(&scratch), entries(&scratch)].concat();
    match output.status.code() == Some(code) && text.contains(says) {
        true if leftovers.is_empty() => Ok(()),
        true => Err(format!("left behind: {leftovers:?}")),
        false => Err(format!("{}, expected {code} with {says:?}:\n{text}", output.status)),
    }
}

/// Lets every user enter the folder and write to it, since some environments run the harness as another user.
fn make_writable_for_all(folder: &Path) {
    fs::set_permissions(folder, fs::Permissions::from_mode(0o777)).expect("we own the folder");
}

/// Copies a program to where every user can start it; the folder of the project may be inaccessible.
fn copy_program(program: &Path, folder: &Path) -> PathBuf {
    let copy = folder.join(program.file_name().expect("a program has a name"));
    fs::copy(program, &copy).expect("the program is copied");
    copy
}

/// Copies a folder and its direct subfolders, and returns the copy. The folder of an adapter is copied into a new folder
/// `adapters`, which is returned.
fn copy_folder(from: &Path, folder: &Path) -> PathBuf {
    let name = from.file_name().expect("a folder name");
    let to = match from.join("adapter.toml").exists() {
        true => folder.join("adapters"),
        false => folder.join(name),
    };
    let target = if to.ends_with("adapters") { to.join(name) } else { to.clone() };
    fs::create_dir_all(&target).expect("a folder");
    for entry in fs::read_dir(from).expect("the folder can be read").flatten() {
        let copy = target.join(entry.file_name());
        match entry.path().is_dir() {
            true => {
                fs::create_dir(&copy).expect("a folder");
                for file in fs::read_dir(entry.path()).expect("the folder can be read").flatten() {
                    fs::copy(file.path(), copy.join(file.file_name())).expect("the file is copied");
                }
            }
            false => drop(fs::copy(entry.path(), copy).expect("the file is copied")),
        }
    }
    to
}
