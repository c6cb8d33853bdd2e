//! Writes the files of inputs of the target `labels`, for readers other than ours: `render DIRECTORY INPUT...`

use std::ffi::OsString;
use std::path::PathBuf;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let mut arguments = env::args_os().skip(1);
    let directory = PathBuf::from(arguments.next().unwrap_or_else(|| OsString::from(".")));
    for input in arguments.map(PathBuf::from) {
        let [yaml, json] = fuzz::labels::files(&fs::read(&input)?);
        let name = directory.join(input.file_name().unwrap_or_default());
        for (bytes, end) in [(yaml, ".yml"), (json, ".json")] {
            let mut path = name.clone().into_os_string();
            path.push(end);
            fs::write(path, bytes)?;
        }
    }
    Ok(())
}
