//! Durable accounts, mailboxes and messages over a journal (house crate of moxd).
