//! Who has the data directory open for a verb while no server runs: a process of its own, asked as a server is.
//!
//! It differs from the verb in two things that a process has but once. Where root runs the verb, the keeper is the user
//! whose data it is, or the next server could not open what root has made. And it keeps its files from other users,
//! while what is exported is made as whoever exports it wants their files.

use crate::console::Console;
use crate::request::Request;
use crate::{atrest, ctl, privileges, wiring};
use anyhow::{Context, Result};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use store::Store;

/// What a keeper is called instead of `moxd`: it is no verb that anyone should type.
const NAME: &str = "moxd-keeper";

/// Asks a keeper, which ends with its answer. `user` is the one that the configuration names.
pub(crate) fn ask(
    data: &Path,
    user: Option<&str>,
    request: &Request,
    console: &mut dyn Console,
) -> Result<()> {
    let (mut ours, theirs) = UnixStream::pair()?;
    let program = std::env::current_exe().context("find moxd itself")?;
    let mut command = Command::new(program);
    command.arg0(NAME).arg(data).args(user).stdin(OwnedFd::from(theirs)).stdout(Stdio::null());
    let mut keeper = command.spawn().context("start moxd once more")?;
    // It has their end to itself, so that its end is seen.
    drop(command);
    let answered = ctl::put(&mut ours, request, console);
    drop(ours);
    keeper.wait().context("wait for the end of the other moxd")?;
    answered
}

/// Is this process a keeper? Then its data directory and the user, if one is configured.
pub(crate) fn arguments() -> Option<(PathBuf, Option<String>)> {
    let mut arguments = std::env::args_os();
    let is_keeper = arguments.next().is_some_and(|name| name == NAME);
    let data = arguments.next().filter(|_| is_keeper)?;
    Some((data.into(), arguments.next().and_then(|user| user.into_string().ok())))
}

/// Is the keeper: the verb is at the other end of standard input.
pub(crate) fn keep(data: &Path, user: Option<&str>) -> Result<()> {
    let stream = UnixStream::from(std::io::stdin().as_fd().try_clone_to_owned()?);
    // What failed is the verb's to say. One that has gone, so that nothing can be said to it, has said why itself.
    let _ = ctl::serve(&stream, |request, console| {
        privileges::become_keeper(user, data)?;
        privileges::keep_files_private();
        if let Request::Verify { json } = request {
            return atrest::verify_closed(data, json, console);
        }
        let store = Store::open(data, store::Options::default())
            .with_context(|| format!("open the data directory {}", data.display()))?;
        let result = atrest::run(&store, request, wiring::now(), console);
        store.close();
        result
    });
    Ok(())
}
