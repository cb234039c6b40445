//! The user that the process runs as, the owner of the data directory, and the files that root may trust.
//!
//! If root works in a folder of another user, that user can put a symbolic link or another folder where root expects its own,
//! and so choose what root reads, writes or gives away.

use anyhow::{Context, Result, bail, ensure};
use nix::dir::Dir;
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use nix::unistd::{Gid, Uid, User, geteuid, initgroups, setgroups, setresgid, setresuid};
use std::collections::VecDeque;
use std::ffi::{CString, OsString};
use std::fs::{DirBuilder, File, Metadata};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Component, Path, PathBuf};

/// How many symbolic links a path may lead through: as many as Linux follows (`MAXSYMLINKS`).
const MAX_LINKS: usize = 40;

/// The user with this name or number.
///
/// # Errors
/// There is no such user.
pub fn user(name: &str) -> Result<User> {
    let user = match name.parse() {
        Ok(number) => User::from_uid(Uid::from_raw(number))?,
        Err(_) => User::from_name(name)?,
    };
    user.with_context(|| {
        format!("there is no user {name:?}; add it with `useradd --system`, or name another")
    })
}

/// The name of a user, or its number if it has no name on this host.
pub fn name_of(uid: u32) -> String {
    let user = User::from_uid(Uid::from_raw(uid)).ok().flatten();
    user.map_or_else(|| format!("user {uid}"), |user| user.name)
}

/// Becomes `user` for good, with the groups of that user.
///
/// # Errors
/// There is no such user, or this process is neither root nor that user.
pub fn become_user(name: &str) -> Result<()> {
    let user = user(name)?;
    if geteuid() == user.uid {
        return Ok(());
    }
    ensure!(geteuid().is_root(), "only root can become user {name:?}: start as root or as that user");
    initgroups(&CString::new(user.name)?, user.gid)?;
    become_ids(user.uid, user.gid)
}

fn become_ids(uid: Uid, gid: Gid) -> Result<()> {
    setresgid(gid, gid, gid)?;
    setresuid(uid, uid, uid)?;
    Ok(())
}

/// As root: becomes the owner of the data directory, who must be the configured user if there is one. The owner may have no
/// name on this host, as in a container with few users. Other users stay who they are.
///
/// # Errors
/// The directory belongs to another than `user`, or cannot be looked at.
pub fn become_keeper(user: Option<&str>, data: &Path) -> Result<()> {
    if !geteuid().is_root() {
        return Ok(());
    }
    let folder = std::fs::metadata(data)?;
    if let Some(name) = user {
        ensure_owner(data, &folder, self::user(name)?.uid)?;
        return become_user(name);
    }
    match (folder.uid(), User::from_uid(Uid::from_raw(folder.uid()))?) {
        (0, _) => Ok(()),
        (_, Some(owner)) => become_user(&owner.name),
        (uid, None) => {
            let gid = Gid::from_raw(folder.gid());
            setgroups(&[gid])?;
            become_ids(Uid::from_raw(uid), gid)
        }
    }
}

/// Makes the data directory, which only its owner can enter, and the folders above it, with the usual permissions. Returns
/// whether it was made. Root makes it for `user`; an existing one must belong to that user.
///
/// # Errors
/// It cannot be made, or belongs to another user, or its path leads through what others can change.
pub fn make_data_dir(path: &Path, user: Option<&str>) -> Result<bool> {
    let made = make_private_folder(path).with_context(|| format!("make {}", path.display()))?;
    if !geteuid().is_root() {
        return Ok(made);
    }
    let owner = user.map(self::user).transpose()?;
    if owner.is_none() {
        // The server will run as root, so no other user may put another folder in its place.
        ensure_roots_alone(path)?;
    }
    match owner {
        Some(owner) if made => {
            give(path, &owner).with_context(|| format!("give {} to {}", path.display(), owner.name))?;
        }
        Some(owner) => ensure_owner(path, &std::fs::metadata(path)?, owner.uid)?,
        None => {}
    }
    Ok(made)
}

fn make_private_folder(path: &Path) -> io::Result<bool> {
    path.parent().map_or(Ok(()), std::fs::create_dir_all)?;
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => Ok(true),
        Err(_) if path.is_dir() => Ok(false),
        Err(error) => Err(error),
    }
}

