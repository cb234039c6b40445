//! What `moxd ctl` prints about a running server: its status, and who is held back after failed logins.

use crate::console::Console;
use crate::lists::{print_json, rfc3339};
use anyhow::Result;
use host::text::{self, printable};
use ratelimit::{Blocked, Blockee, LoginKey, Network};
use serde_json::json;
use std::time::Duration;

/// What an operator means by a name: an IP address or network, or an account by its name or one of its mail addresses, which
/// `login_key` finds.
pub fn blockee(name: &str, login_key: impl FnOnce(&str) -> LoginKey) -> Blockee {
    if let Ok(network) = name.parse::<Network>() {
        return Blockee::Network(network);
    }
    match login_key(name) {
        LoginKey::Account(account) => Blockee::Account(account),
        LoginKey::Nobody(_) => Blockee::Account(name.into()),
    }
}

/// Prints the addresses and accounts that are held back.
///
/// # Errors
/// The console cannot be written to.
pub fn print_blocked(blocked: &[Blocked], json: bool, console: &mut dyn Console) -> Result<()> {
    let rows = blocked.iter().map(|Blocked { who, until }| {
        let (what, kind) = match who {
            Blockee::Network(network) if network.is_address() => (network.address().to_string(), "address"),
            Blockee::Network(network) => (network.to_string(), "address"),
            Blockee::Account(name) => (name.to_string(), "account"),
        };
        (what, kind, rfc3339(*until))
    });
    if json {
        let rows = rows.map(|(what, kind, until)| json!({ "what": what, "kind": kind, "until": until }));
        return print_json(console, &rows.collect());
    }
    let mut text = format!("{:<44} {:<8} {}\n", "WHAT", "KIND", "UNTIL");
    for (what, kind, until) in rows {
        text.push_str(&format!("{:<44} {kind:<8} {until}\n", printable(&what)));
    }
    console.write(text.as_bytes())
}

/// The status of a running server, as `moxd ctl status` prints it.
#[derive(Debug)]
pub struct Status<'a> {
    /// The version of the program.
    pub version: &'a str,
    /// The commit that it was built from.
    pub commit: &'a str,
    /// Version and commit, for people.
    pub whole_version: &'a str,
    /// How long the server has been running.
    pub up: Duration,
    /// The service and the address of each listener, such as `smtp 192.0.2.1:25`.
    pub listeners: Vec<String>,
}

impl Status<'_> {
    /// Prints the status.
    ///
    /// # Errors
    /// The console cannot be written to.
    pub fn print(&self, json: bool, console: &mut dyn Console) -> Result<()> {
        let Self { version, commit, whole_version, up, listeners } = self;
        let up = up.as_secs();
        let text = if json {
            let status = json!({
                "version": version,
                "commit": commit,
                "uptime_seconds": up,
                "listeners": listeners,
            });
            format!("{}\n", text::json(&status))
        } else {
            format!("moxd {whole_version}, up {}\n{}\n", span(up), listeners.join("\n"))
        };
        console.write(text.as_bytes())
    }
}

/// A span of time in its two largest units: `2m34s`, `3d4h`.
fn span(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m{}s", seconds % 60),
        (0, ..) => format!("{hours}h{}m", minutes % 60),
        _ => format!("{days}d{}h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_show_their_two_largest_units() {
        for (seconds, expected) in
            [(0, "0s"), (59, "59s"), (154, "2m34s"), (3600, "1h0m"), (86_399, "23h59m"), (273_600, "3d4h")]
        {
            assert_eq!(span(seconds), expected);
        }
    }
}
