//! Checks whether a report can be written, before a run that may take hours.

use crate::error::Error;
use std::fs::{self, OpenOptions};
use std::path::Path;

/// Checks that a file can be written, and leaves it as it is.
pub fn check_writable(file: &Path) -> Result<(), Error> {
    let existed = file.exists();
    let opened = OpenOptions::new().create(true).append(true).open(file);
    opened.map_err(|error| Error::unwritable(file, &error))?;
    if !existed {
        fs::remove_file(file).map_err(|error| Error::unwritable(file, &error))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::check_writable;
    use std::fs;

    #[test]
    fn a_file_is_left_as_it_is() {
        let folder = tempfile::tempdir().expect("a folder");
        let (new, old) = (folder.path().join("new"), folder.path().join("old"));
        fs::write(&old, "text").expect("written");
        check_writable(&new).expect("it can be written");
        check_writable(&old).expect("it can be written");
        assert!(!new.exists());
        assert_eq!(fs::read_to_string(old).expect("read"), "text");
    }

    #[test]
    fn a_file_in_a_missing_folder_is_refused_with_its_path() {
        let folder = tempfile::tempdir().expect("a folder");
        let error = check_writable(&folder.path().join("no/such")).expect_err("refused");
        assert!(error.to_string().contains("no/such"), "{error}");
    }
}
