mod enumeration;
mod mailbox;
mod outbox;
mod words;
