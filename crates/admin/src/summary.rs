//! The summary of an import or export: how many messages went where, what was left out and why.

use crate::console::{Console, Remarks};
use anyhow::Result;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The direction of the mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    In,
    Out,
}

/// Counts the messages of each mailbox.
#[derive(Debug)]
pub(crate) struct Summary {
    way: Way,
    mailboxes: BTreeMap<String, u64>,
    pub(crate) remarks: Remarks,
    /// Messages that were exported without some of their keywords, because a Maildir has letters for 26.
    pub(crate) without_keywords: u64,
}

impl Summary {
    pub(crate) fn new(way: Way) -> Self {
        Self { way, mailboxes: BTreeMap::new(), remarks: Remarks::default(), without_keywords: 0 }
    }

    /// Adds messages to the count of a mailbox; the summary names the mailbox even with 0.
    pub(crate) fn add(&mut self, mailbox: &str, messages: u64) {
        match self.mailboxes.get_mut(mailbox) {
            Some(count) => *count += messages,
            None => drop(self.mailboxes.insert(mailbox.to_owned(), messages)),
        }
    }

    fn total(&self) -> u64 {
        self.mailboxes.values().sum()
    }

    pub(crate) fn print(&self, json: bool, console: &mut dyn Console) -> Result<()> {
        let text = if json { format!("{:#}\n", self.json()) } else { self.text() };
        console.write(text.as_bytes())
    }

    fn json(&self) -> Value {
        let mailboxes = self.mailboxes.iter();
        let mailboxes = mailboxes.map(|(name, count)| json!({ "mailbox": name, "messages": count }));
        let skipped = self.remarks.skipped.iter();
        let skipped = skipped.map(|(reason, count)| json!({ "reason": reason, "count": count }));
        let mut value = json!({
            "mailboxes": mailboxes.collect::<Vec<_>>(),
            "skipped": skipped.collect::<Vec<_>>(),
        });
        match self.way {
            Way::In => {
                value["imported"] = json!(self.total());
                value["merged"] = json!(self.remarks.merged);
            }
            Way::Out => {
                value["exported"] = json!(self.total());
                value["without_keywords"] = json!(self.without_keywords);
            }
        }
        value
    }

    fn text(&self) -> String {
        let messages = counted(self.total(), "message", "messages");
        let folders = || counted(self.mailboxes.len() as u64, "mailbox", "mailboxes");
        let mut text = match (self.way, self.mailboxes.first_key_value()) {
            (Way::In, Some((mailbox, _))) if self.mailboxes.len() == 1 => {
                format!("{messages} imported into {mailbox}")
            }
            (Way::In, _) => format!("{messages} imported into {}", folders()),
            (Way::Out, _) => format!("{messages} of {} exported", folders()),
        };
        let Remarks { skipped, merged } = &self.remarks;
        if !skipped.is_empty() {
            let reasons: Vec<_> =
                skipped.iter().map(|(reason, count)| format!("{reason} ({count})")).collect();
            text += &format!("; {} skipped: {}", skipped.values().sum::<u64>(), reasons.join(", "));
        }
        if *merged > 0 {
            let lines = counted(*merged, "line", "lines");
            text += &format!("; {lines} in them may begin another message: look for \"From \" in the file");
        }
        if self.without_keywords > 0 {
            let messages = counted(self.without_keywords, "message", "messages");
            text += &format!("; {messages} without some keywords: a Maildir has room for 26");
        }
        text + "\n"
    }
}

fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(summary: &Summary, text: &str, json: Value) {
        assert_eq!(summary.text(), text);
        assert_eq!(summary.json(), json);
    }

    #[test]
    fn says_what_went_where_and_what_was_left_out() {
        let mut summary = Summary::new(Way::In);
        summary.add("Old", 0);
        let old = |messages: u64| json!({ "mailbox": "Old", "messages": messages });
        let none = json!({ "imported": 0, "mailboxes": [old(0)], "skipped": [], "merged": 0 });
        check(&summary, "0 messages imported into Old\n", none);
        summary.add("Old", 1);
        summary.remarks.skip("symbolic link");
        summary.remarks.skip("symbolic link");
        summary.remarks.skip("folder");
        summary.remarks.merged = 1;
        let skipped = json!([{ "reason": "folder", "count": 1 }, { "reason": "symbolic link", "count": 2 }]);
        let text = "1 message imported into Old; 3 skipped: folder (1), symbolic link (2); 1 line in them may begin \
                    another message: look for \"From \" in the file\n";
        check(
            &summary,
            text,
            json!({ "imported": 1, "mailboxes": [old(1)], "skipped": skipped, "merged": 1 }),
        );
        summary.remarks = Remarks::default();
        summary.add("Sent", 2);
        let both = json!([old(1), { "mailbox": "Sent", "messages": 2 }]);
        let json = json!({ "imported": 3, "mailboxes": both, "skipped": [], "merged": 0 });
        check(&summary, "3 messages imported into 2 mailboxes\n", json);

        let mut summary = Summary::new(Way::Out);
        summary.add("Old", 2);
        let json = json!({ "exported": 2, "mailboxes": [old(2)], "skipped": [], "without_keywords": 0 });
        check(&summary, "2 messages of 1 mailbox exported\n", json);
        summary.without_keywords = 1;
        let json = json!({ "exported": 2, "mailboxes": [old(2)], "skipped": [], "without_keywords": 1 });
        let text =
            "2 messages of 1 mailbox exported; 1 message without some keywords: a Maildir has room for 26\n";
        check(&summary, text, json);
    }
}
