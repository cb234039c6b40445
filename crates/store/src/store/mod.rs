//! The store: plans transactions, hands them to an engine, and reads mail.

use std::{collections::HashMap, fmt, path::Path, sync::Arc, time::SystemTime};

use parking_lot::{Mutex, MutexGuard};

use crate::{
    account::{AccountId, InitialMailbox},
    engine::{
        Body, BodyId, BodyReader, BodyWriter, CommitError, Copied, Engine, Maintenance,
        local::{Local, Options},
        memory::Memory,
    },
    error::{Error, ErrorKind, Result},
    pending::{Pending, off_runtime},
    tables::{self, Key},
    transaction::{Receipt, Transaction},
};

mod check;
mod found_by;
mod plan;
mod prefetch;
mod read;
mod rows;

pub use read::{Content, MAX_PAGE};

use plan::Plan;
use rows::{CachedGuard, CachedRows};

/// How often a transaction is planned when others keep changing the same rows (our own limit; one plan is the rule, a
/// failed batch before it makes it two).
const MAX_ATTEMPTS: usize = 64;
/// Transactions of up to this many steps are planned on the caller's thread, even if that is a runtime's worker. More
/// steps, as for a message to many recipients, take milliseconds.
const FEW_STEPS: usize = 4;

/// Accounts, mailboxes and messages. Cheap to clone; all clones are the same store.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    engine: Arc<dyn Engine>,
    rows: Mutex<CachedRows>,
    /// Numbers of accounts by name; an account's number never changes.
    names: Mutex<HashMap<String, AccountId>>,
}

impl Store {
    /// A store in memory; it is gone when its last handle is dropped.
    #[must_use]
    pub fn memory() -> Store {
        Store::on(Memory::new())
    }

    /// A store on an engine.
    #[must_use]
    pub fn on(engine: Arc<dyn Engine>) -> Store {
        Store(Arc::new(Inner {
            engine,
            rows: Mutex::new(CachedRows::default()),
            names: Mutex::new(HashMap::new()),
        }))
    }

    /// Opens the data directory `dir`, which is created if it does not exist.
    ///
    /// # Errors
    /// `Locked` when another process has it open, `Version` when a newer version wrote it, `Full` or `Failed` when
    /// it cannot be read or written. Damage is no error: all that is whole can be read, and [`Store::check`] names the rest.
    pub fn open(dir: &Path, options: Options) -> Result<Store> {
        Ok(Store::on(Local::open(dir, options)?))
    }

    /// Opens a data directory or a backup to check it, without changing anything in it, so that it may be on read-only
    /// media. Temporary files go to `scratch`, an empty folder elsewhere. Writing fails.
    ///
    /// # Errors
    /// `Locked` when a process has it open for writing, else as for [`Store::open`].
    pub fn open_read_only(dir: &Path, scratch: &Path) -> Result<Store> {
        Ok(Store::on(Local::open_read_only(dir, scratch)?))
    }

    /// Finishes all work and closes the engine. What is acknowledged is on the disk already; this saves work at the next
    /// start.
    pub fn close(&self) {
        self.engine().close();
    }

    /// Begins a transaction. `now` is the time that its changes are dated with.
    pub fn transaction(&self, now: SystemTime) -> Transaction {
        Transaction { store: self.clone(), now, actions: Vec::new() }
    }

    /// Commits a transaction: all of it or nothing, durable when the answer is `Ok`.
    ///
    /// The engine gets it before this returns, unless a large body is still on its way to the disk; dropping the answer
    /// then drops the transaction.
    pub fn commit(&self, transaction: Transaction) -> Pending<Result<Receipt>> {
        let store = self.clone();
        if transaction.bodies().any(|body| !body.is_ready()) {
            return Pending::new(async move {
                for body in transaction.bodies() {
                    body.ready().await?;
                }
                store.run(transaction, None).await
            });
        }
        match self.submit(&transaction) {
            Ok(first) => Pending::new(async move { store.run(transaction, Some(first)).await }),
            Err(e) => Pending::ready(Err(e)),
        }
    }

    async fn run(&self, transaction: Transaction, first: Option<Submitted>) -> Result<Receipt> {
        let mut next = first;
        for _ in 0..MAX_ATTEMPTS {
            // Rows that a failed plan was based on may be stale, so each attempt reads them again.
            let (answer, plan) = match next.take() {
                Some(first) => first,
                None => self.submit(&transaction)?,
            };
            let Err(e) = answer.await else { return Ok(plan.receipt) };
            self.forget(&plan.based_on);
            match e {
                CommitError::Conflict(i) if !plan.is_callers(i) => {}
                e => return Err(e.into()),
            }
        }
        Err(outrun())
    }

    /// Plans a transaction and hands it to the engine.
    fn submit(&self, transaction: &Transaction) -> Result<Submitted> {
        let submit = || {
            for _ in 0..MAX_ATTEMPTS {
                if let Some(submitted) = self.plan(transaction)? {
                    return Ok(submitted);
                }
            }
            Err(outrun())
        };
        if transaction.steps() > FEW_STEPS { off_runtime(submit) } else { submit() }
    }

