//! Who owns a file, and who may read it.

use std::fmt;
use std::fs::{File, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use rustix::fs::{Gid, Uid, fchown};
use rustix::process::geteuid;

/// The owner, the group and the mode of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ownership {
    uid: u32,
    gid: u32,
    mode: u32,
}

/// The owner or the group of a replaced file could read it, and may not read the new file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LostAccess {
    previous: Ownership,
    now: Ownership,
}

impl LostAccess {
    /// Returns the owner, the group and the mode of the replaced file, for display.
    pub fn previous(&self) -> impl fmt::Display + use<> {
        self.previous
    }

    /// Returns those of the new file.
    pub fn now(&self) -> impl fmt::Display + use<> {
        self.now
    }
}

impl Ownership {
    /// Returns the ownership of a file.
    pub(super) fn of(file: &Metadata) -> Self {
        Self { uid: file.uid(), gid: file.gid(), mode: file.mode() & 0o777 }
    }

    /// Gives it to another file, as far as this process may.
    pub(super) fn pass_on(self, file: &File) -> io::Result<Option<LostAccess>> {
        let (uid, gid) = (Uid::from_raw(self.uid), Gid::from_raw(self.gid));
        let new = Self::of(&file.metadata()?);
        if (new.uid, new.gid) != (self.uid, self.gid) && fchown(file, Some(uid), Some(gid)).is_err() {
            // Only root may give a file away, but the members of a group may give it to the group.
            let _ = fchown(file, None, Some(gid));
        }
        // Last, because a change of owner clears some bits of the mode.
        file.set_permissions(Permissions::from_mode(self.mode))?;
        let now = Self::of(&file.metadata()?);
        Ok(self.reads_more_than(now).then_some(LostAccess { previous: self, now }))
    }

    fn reads_more_than(self, now: Self) -> bool {
        let all_may_read = now.mode & 0o004 != 0;
        // Root may read every file.
        let owner_lost = now.uid != self.uid && self.uid != 0 && self.mode & 0o400 != 0;
        let group_lost = now.gid != self.gid && self.mode & 0o040 != 0;
        !all_may_read && (owner_lost || group_lost)
    }
}

impl fmt::Display for Ownership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "uid {} gid {} mode {:04o}", self.uid, self.gid, self.mode)
    }
}

/// Returns whether only this user or root can have written a file.
pub(super) fn is_trusted(file: &Metadata) -> bool {
    let owner = file.uid();
    (owner == geteuid().as_raw() || owner == 0) && file.mode() & 0o022 == 0
}

/// Returns the error for a file that somebody else can have written.
pub(super) fn untrusted(file: &Metadata) -> io::Error {
    let ownership = Ownership::of(file);
    io::Error::other(format!(
        "not trusted: others can write it ({ownership}; this process runs as uid {})",
        geteuid().as_raw()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn access_is_lost_by_an_owner_or_a_group_that_could_read() {
        let of = |uid, gid, mode| Ownership { uid, gid, mode };
        for (previous, now, lost) in [
            (of(1, 1, 0o640), of(1, 1, 0o640), false),
            (of(1, 1, 0o640), of(2, 1, 0o640), true),
            (of(1, 1, 0o640), of(1, 2, 0o640), true),
            (of(1, 1, 0o600), of(1, 2, 0o600), false),
            (of(0, 1, 0o640), of(2, 1, 0o640), false),
            (of(1, 1, 0o040), of(2, 1, 0o040), false),
            (of(1, 1, 0o644), of(2, 2, 0o644), false),
        ] {
            assert_eq!(previous.reads_more_than(now), lost, "{previous} -> {now}");
        }
    }
}
