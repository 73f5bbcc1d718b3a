//! Starts that go wrong, each in a program of its own: this one, run again with a scene to play.
//!
//! There is no test harness here, for the scenes differ in what `main` does before `init()`. What
//! they provoke would be a chain of processes without an end, were it not caught. So that a failure
//! stays harmless, no process of a scene does anything after its [`GENERATIONS`]th generation, and
//! each is ended after a while whatever it does.

#![expect(clippy::print_stdout, reason = "a program; the output of scenes is looked at")]

use std::env;
use std::fs::{self, File};
use std::os::fd::{FromRawFd, OwnedFd};
use std::path::PathBuf;
use std::process::{Command, Output};
use std::thread;
use std::time::Duration;

use crossproc_process::{Builder, Error, JoinHandle, Process, Result, spawn};

/// The scene that this process is to play.
const SCENE: &str = "CROSSPROC_TEST_SCENE";

/// How many ancestors of this process played it before.
const GENERATION: &str = "CROSSPROC_TEST_GENERATION";

const GENERATIONS: u32 = 4;

const LIFE: Duration = Duration::from_secs(120);

fn main() {
    match env::var(SCENE) {
        Ok(scene) => play(&scene),
        Err(_) => run_all(),
    }
}

/// The tests: what each scene prints.
fn run_all() {
    let tests: [(&str, fn()); 13] = [
        ("init_is_forgotten", init_is_forgotten),
        ("a_child_forgets_init", a_child_forgets_init),
        ("a_child_forgets_init_and_sleeps", a_child_forgets_init_and_sleeps),
        ("a_child_leaves_before_init", a_child_leaves_before_init),
        ("a_child_loses_its_socket", a_child_loses_its_socket),
        ("a_child_loses_its_variable", a_child_loses_its_variable),
        ("a_child_loses_both", a_child_loses_both),
        ("a_variable_from_elsewhere_is_ignored", a_variable_from_elsewhere_is_ignored),
        ("a_chain_of_processes_has_an_end", a_chain_of_processes_has_an_end),
        ("a_program_that_was_deleted_goes_on", a_program_that_was_deleted_goes_on),
        ("a_program_started_by_the_loader_is_told", a_program_started_by_the_loader_is_told),
        ("output_is_flushed_at_the_end", output_is_flushed_at_the_end),
        ("want_of_descriptors_is_told", want_of_descriptors_is_told),
    ];
    let wanted: Vec<String> = env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    for (name, test) in tests {
        if wanted.is_empty() || wanted.iter().any(|part| name.contains(part)) {
            test();
            println!("test {name} ... ok");
        }
    }
}

fn scene(program: &str, name: &str) -> Command {
    let mut command = Command::new(program);
    command.env(SCENE, name);
    command
}

fn output(command: &mut Command) -> (String, String) {
    let Output { stdout, stderr, .. } = command.output().expect("it runs");
    let text = |bytes| String::from_utf8(bytes).expect("it is text");
    (text(stdout), text(stderr))
}

/// Runs a scene and checks that the only process with something to say says `expected`.
fn expect(name: &str, expected: &str) {
    let (stdout, stderr) = output(&mut scene("/proc/self/exe", name));
    let lines: Vec<&str> = stdout.lines().collect();
    assert!(
        matches!(lines[..], [line] if line.contains(expected)),
        "{name}: expected {expected:?}\n{stdout}\n{stderr}"
    );
}

fn init_is_forgotten() {
    expect("never", "add `crossproc::init();` as the first line of main");
}

fn a_child_forgets_init() {
    expect("parent only", "ended with exit code 70 before it reported: is `crossproc::init();`");
}

fn a_child_forgets_init_and_sleeps() {
    expect("sleep", "did not report within 300ms and was ended: is `crossproc::init();`");
}

fn a_child_leaves_before_init() {
    expect("leave", "ended with exit code 2 before it reported: is `crossproc::init();`");
}

fn a_child_loses_its_socket() {
    expect("close", "before it reported");
}

fn a_child_loses_its_variable() {
    expect("unset", "ended with exit code 70 before it reported");
}

fn a_child_loses_both() {
    // Nobody can tell that it is a child: it plays on, as a parent of the next generation, unless
    // its own parent, which knows at once that it will not report, is faster.
    let (stdout, stderr) = output(&mut scene("/proc/self/exe", "close and unset"));
    let lines = stdout.lines().filter(|line| line.contains("before it reported")).count();
    assert!((1..=GENERATIONS as usize).contains(&lines), "{stdout}\n{stderr}");
}

fn a_variable_from_elsewhere_is_ignored() {
    for value in ["", "nonsense", "0:1:1:0", "3:1:1:0", "99:1:0:0", "-1:-1:-1:-1"] {
        let (stdout, stderr) =
            output(scene("/proc/self/exe", "usual").env("CROSSPROC_CHILD", value));
        assert_eq!(stdout, "Ok(7)\n", "{value}: {stderr}");
    }
    // The depth counts also then.
    let (stdout, _) = output(scene("/proc/self/exe", "usual").env("CROSSPROC_CHILD", "99:1:32:0"));
    assert!(stdout.contains("33 levels below"), "{stdout}");
}

