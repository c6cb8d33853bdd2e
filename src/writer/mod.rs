//! Replaces a file atomically, so that no reader sees a part of it. Knows nothing of the content's meaning.
//!
//! Only a file that rename cannot replace is overwritten in place: a mount point, or a writable file in a directory
//! that does not let this process replace it.

mod content;
mod error;
mod file;
mod in_place;
mod open;
mod ownership;
mod place;
mod temporary;

pub use self::content::Content;
pub use self::error::WriteError;
pub use self::file::{FileWriter, IfUnchanged, LARGEST_FILE, Stamp, Written};
pub use self::ownership::LostAccess;
