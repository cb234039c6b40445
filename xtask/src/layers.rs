//! Which crate may depend on which: the one table of the layers.

use toml::{Table, Value};

/// What one package may depend on.
#[derive(Debug)]
pub struct Rule {
    /// Name of its folder.
    pub name: &'static str,
    /// Number of the layer, 0 at the bottom. Dependencies point to lower layers only.
    pub layer: u8,
    /// Packages of this workspace.
    pub house: &'static [&'static str],
    /// Packages of others. `tokio[sync]` allows only the features in brackets; `*` allows everything.
    pub outside: &'static [&'static str],
}

/// Layers from here on may use a runtime, disk and sockets.
pub const FIRST_WITH_RUNTIME: u8 = 3;

/// Packages that no layer below [`FIRST_WITH_RUNTIME`] may depend on, even if a row says so.
pub const NOT_BELOW_THE_LINE: [&str; 8] = [
    "tokio",
    "tokio-rustls",
    "rustls",
    "hickory-resolver",
    "hickory-proto",
    "hickory-net",
    "metrics",
    "rand",
];

/// Dependencies inside a layer, as (from, to). All others point to a lower layer.
pub const SIDEWAYS: [(&str, &str); 1] = [("message", "smtp-parser")];

/// The table, from the bottom up.
///
/// A judge has a lock only around what evaluations share (`parking_lot`); it never holds one while it waits.
pub const RULES: &[Rule] = &[
    Rule { name: "bounded-cache", layer: 0, house: &[], outside: &[] },
    Rule { name: "dns", layer: 0, house: &[], outside: &["futures-util", "idna", "psl"] },
    Rule { name: "smtp-parser", layer: 1, house: &["dns"], outside: &["bstr", "jiff", "memchr", "nom"] },
    Rule {
        name: "message",
        layer: 1,
        house: &["dns", "smtp-parser"],
        outside: &["base64", "bstr", "charset", "encoding_rs", "jiff", "memchr", "oem_cp"],
    },
    Rule {
        name: "sasl",
        layer: 1,
        house: &[],
        // PRECIS and normalisation are tables; md-5 is for CRAM-MD5 alone.
        outside: &["base64", "md-5", "precis-profiles", "ring", "unicode-normalization", "zeroize"],
    },
    Rule { name: "ratelimit", layer: 1, house: &["bounded-cache"], outside: &[] },
    Rule { name: "spf", layer: 2, house: &["bounded-cache", "dns"], outside: &["parking_lot"] },
    Rule { name: "iprev", layer: 2, house: &["dns"], outside: &["futures-util"] },
    Rule {
        name: "dkim",
        layer: 2,
        house: &["dns", "message"],
        outside: &["base64", "futures-util", "memchr", "ring", "zeroize"],
    },
    Rule { name: "dmarc", layer: 2, house: &["dns"], outside: &["futures-util", "parking_lot"] },
    Rule { name: "mailfiles", layer: 2, house: &["message"], outside: &["base64", "memchr"] },
    Rule {
        name: "store",
        layer: 3,
        house: &["bounded-cache"],
        // tokio for the channel on which a caller waits for a commit, and to leave a runtime's worker before waiting for
        // the disk; it starts no runtime.
        // nix and rustix to reserve room on disk, to lock the folder, and to read what is in memory alone.
        // ring for the checksums of a backup.
        // quick_cache for the blocks of the view that were read recently.
        outside: &[
            "bytes",
            "crc32c",
            "getrandom",
            "metrics",
            "nix",
            "parking_lot",
            "quick_cache",
            "ring",
            "rustix",
            "tokio[rt-multi-thread,sync]",
            "tracing",
            "zeroize",
        ],
    },
    Rule {
        name: "dns-hickory",
        layer: 3,
        house: &["bounded-cache", "dns"],
        outside: &[
            "hickory-net",
            "hickory-proto",
            "hickory-resolver",
            "metrics",
            "parking_lot",
            "tokio[io-util,net,rt,sync,time]",
            "tracing",
        ],
    },
    Rule {
        name: "smtpserver",
        layer: 3,
        house: &["dns", "ratelimit", "sasl", "smtp-parser"],
        outside: &[
            "arc-swap",
            "base64",
            "getrandom",
            "memchr",
            "metrics",
            "parking_lot",
            "ring",
            "rustls",
            "socket2",
            "tokio[io-util,macros,net,rt,sync,time]",
            "tokio-rustls",
            "tracing",
        ],
    },
    Rule {
        name: "config",
        layer: 3,
        house: &["dns", "smtp-parser"],
        outside: &["regex-lite", "strsim", "toml", "unicode-normalization"],
    },
    // For tests alone.
    Rule { name: "store-conformance", layer: 4, house: &["store"], outside: &[] },
    Rule {
        name: "host",
        layer: 3,
        house: &[],
        outside: &[
            "anstream",
            "anyhow",
            "http-body-util",
            "hyper",
            "hyper-util",
            "indicatif",
            "listenfd",
            "metrics",
            "metrics-exporter-prometheus",
            "nix",
            "procfs",
            "sd-notify",
            "serde_json",
            "socket2",
            "tokio[macros,net,rt,sync,time]",
            "tracing",
            "tracing-appender",
            "tracing-subscriber",
            "zeroize",
        ],
    },
    Rule { name: "cli", layer: 3, house: &[], outside: &["clap", "clap_complete", "clap_mangen", "roff"] },
    Rule {
        name: "admin",
        layer: 4,
        house: &["host", "mailfiles", "message", "ratelimit", "store"],
        // tokio to accept on the control socket.
        outside: &[
            "anyhow",
            "flate2",
            "jiff",
            "nix",
            "serde",
            "serde_json",
            "tempfile",
            "tokio[net,rt,time]",
            "tracing",
            "unicode-normalization",
        ],
    },
    Rule {
        name: "certificates",
        layer: 4,
        house: &["host", "smtpserver"],
        outside: &["anyhow", "jiff", "metrics", "parking_lot", "tracing", "x509-parser"],
    },
    Rule {
        name: "setup",
        layer: 4,
        house: &["cli", "dkim", "host"],
        outside: &["anyhow", "rcgen", "zeroize"],
    },
    Rule {
        name: "checks",
        layer: 4,
        house: &[
            "cli",
            "dkim",
            "dmarc",
            "dns",
            "dns-hickory",
            "host",
            "iprev",
            "mailfiles",
            "smtp-parser",
            "spf",
        ],
        outside: &["anyhow", "rsa", "serde_json", "tokio[macros,net,rt]", "zeroize"],
    },
    Rule {
        name: "intake",
        layer: 4,
        house: &[
            "bounded-cache",
            "dkim",
            "dmarc",
            "dns",
            "iprev",
            "message",
            "ratelimit",
            "sasl",
            "smtp-parser",
            "smtpserver",
            "spf",
            "store",
        ],
        // tokio to wait for several answers at a time; no sockets.
        outside: &[
            "argon2",
            "base64",
            "metrics",
            "parking_lot",
            "regex-lite",
            "ring",
            "tokio[macros,rt,sync,time]",
            "tracing",
            "unicode-normalization",
            "zeroize",
        ],
    },
    Rule {
        name: "moxd",
        layer: 5,
        house: &[
            "admin",
            "certificates",
            "checks",
            "cli",
            "config",
            "dkim",
            "dmarc",
            "dns",
            "dns-hickory",
            "host",
            "intake",
            "iprev",
            "message",
            "ratelimit",
            "sasl",
            "setup",
            "smtp-parser",
            "smtpserver",
            "spf",
            "store",
        ],
        outside: &["*"],
    },
    // Reads the tree and starts the binary; links to neither.
    Rule { name: "xtask", layer: 5, house: &[], outside: &["*"] },
];