/// Gives a folder that root has just made to its user. Refuses if a link, or anything but an empty private folder of root, is
/// there now: another user has put it there since.
fn give(path: &Path, user: &User) -> Result<()> {
    let flags = OFlag::O_NOFOLLOW | OFlag::O_DIRECTORY;
    let folder = File::options().read(true).custom_flags(flags.bits()).open(path)?;
    let meta = folder.metadata()?;
    let mut entries = Dir::from_fd(folder.try_clone()?.into())?;
    let is_empty = entries
        .iter()
        .all(|entry| entry.is_ok_and(|entry| matches!(entry.file_name().to_bytes(), b"." | b"..")));
    ensure!(
        meta.uid() == 0 && meta.permissions().mode() & 0o777 == 0o700 && is_empty,
        "someone has put another folder in its place"
    );
    Ok(fchown(&folder, Some(user.uid.as_raw()), Some(user.gid.as_raw()))?)
}

/// Checks the owner of a folder that exists. Root does not change it, because a link may lead to another folder.
///
/// # Errors
/// The folder belongs to another user; the error says how to give it away.
pub fn ensure_owner(path: &Path, folder: &Metadata, wanted: Uid) -> Result<()> {
    let (owner, wanted) = (folder.uid(), wanted.as_raw());
    if owner == wanted {
        return Ok(());
    }
    let (path, has) = (path.display(), name_of(owner));
    let wanted = name_of(wanted);
    bail!(
        "{path} belongs to {has} and not to {wanted}, whom moxd.toml names as `user`: \
         give it to them with `chown -R {wanted}: {path}`, or name another data_dir"
    );
}

/// As root: refuses a path that leads through a folder or a link that another user can change.
///
/// # Errors
/// The path leads through such a folder or link.
pub fn ensure_roots_alone(path: &Path) -> Result<()> {
    if !geteuid().is_root() {
        return Ok(());
    }
    let path = std::path::absolute(path)?;
    let there = path.ancestors().find(|folder| folder.symlink_metadata().is_ok());
    match weak_link(there.unwrap_or_else(|| Path::new("/")))? {
        None => Ok(()),
        Some(weak) => bail!(
            "{} leads through {}, which is not root's alone: start as the user whose folder it is, or name another folder",
            path.display(),
            weak.display()
        ),
    }
}

/// The first part of a path, folder, link or file, that another user than root owns or that every user can change. Symbolic
/// links are followed one at a time, since each of them decides where the path leads.
///
/// # Errors
/// The file, or a folder above it, cannot be looked at.
pub fn weak_link(path: &Path) -> io::Result<Option<PathBuf>> {
    let path = std::path::absolute(path)?;
    let mut ahead: VecDeque<OsString> = parts(&path);
    let (mut here, mut links) = (PathBuf::from("/"), 0);
    while let Some(part) = ahead.pop_front() {
        if part == ".." {
            here.pop();
            continue;
        }
        let next = here.join(part);
        let meta = next.symlink_metadata()?;
        let mode = meta.permissions().mode();
        // In a folder with the sticky bit every user can add files, but not replace those of others.
        let is_open = !meta.is_symlink() && mode & 0o002 != 0 && mode & 0o1000 == 0;
        if meta.uid() != 0 || is_open {
            return Ok(Some(next));
        }
        if !meta.is_symlink() {
            here = next;
            continue;
        }
        links += 1;
        if links > MAX_LINKS {
            return Ok(Some(next));
        }
        let target = next.read_link()?;
        if target.is_absolute() {
            here = PathBuf::from("/");
        }
        parts(&target).into_iter().rev().for_each(|part| ahead.push_front(part));
    }
    Ok(None)
}

/// The names on a path, with `..` where the path goes up.
fn parts(path: &Path) -> VecDeque<OsString> {
    let kept = |part: &Component<'_>| matches!(part, Component::Normal(_) | Component::ParentDir);
    path.components().filter(kept).map(|part| part.as_os_str().to_owned()).collect()
}