fn a_chain_of_processes_has_an_end() {
    expect("recursion", "refusing to start a process 33 levels below the first one");
}

fn a_program_that_was_deleted_goes_on() {
    let folder = tempfile();
    let program = folder.join("program");
    fs::copy("/proc/self/exe", &program).expect("there is room");
    let program = program.to_str().expect("a plain path");
    let (stdout, stderr) = output(&mut scene(program, "deleted"));
    assert_eq!(stdout, "Ok(7)\n", "{stderr}");
    fs::remove_dir(folder).expect("it is empty");
}

fn a_program_started_by_the_loader_is_told() {
    let loader = "/lib64/ld-linux-x86-64.so.2";
    if !fs::exists(loader).unwrap_or(false) {
        println!("no loader at {loader}: nothing tested");
        return;
    }
    let own = fs::read_link("/proc/self/exe").expect("it has a path");
    let (stdout, stderr) = output(scene(loader, "usual").arg(own));
    assert!(stdout.contains("started through the dynamic loader"), "{stdout}\n{stderr}");
}

fn output_is_flushed_at_the_end() {
    let (stdout, stderr) = output(&mut scene("/proc/self/exe", "print"));
    assert_eq!(stdout, "from the child, without an end of line", "{stderr}");
}

fn want_of_descriptors_is_told() {
    let own = fs::read_link("/proc/self/exe").expect("it has a path");
    let script = "ulimit -n 24; exec \"$0\"";
    let mut command = scene("/bin/sh", "few descriptors");
    let (stdout, stderr) = output(command.arg("-c").arg(script).arg(own));
    let lines: Vec<&str> = stdout.lines().collect();
    // However many are missing, from all of them to one.
    assert!(lines.len() > 4, "{stdout}\n{stderr}");
    let (last, failures) = lines.split_last().expect("there are some");
    assert!(failures.iter().all(|line| line.contains("raise the limit (`ulimit -n`)")), "{stdout}");
    assert_eq!(*last, "Ok(7)", "{stdout}\n{stderr}");
}

/// A folder for this process.
fn tempfile() -> PathBuf {
    let folder = env::temp_dir().join(format!("crossproc-test-{}", std::process::id()));
    fs::create_dir(&folder).expect("the name is free");
    folder
}

/// Plays a scene. All that it does may be done by a child as well, if that does not stop at `init`.
#[expect(clippy::exit, reason = "a scene")]
fn play(scene: &str) {
    let generation: u32 = env::var(GENERATION).map_or(0, |n| n.parse().expect("a number"));
    thread::spawn(|| {
        thread::sleep(LIFE);
        std::process::exit(99);
    });
    if generation >= GENERATIONS && scene != "recursion" {
        return;
    }
    let is_child = generation > 0;
    match scene {
        "never" => {}
        "parent only" if is_child => {}
        "sleep" if is_child => thread::sleep(LIFE),
        "leave" if is_child => std::process::exit(2),
        "close" if is_child => start_without(true, false),
        "unset" if is_child => start_without(false, true),
        "close and unset" if is_child => start_without(true, true),
        "deleted" if !is_child => {
            fs::remove_file(fs::read_link("/proc/self/exe").expect("it has a path"))
                .expect("it is ours");
            crossproc_process::init();
        }
        _ => crossproc_process::init(),
    }
    let builder = Process::builder().env(GENERATION, (generation + 1).to_string());
    let result = match scene {
        "sleep" => builder.start_timeout(Duration::from_millis(300)).spawn((), seven),
        "print" => builder.spawn((), || {
            print!("from the child, without an end of line");
            7
        }),
        "few descriptors" => start_with_few_descriptors(&builder),
        "recursion" => return println!("{}", deeper(0).expect_err("it has an end")),
        _ => builder.spawn((), seven),
    };
    match result.map(JoinHandle::join) {
        Ok(_) if scene == "print" => {}
        Ok(joined) => println!("{:?}", joined.map_err(|error| error.to_string())),
        Err(error) => println!("{error}"),
    }
}

/// Takes all descriptors, and gives them back one by one until a process can be started.
fn start_with_few_descriptors(builder: &Builder) -> Result<JoinHandle<u32>> {
    let mut taken = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        taken.push(file);
    }
    loop {
        match builder.spawn((), seven) {
            Err(error) if taken.pop().is_some() => println!("{error}"),
            result => return result,
        }
    }
}

/// What a child does that loses what its parent gave it, before it comes to `init()`.
fn start_without(socket: bool, variable: bool) {
    if socket {
        // SAFETY: the descriptor of the socket to the parent, which nothing refers to yet.
        drop(unsafe { OwnedFd::from_raw_fd(3) });
    }
    if variable {
        // SAFETY: the other thread of this process sleeps.
        unsafe { env::remove_var("CROSSPROC_CHILD") };
    }
    crossproc_process::init();
}

fn seven() -> u32 {
    7
}

/// Starts itself in a child, and so on.
fn deeper(level: u32) -> Result<(), String> {
    let handle = spawn((level + 1,), deeper).map_err(|error: Error| error.to_string())?;
    handle.join().map_err(|error| error.to_string())?
}
