//! The formats of a file.

use std::path::Path;

/// The format of a file, which Prometheus tells from the end of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For `.yml`, `.yaml` and every other name.
    Yaml,
    /// For `.json`.
    Json,
}

impl Format {
    /// Returns the format in which Prometheus reads a file of this name.
    pub fn of(path: &Path) -> Self {
        let json = path.extension().is_some_and(|end| end.eq_ignore_ascii_case("json"));
        if json { Self::Json } else { Self::Yaml }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_name_decides_the_format() {
        for (name, format) in
            [("a.json", Format::Json), ("a.JSON", Format::Json), ("a.yml", Format::Yaml), ("json", Format::Yaml)]
        {
            assert_eq!(Format::of(Path::new(name)), format, "{name}");
        }
    }
}
