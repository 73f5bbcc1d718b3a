//! The rules for names, and where a named segment's file lies.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result, system};

/// Where named segments live.
const DIRECTORY: &str = "/dev/shm";

/// What the files of named segments begin with, so that tools can tell them from others.
const PREFIX: &str = "crossproc.";

/// The longest name of a segment, in bytes.
pub(crate) const MOST_SEGMENT_NAME: usize = 200;

/// The longest name of an object, in bytes.
pub(crate) const MOST_OBJECT_NAME: usize = crate::names::MAX_NAME_BYTES;

/// The file of the segment called `name`.
pub(crate) fn of_segment(name: &str) -> Result<PathBuf> {
    check(name, MOST_SEGMENT_NAME, "is longer than 200 bytes; choose a shorter one")?;
    Ok(Path::new(DIRECTORY).join(format!("{PREFIX}{name}")))
}

/// The same path for every process, whatever directory it is in: tickets carry it.
pub(crate) fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).map_err(system(format!("find the file {path:?}")))
}

/// How users call the segment in the file `path`: by its name if it is a named one.
pub(crate) fn shown(path: &Path) -> String {
    let of_name = path.strip_prefix(DIRECTORY).ok().and_then(Path::to_str);
    match of_name.and_then(|file| file.strip_prefix(PREFIX)) {
        Some(name) if !name.contains('/') => name.to_owned(),
        _ => path.display().to_string(),
    }
}

/// Checks the name of an object in a segment.
pub(crate) fn check_object(name: &str) -> Result<()> {
    check(name, MOST_OBJECT_NAME, "is longer than 95 bytes; choose a shorter one")
}

fn check(name: &str, most: usize, too_long: &'static str) -> Result<()> {
    let why = if name.is_empty() {
        "is empty; give at least one character"
    } else if name.contains('\0') {
        "contains a NUL character; leave it out"
    } else if name.contains('/') {
        "contains a slash; names are not paths (a segment in a file is made by create_file)"
    } else if name == "." || name == ".." {
        "stands for a directory; choose another"
    } else if name.len() > most {
        too_long
    } else {
        return Ok(());
    };
    Err(Error::BadName { name: name.to_owned(), why })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_broken_rule_has_its_own_sentence() {
        let long = "x".repeat(201);
        let bad = ["", "a\0b", "a/b", "..", long.as_str()];
        let mut sentences: Vec<String> =
            bad.iter().map(|name| of_segment(name).unwrap_err().to_string()).collect();
        sentences.dedup();
        assert_eq!(sentences.len(), bad.len());
        assert!(of_segment("camera-7").unwrap().ends_with("crossproc.camera-7"));
        assert_eq!(shown(&of_segment("camera-7").unwrap()), "camera-7");
        assert_eq!(shown(Path::new("/dev/shm/other")), "/dev/shm/other");
    }
}