/// Makes files from now on readable by their owner alone: they hold mail, and secrets derived from passwords.
pub fn keep_files_private() {
    nix::sys::stat::umask(Mode::from_bits_truncate(0o077));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{chown, symlink};

    /// A user without a name on any system.
    const STRANGER: u32 = 54_321;

    fn nobody() -> User {
        user("nobody").unwrap()
    }

    fn is_root() -> bool {
        let root = geteuid().is_root();
        if !root {
            println!("skipped: only root can give folders away");
        }
        root
    }

    #[test]
    fn root_gives_away_what_it_made_just_now_and_nothing_else() {
        if !is_root() {
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let uid = |name: &str| fs::metadata(at(name)).unwrap().uid();
        assert!(make_data_dir(&at("new/data"), Some("nobody")).unwrap());
        assert_eq!((uid("new"), uid("new/data")), (0, nobody().uid.as_raw()));
        assert!(!make_data_dir(&at("new/data"), Some("nobody")).unwrap(), "it is there");

        fs::create_dir(at("roots")).unwrap();
        symlink(at("roots"), at("link")).unwrap();
        for name in ["roots", "link"] {
            let why = make_data_dir(&at(name), Some("nobody")).unwrap_err().to_string();
            assert!(why.contains("belongs to root") && why.contains("chown -R nobody: "), "{why}");
        }
        symlink(at("nowhere"), at("dangling")).unwrap();
        make_data_dir(&at("dangling"), Some("nobody")).unwrap_err();
        assert!(!at("nowhere").exists());
        // Another folder in the place of the new one, before it is given away.
        fs::create_dir(at("full")).unwrap();
        fs::set_permissions(at("full"), fs::Permissions::from_mode(0o700)).unwrap();
        give(&at("full"), &nobody()).unwrap();
        fs::create_dir_all(at("other/secret")).unwrap();
        fs::set_permissions(at("other"), fs::Permissions::from_mode(0o700)).unwrap();
        for name in ["other", "link"] {
            give(&at(name), &nobody()).unwrap_err();
        }
        assert_eq!((uid("roots"), uid("other")), (0, 0));
        // A link of the user to a folder of the user does no harm.
        symlink(at("new/data"), at("moved")).unwrap();
        assert!(!make_data_dir(&at("moved"), Some("nobody")).unwrap());
        // Without a user, root works only in its own folders.
        for name in ["new/data", "new/data/below", "moved"] {
            let why = make_data_dir(&at(name), None).unwrap_err().to_string();
            assert!(why.contains("new/data, which is not root's alone"), "{why}");
        }
        assert!(make_data_dir(&at("another"), None).unwrap());
    }

    #[test]
    fn root_believes_a_file_that_only_root_can_have_put_there() {
        if !is_root() {
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for folder in ["own/config", "theirs/config", "open/config"] {
            fs::create_dir_all(at(folder)).unwrap();
            fs::write(at(folder).join("moxd.toml"), "").unwrap();
        }
        chown(at("theirs"), Some(STRANGER), None).unwrap();
        fs::set_permissions(at("open"), fs::Permissions::from_mode(0o777)).unwrap();
        symlink(at("own/config"), at("theirs/link")).unwrap();
        symlink(at("theirs"), at("own/link")).unwrap();
        symlink("loop", at("loop")).unwrap();
        fs::create_dir(at("own/file")).unwrap();
        fs::write(at("own/file/moxd.toml"), "").unwrap();
        chown(at("own/file/moxd.toml"), Some(STRANGER), None).unwrap();
        for (path, weak) in [
            ("own/config/moxd.toml", None),
            ("own/../own/./config/moxd.toml", None),
            ("theirs/config/moxd.toml", Some("theirs")),
            ("theirs/link/moxd.toml", Some("theirs")),
            ("own/link/config/moxd.toml", Some("theirs")),
            ("own/file/moxd.toml", Some("own/file/moxd.toml")),
            ("open/config/moxd.toml", Some("open")),
            ("loop", Some("loop")),
        ] {
            assert_eq!(weak_link(&at(path)).unwrap(), weak.map(at), "{path}");
        }
        assert!(weak_link(&at("own/config/nothing")).is_err());
    }
}
