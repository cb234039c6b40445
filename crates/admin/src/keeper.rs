//! The keeper: a process that has the data directory open for a verb while no server runs. The verb asks it as it would ask a
//! server.
//!
//! It is a process of its own because its user and its umask differ from those of the verb. If root runs the verb, the keeper
//! runs as the owner of the data, or the next server could not open the files that root made. And no other user can read
//! the files that the keeper makes, while exported files belong to the user who runs the verb.

use crate::console::Console;
use crate::request::Request;
use crate::{Environment, at_rest, socket};
use anyhow::{Context, Result};
use host::privileges;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use store::Store;

/// The name of the program in the arguments of a keeper. It is no verb, because no operator should type it.
const NAME: &str = "moxd-keeper";

/// Starts a keeper and asks it; it ends with its answer. `user` is the one that the configuration names.
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
    // Now only the keeper has its end of the pair, so that we see when it ends.
    drop(command);
    let answered = socket::put(&mut ours, request, console);
    drop(ours);
    keeper.wait().context("wait for the end of the other moxd")?;
    answered
}

/// If this process is a keeper: its data directory, and the user that the configuration names.
pub fn arguments() -> Option<(PathBuf, Option<String>)> {
    let mut arguments = std::env::args_os();
    let is_keeper = arguments.next().is_some_and(|name| name == NAME);
    let data = arguments.next().filter(|_| is_keeper)?;
    Some((data.into(), arguments.next().and_then(|user| user.into_string().ok())))
}

/// Does the work of a keeper. The verb is at the other end of standard input.
///
/// # Errors
/// Standard input is no socket.
pub fn keep(data: &Path, user: Option<&str>, outside: Environment) -> Result<()> {
    let stream = UnixStream::from(std::io::stdin().as_fd().try_clone_to_owned()?);
    // The verb reports what failed. If it ended early, it has reported why.
    let _ = socket::serve(&stream, |request, console| {
        privileges::become_keeper(user, data)?;
        privileges::keep_files_private();
        if let Request::Verify { json } = request {
            return at_rest::verify_closed(data, json, console);
        }
        let store = Store::open(data, store::Options::default())
            .with_context(|| format!("open the data directory {}", data.display()))?;
        let result = at_rest::run(&store, request, outside, console);
        store.close();
        result
    });
    Ok(())
}