    /// One attempt of [`Store::submit`]; `None` if the cached rows were stale and another attempt is needed.
    fn plan(&self, transaction: &Transaction) -> Result<Option<Submitted>> {
        let read = prefetch::Prefetched::read(self, transaction)?;
        let stamp = self.engine().stamp();
        let mut rows = self.rows();
        match Plan::make(transaction, &read, &mut rows, stamp) {
            Ok(None) => Ok(None),
            Ok(Some(mut plan)) => {
                let batch = std::mem::take(&mut plan.batch);
                // Committed under the lock, so that the engine decides in the order of planning.
                Ok(Some((self.engine().commit(batch), plan)))
            }
            Err(refusal) => {
                let based_on = rows.of(transaction.accounts());
                drop(rows);
                if self.are_committed(based_on)? { Err(refusal) } else { Ok(None) }
            }
        }
    }

    /// Whether these cached rows are the engine's; the others are forgotten.
    ///
    /// A plan on stale rows conflicts in the engine. A refusal makes no batch, so nothing would find out: it counts only if
    /// the rows are the engine's. Cached rows may be ahead of the engine by batches that fail, even if no caller waits for
    /// those, or behind the commits of another store on the same engine.
    fn are_committed(&self, based_on: Vec<CachedGuard>) -> Result<bool> {
        let mut stale = Vec::new();
        for CachedGuard { account, generation, raw } in based_on {
            if self.engine().get(&Key::of(tables::ACCOUNTS, account).done())?.is_none_or(|found| found != raw)
            {
                stale.push((account, generation));
            }
        }
        self.forget(&stale);
        Ok(stale.is_empty())
    }

    fn forget(&self, accounts: &[(AccountId, u64)]) {
        let mut rows = self.rows();
        for (account, generation) in accounts {
            rows.forget(*account, *generation);
        }
    }

    fn rows(&self) -> MutexGuard<'_, CachedRows> {
        self.0.rows.lock()
    }

    fn engine(&self) -> &dyn Engine {
        &*self.0.engine
    }

    fn maintenance(&self) -> Result<&dyn Maintenance> {
        let lacks = || Error::new(ErrorKind::Failed, "this store's engine has no maintenance of its own");
        self.engine().maintenance().ok_or_else(lacks)
    }

    /// Returns the account's number. An account that does not exist is created with `mailboxes`.
    pub fn open_account(
        &self,
        name: &str,
        mailboxes: &[InitialMailbox<'_>],
        now: SystemTime,
    ) -> Pending<Result<AccountId>> {
        match self.account(name) {
            Ok(Some(id)) => return Pending::ready(Ok(id)),
            Ok(None) => {}
            Err(e) => return Pending::ready(Err(e)),
        }
        let mut transaction = self.transaction(now);
        transaction.create_account(name, mailboxes);
        let pending = self.commit(transaction);
        Pending::new(async move {
            let receipt = pending.await?;
            receipt.accounts.first().copied().ok_or_else(|| Error::new(ErrorKind::NoAccount, "not created"))
        })
    }

    /// Returns a secret by name. If there is none, `candidate`, which should be fresh random bytes, becomes the secret.
    pub fn secret(&self, name: &str, candidate: &[u8]) -> Pending<Result<Vec<u8>>> {
        let store = self.clone();
        let key = tables::named(tables::SECRETS, name);
        let candidate = candidate.to_vec();
        Pending::new(async move {
            loop {
                if let Some(secret) = store.engine().get(&key)? {
                    return Ok(secret.to_vec());
                }
                let mut batch = crate::engine::Batch::default();
                batch.preconditions.push(crate::engine::Precondition::Absent(key.clone()));
                batch.ops.put(&key, &candidate);
                match store.engine().commit(batch).await {
                    Ok(()) => return Ok(candidate),
                    Err(CommitError::Conflict(_)) => {}
                    Err(e) => return Err(e.into()),
                }
            }
        })
    }

    /// Begins a body, which a transaction delivers when it is complete.
    #[must_use]
    pub fn body_writer(&self) -> BodyWriter {
        self.engine().body_writer()
    }

    /// A body of bytes that are in memory already.
    pub(crate) fn body_of(&self, bytes: Vec<u8>) -> Body {
        Body::in_memory(BodyId::from_u64(self.engine().stamp()), bytes)
    }

    /// Reads a stored body.
    ///
    /// # Errors
    /// `NoBody`, `Damaged` or `Failed`.
    pub fn body(&self, id: BodyId) -> Result<BodyReader> {
        BodyReader::new(Arc::clone(&self.0.engine), id)
    }

    /// Writes a consistent copy of everything into the new directory `to`, while commits go on.
    ///
    /// # Errors
    /// When `to` exists, or cannot be written; `Failed` when the engine has no backup of its own.
    pub fn backup(&self, to: &Path) -> Result<Copied> {
        self.maintenance()?.backup(to)
    }

    /// Frees the space of removed messages, which also happens without request as needed. `thorough` removes every byte of
    /// removed mail, even from files that hold much other mail.
    ///
    /// # Errors
    /// When reading or writing fails; `Failed` when the engine has no compaction on request.
    pub fn compact(&self, thorough: bool) -> Result<()> {
        self.maintenance()?.compact(thorough)
    }
}

fn outrun() -> Error {
    Error::new(ErrorKind::Conflict, "other transactions changed the same rows too often")
}

type Submitted = (Pending<std::result::Result<(), CommitError>>, Plan);

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Store")
    }
}
