//! The regular files below a directory, found one at a time; symbolic links are not followed.

use std::fs::ReadDir;
use std::path::{Path, PathBuf};

/// What is no source of a Rust project, though it lies in its directory.
const NO_SOURCE: [&str; 2] = ["target", ".git"];

/// An iterator over regular files. What cannot be read comes as an error and is passed over.
pub(crate) struct Walk {
    open: Vec<(PathBuf, ReadDir)>,
    skip: &'static [&'static str],
}

impl Walk {
    /// Begins at `root`, which must be a readable directory.
    pub(crate) fn new(root: &Path) -> std::io::Result<Self> {
        Ok(Self { open: vec![(root.to_owned(), root.read_dir()?)], skip: &[] })
    }

    /// As [`Walk::new`], without the directories of a Rust project that hold no source.
    pub(crate) fn of_source(root: &Path) -> std::io::Result<Self> {
        Ok(Self { skip: &NO_SOURCE, ..Self::new(root)? })
    }
}

/// What the walk could not read.
#[derive(Debug)]
pub(crate) struct Unreadable {
    pub(crate) path: PathBuf,
    pub(crate) error: std::io::Error,
}

impl Walk {
    fn is_skipped(&self, path: &Path) -> bool {
        path.file_name().is_some_and(|name| self.skip.iter().any(|skip| name == *skip))
    }
}

impl Iterator for Walk {
    type Item = Result<PathBuf, Unreadable>;

    fn next(&mut self) -> Option<Self::Item> {
        while let Some((directory, entries)) = self.open.last_mut() {
            let path = directory.clone();
            let Some(entry) = entries.next() else {
                self.open.pop();
                continue;
            };
            let found = entry.and_then(|entry| Ok((entry.path(), entry.file_type()?)));
            match found {
                Ok((path, kind)) if kind.is_dir() && self.is_skipped(&path) => {}
                Ok((path, kind)) if kind.is_dir() => match path.read_dir() {
                    Ok(entries) => self.open.push((path, entries)),
                    Err(error) => return Some(Err(Unreadable { path, error })),
                },
                Ok((path, kind)) if kind.is_file() => return Some(Ok(path)),
                Ok(_) => {}
                Err(error) => return Some(Err(Unreadable { path, error })),
            }
        }
        None
    }
}
