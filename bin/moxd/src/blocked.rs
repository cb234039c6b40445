//! Who is held back after failed logins: shown, and lifted.

use crate::atrest::{print_json, rfc3339};
use crate::console::Console;
use crate::text::printable;
use anyhow::{Result, ensure};
use intake::Intake;
use ratelimit::{Blocked, Blockee, LoginKey, Network};
use serde_json::json;
use smtpserver::{Backend as _, Logins};
use std::time::SystemTime;

/// Prints everyone who is held back.
pub(crate) fn list(logins: &Logins, now: SystemTime, json: bool, console: &mut dyn Console) -> Result<()> {
    print(&logins.blocked(now), json, console)
}

/// Lifts what holds back an address, a network or an account, or everyone; prints who was held back until now.
pub(crate) fn lift(
    logins: &Logins,
    intake: &Intake,
    name: Option<&str>,
    now: SystemTime,
    json: bool,
    console: &mut dyn Console,
) -> Result<()> {
    let who = name.map(|name| blockee(intake, name));
    let lifted = logins.lift(who.as_ref(), now);
    if let Some(name) = name {
        ensure!(
            !lifted.is_empty(),
            "{} is not held back; `moxd ctl blocked list` shows who is",
            printable(name)
        );
    }
    print(&lifted, json, console)
}

/// An IP address or network, an account, or one of its mail addresses.
fn blockee(intake: &Intake, name: &str) -> Blockee {
    if let Ok(network) = name.parse::<Network>() {
        return Blockee::Network(network);
    }
    match intake.login_key(name) {
        LoginKey::Account(account) => Blockee::Account(account),
        LoginKey::Nobody(_) => Blockee::Account(name.into()),
    }
}

fn print(blocked: &[Blocked], json: bool, console: &mut dyn Console) -> Result<()> {
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
