//! Tests that run on another stage: the test binary runs itself again, for one test, under other
//! circumstances.
//!
//! Such a test asks [`role`] first. Without one it sets up a [`Stage`] and plays itself there; with
//! one it is what was set up, and does its part.
#![expect(clippy::missing_panics_doc, reason = "whatever goes wrong in a test is a panic")]

use std::env;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Tells a process which part of its test it plays.
const VARIABLE: &str = "CROSSPROC_TEST_ROLE";

/// The part that this process plays, if a [`Stage`] started it.
#[must_use]
pub fn role() -> Option<String> {
    env::var(VARIABLE).ok()
}

/// The name of the test function that this stands in, as the test runner calls it.
#[macro_export]
macro_rules! test_name {
    () => {{
        fn here() {}
        $crate::stage::name_around(std::any::type_name_of_val(&here))
    }};
}

/// `file::function::here` without the file and without `here`.
#[doc(hidden)]
#[must_use]
pub fn name_around(path: &'static str) -> &'static str {
    let path = path.strip_suffix("::here").unwrap_or(path);
    path.split_once("::").map_or(path, |(_, name)| name)
}

/// Circumstances under which a test runs itself again.
#[derive(Clone, Debug)]
pub struct Stage {
    test: String,
    role: String,
    behind: Vec<OsString>,
    program: PathBuf,
    env: Vec<(OsString, OsString)>,
}

impl Stage {
    /// The test called `test` in a process of its own, in which [`role`] is `"alone"`.
    #[must_use]
    pub fn new(test: &str) -> Self {
        let program = env::current_exe().expect("/proc is there");
        let (behind, env) = (Vec::new(), Vec::new());
        Self { test: test.to_owned(), role: "alone".to_owned(), behind, program, env }
    }

    /// What [`role`] says there.
    #[must_use]
    pub fn role(mut self, role: &str) -> Self {
        role.clone_into(&mut self.role);
        self
    }

    /// The same once more, in another role.
    #[must_use]
    pub fn again(&self, role: &str) -> Self {
        self.clone().role(role)
    }

    /// Runs another file instead of this binary, such as a copy of it.
    #[must_use]
    pub fn program(mut self, program: impl AsRef<Path>) -> Self {
        program.as_ref().clone_into(&mut self.program);
        self
    }

    /// With an environment variable.
    #[must_use]
    pub fn env(mut self, key: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env.push((key.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Started by the command `behind`, which gets the program and its arguments at its end.
    #[must_use]
    pub fn behind(mut self, behind: &[&str]) -> Self {
        self.behind = behind.iter().map(OsString::from).collect();
        self
    }

    /// In mount namespaces of its own, after the shell commands `mounts` were run there. `None` if
    /// this user may not do that here.
    #[must_use]
    pub fn with_mounts(self, mounts: &str) -> Option<Self> {
        let script = format!("{mounts} && exec \"$@\"");
        self.possible(&["--mount", "sh", "-c", &script, "sh"])
    }

    /// In a pid namespace of its own, whose processes all end when the process started does.
    #[must_use]
    pub fn with_own_pids(self) -> Option<Self> {
        self.possible(&["--pid", "--fork", "--kill-child"])
    }

    fn possible(self, options: &[&str]) -> Option<Self> {
        let mut behind = vec!["unshare"];
        if !is_root() {
            behind.push("--map-root-user");
        }
        behind.extend(options);
        let mut probe = Command::new(behind[0]);
        let probe = probe.args(&behind[1..]).arg("true").stderr(Stdio::null()).status();
        if probe.is_ok_and(|status| status.success()) {
            return Some(self.behind(&behind));
        }
        skipped(&self.test, &format!("`{}` is not possible here", behind.join(" ")));
        None
    }

    /// The command that starts it.
    #[must_use]
    pub fn command(&self) -> Command {
        let mut line = self.behind.iter().cloned().chain([self.program.clone().into_os_string()]);
        let mut command = Command::new(line.next().expect("there is a program"));
        command.args(line).args(["--exact", &self.test, "--nocapture", "--test-threads=1"]);
        command.env(VARIABLE, &self.role).envs(self.env.iter().cloned()).stdin(Stdio::null());
        command
    }

    /// Runs the test there to its end, and gives what it printed.
    pub fn play(&self) -> String {
        let output = self.command().output().expect("it starts");
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text).into_owned();
        let ran = output.status.success() && text.contains("1 passed");
        assert!(ran, "{} as {:?}: {}\n{text}", self.test, self.role, output.status);
        text
    }
}

/// Says that a test was left out, and why.
#[expect(clippy::print_stderr, reason = "nobody else tells")]
pub fn skipped(test: &str, why: &str) {
    eprintln!("{test}: skipped, as {why}");
}

/// Whether this process may do everything.
#[must_use]
pub fn is_root() -> bool {
    // SAFETY: a question without arguments.
    unsafe { libc::geteuid() == 0 }
}
