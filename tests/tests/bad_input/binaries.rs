//! Binaries that are replaced, deleted, started in odd ways, or others than they should be.

use std::env;
use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use crossproc::crates::process::Error;
use crossproc::{Process, spawn};
use tests::stage::{Stage, role};
use tests::traces::leaves_nothing;

use crate::says;

/// Where a copy of this binary is that is to run instead of it.
const INSTEAD: &str = "CROSSPROC_TEST_INSTEAD";

/// Runs before everything else, so also before `test_init!` makes a child of this process: as a
/// wrapper around a program would that starts a copy of it.
extern "C" fn become_another_binary() {
    let Some(path) = env::var_os(INSTEAD) else { return };
    // SAFETY: this is the only thread of the process.
    unsafe { env::remove_var(INSTEAD) };
    let path = CString::new(path.into_vec()).expect("it came from the environment");
    let arguments = [path.as_ptr(), std::ptr::null()];
    // SAFETY: path and arguments are C strings, and the list ends with null.
    unsafe { libc::execv(path.as_ptr(), arguments.as_ptr()) };
    std::process::abort();
}

#[used]
#[unsafe(link_section = ".init_array.00101")]
static BECOME: extern "C" fn() = become_another_binary;

fn copy_of_this_binary(directory: &Path) -> PathBuf {
    let copy = directory.join("copy");
    fs::copy(env::current_exe().unwrap(), &copy).unwrap();
    copy
}

fn square(x: u64) -> u64 {
    x * x
}

fn starts_and_returns() {
    assert_eq!(spawn((12,), square).unwrap().join().unwrap(), 144);
}

#[test]
fn a_program_goes_on_starting_itself_when_its_file_is_replaced_or_deleted() {
    if role().is_some() {
        let file = env::current_exe().unwrap();
        starts_and_returns();
        // As installers do: a new file takes the old one's place.
        let other = file.with_extension("new");
        fs::copy("/bin/false", &other).unwrap();
        fs::rename(&other, &file).unwrap();
        starts_and_returns();
        fs::remove_file(&file).unwrap();
        starts_and_returns();
        // A grandchild, too.
        let nested =
            spawn((), || spawn((5,), square).expect("it starts").join().expect("it returns"));
        assert_eq!(nested.unwrap().join().unwrap(), 25);
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let copy = copy_of_this_binary(directory.path());
    Stage::new(tests::test_name!()).program(&copy).play();
}

#[test]
fn a_child_that_runs_another_binary_is_refused_and_ended() {
    if role().is_some() {
        leaves_nothing(|| {
            let copy = env::var_os("COPY").unwrap();
            let error = Process::builder().env(INSTEAD, copy).spawn((3,), square).unwrap_err();
            assert!(matches!(error, Error::OtherBinary { .. }), "{error}");
            says(&error, &["runs another binary", "expected file", "found file"]);
            assert_eq!(children(), 0);
        });
        starts_and_returns();
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let copy = copy_of_this_binary(directory.path());
    Stage::new(tests::test_name!()).env("COPY", &copy).play();
}

#[test]
fn a_child_that_is_another_program_altogether_is_refused_and_ended() {
    if role().is_some() {
        leaves_nothing(|| {
            for program in ["/bin/true", "/bin/false"] {
                let error =
                    Process::builder().env(INSTEAD, program).spawn((3,), square).unwrap_err();
                assert!(matches!(error, Error::EndedEarly { .. }), "{error}");
                says(
                    &error,
                    &["before it reported", "`crossproc::init();` the first line of main"],
                );
            }
            assert_eq!(children(), 0);
        });
        return;
    }
    Stage::new(tests::test_name!()).play();
}

#[test]
fn a_program_started_through_the_loader_is_told_so() {
    if role().is_some() {
        leaves_nothing(|| {
            let error = spawn((3,), square).unwrap_err();
            assert!(matches!(error, Error::StartedByLoader), "{error}");
            says(&error, &["`ld.so program`", "start the program directly"]);
            assert_eq!(children(), 0);
        });
        return;
    }
    let loaders = ["/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1"];
    let Some(loader) = loaders.into_iter().find(|loader| Path::new(loader).exists()) else {
        return;
    };
    Stage::new(tests::test_name!()).behind(&[loader]).play();
}

/// Children of this process, ended and not reaped ones included.
fn children() -> usize {
    let mut children = 0;
    for thread in fs::read_dir("/proc/self/task").unwrap() {
        let list = fs::read_to_string(thread.unwrap().path().join("children")).unwrap_or_default();
        children += list.split_ascii_whitespace().count();
    }
    children
}