/// Returns the row of a package, by the name of its folder.
pub fn rule(name: &str) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.name == name)
}

/// Returns the dependencies that a build of the package needs, including those of single platforms, but not those of tests.
pub fn dependencies(manifest: &Table) -> impl Iterator<Item = (&str, &Value)> {
    let targets = manifest.get("target").and_then(Value::as_table).into_iter().flatten();
    let of_targets = targets.filter_map(|(_, target)| target.as_table());
    let tables = std::iter::once(manifest).chain(of_targets);
    tables.flat_map(|table| {
        let kinds = [table.get("dependencies"), table.get("build-dependencies")];
        kinds
            .into_iter()
            .flatten()
            .filter_map(Value::as_table)
            .flatten()
            .map(|(name, value)| (name.as_str(), value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_dependency_inside_a_layer_is_used() {
        for (from, to) in SIDEWAYS {
            let rule = rule(from).unwrap();
            let is_inside = rule.layer == super::rule(to).unwrap().layer;
            assert!(rule.house.contains(&to) && is_inside, "{from} on {to}");
        }
    }

    #[test]
    fn the_table_itself_points_down() {
        for rule in RULES {
            for dependency in rule.house {
                let below = super::rule(dependency).unwrap();
                let sideways = SIDEWAYS.contains(&(rule.name, dependency)) && below.layer == rule.layer;
                assert!(below.layer < rule.layer || sideways, "{} on {dependency}", rule.name);
            }
            if rule.layer < FIRST_WITH_RUNTIME {
                assert!(!rule.outside.iter().any(|name| NOT_BELOW_THE_LINE.contains(name)), "{}", rule.name);
            }
        }
    }
}
