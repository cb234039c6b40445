//! The steps of a transaction that add, change and remove messages.

use super::{Planner, Step, Stop, refuse};
use crate::{
    account::AccountId,
    engine::{MAX_VALUE, Precondition},
    error::ErrorKind,
    mailbox::{Mailbox, Role},
    message::{self, Expunged, Message, MessageId, Part, Thread, Uid},
    store::found_by::{each_index, message_key, place_of},
    tables::{self, Key},
    transaction::{Change, Deliver, Delivered},
};

impl Planner<'_> {
    pub(super) fn deliver(&mut self, i: usize, deliver: &Deliver) -> Step {
        let account = deliver.account;
        let destined = match &deliver.message.destined {
            Some(name) => Some(self.mailbox(account, name)?),
            None => None,
        };
        let mailbox = self.mailbox(account, &deliver.mailbox)?;
        let thread = self.read.threads.get(&i).cloned();
        let (draft, _) = self.draft(account)?;
        let mod_seq = draft.mod_seq();
        let id = MessageId::from_u64(draft.row.next_message);
        draft.row.next_message += 1;
        let prefix = deliver.prefix.as_ref().map(|p| Part { body: p.id(), size: p.len() });
        let body = Part { body: deliver.body.id(), size: deliver.body.len() };
        let size = body.size + prefix.map_or(0, |p| p.size);
        draft.row.size += size;
        let facts = deliver.message.facts.clone();
        let row = self.mailbox_mut(account, mailbox)?;
        let sent = deliver.message.sent.clone().filter(|_| row.role == Some(Role::Sent));
        let uid = row.uid_next;
        let Some(next) = uid.get().checked_add(1) else {
            return refuse(ErrorKind::Failed, format!("mailbox {:?} has no UID left", row.name));
        };
        row.uid_next = Uid::from_u32(next);
        row.counts.add(facts.flags, size);
        add_keywords(row, &facts.keywords);
        let message = Message {
            id,
            mailbox,
            uid,
            original_mailbox: mailbox,
            destined_mailbox: destined.filter(|d| *d != mailbox),
            created: mod_seq,
            changed: mod_seq,
            thread: thread.unwrap_or_else(|| Thread {
                id: id.get(),
                parents: Vec::new(),
                missing_link: !deliver.message.references.is_empty(),
                muted: false,
                collapsed: false,
            }),
            facts,
            sent,
            prefix,
            body,
        };
        self.insert(account, &message)?;
        for part in deliver.prefix.iter().chain([&deliver.body]) {
            self.link(part);
        }
        self.plan.receipt.delivered.push(Delivered { account, mailbox, id, uid, mod_seq });
        Ok(())
    }

    /// Writes all rows of a new message.
    fn insert(&mut self, account: AccountId, message: &Message) -> Step {
        let record = message::encode(message);
        if record.len() > MAX_VALUE {
            return refuse(ErrorKind::TooLarge, format!("a message record of {} bytes", record.len()));
        }
        let ops = &mut self.plan.batch.ops;
        ops.put(&message_key(account, message), &record);
        let place = place_of(message.mailbox, message.uid);
        ops.put(&Key::of(tables::MESSAGE_IDS, account).message(message.id).done(), &place);
        each_index(account, message, |key, value| ops.put(key, value));
        Ok(())
    }

    /// A message as this transaction leaves it so far.
    fn message(&mut self, account: AccountId, id: MessageId) -> Result<Message, Stop> {
        match self.messages.get(&(account, id)) {
            Some(Some(message)) => return Ok(message.clone()),
            Some(None) => return refuse(ErrorKind::NoMessage, format!("no message {}", id.get())),
            None => {}
        }
        let stored = self.read.messages.get(&(account, id)).ok_or(Stop::Gone)?;
        // Another transaction may change the message before this one does. Its row guards nothing but itself, and no plan
        // builds on it before it is committed, so its modification sequence serves as the stamp.
        self.plan.batch.preconditions.push(Precondition::Equals(stored.key.clone(), stored.raw.clone()));
        Ok(stored.message.clone())
    }

    pub(super) fn change(&mut self, account: AccountId, id: MessageId, change: &Change) -> Step {
        let mut message = self.message(account, id)?;
        let size = message.size();
        let before = message.facts.flags;
        let after = before.without(change.clear) | change.set;
        let keywords = change.keywords.as_ref().unwrap_or(&message.facts.keywords).clone();
        let row = self.mailbox_mut(account, message.mailbox)?;
        row.counts.remove(before, size);
        row.counts.add(after, size);
        add_keywords(row, &keywords);
        let (draft, _) = self.draft(account)?;
        message.changed = draft.mod_seq();
        message.facts.flags = after;
        message.facts.keywords = keywords;
        message.facts.training = change.training.unwrap_or(message.facts.training);
        self.plan.batch.ops.put(&message_key(account, &message), &message::encode(&message));
        self.messages.insert((account, id), Some(message));
        Ok(())
    }

    pub(super) fn remove(&mut self, account: AccountId, id: MessageId) -> Step {
        let message = self.message(account, id)?;
        let size = message.size();
        self.mailbox_mut(account, message.mailbox)?.counts.remove(message.facts.flags, size);
        let (draft, _) = self.draft(account)?;
        draft.row.size = draft.row.size.saturating_sub(size);
        let Message { id, mailbox, uid, created, .. } = message;
        let expunged = Expunged { id, mailbox, uid, created, changed: draft.mod_seq() };
        let ops = &mut self.plan.batch.ops;
        ops.put(&message_key(account, &message), &message::encode_expunged(&expunged));
        ops.delete(&Key::of(tables::MESSAGE_IDS, account).message(id).done());
        each_index(account, &message, |key, _| ops.delete(key));
        for part in message.prefix.iter().chain([&message.body]) {
            ops.unlink(part.body);
        }
        self.messages.insert((account, id), None);
        Ok(())
    }
}

/// The most keywords that a mailbox remembers (our own limit; its row is written with every message).
const MAX_KEYWORDS: usize = 100;

fn add_keywords(mailbox: &mut Mailbox, keywords: &[String]) {
    for keyword in keywords {
        if !mailbox.keywords.contains(keyword) && mailbox.keywords.len() < MAX_KEYWORDS {
            mailbox.keywords.push(keyword.clone());
        }
    }
}
