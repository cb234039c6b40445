//! Finds what is wrong with the files by reading all of them.

use std::path::Path;

use super::{
    Shared, backup,
    bodyrow::{self, BodyRow},
    disk::File,
    journal::{self, Damage, Position, Segment},
    rebuild::{self, Sources},
    snapshot,
    view::{self, Rows, Run},
};
use crate::{
    check::{Finding, FindingKind},
    engine::BodyId,
    error::{Error, ErrorKind, Result},
    tables::row_name,
};

/// How many rows that differ are named one by one; the rest is counted. Of a lost segment every row differs.
const MAX_NAMED: usize = 10;

/// Checks journal, snapshot, bodies and view.
pub(super) fn check(shared: &Shared) -> Result<Vec<Finding>> {
    let _alone = shared.checking.lock();
    let mut findings = Vec::new();
    if shared.settings.is_read_only {
        backup::check_list(&shared.disk, &shared.settings.dir, &mut findings)?;
        check_journal(shared, &mut findings)?;
        check_kept_view(shared, &mut findings)?;
        // No rows are in memory: opening has written all as runs.
        check_bodies(shared, &*snapshot::rows(shared)?, &mut findings)?;
        return Ok(findings);
    }
    let _pinned = shared.maintenance.pin()?;
    check_journal(shared, &mut findings)?;
    let mut rows = written_rows(shared)?;
    if !are_whole(shared, &*rows, &mut findings) {
        // The rest of the check is about the view that replaces it.
        if let Err(e) = shared.maintenance.rebuild_view() {
            findings.push(Finding::new(FindingKind::View, "view", e.to_string()));
            return Ok(findings);
        }
        rows = written_rows(shared)?;
    }
    check_view(shared, &*rows, &mut findings)?;
    check_bodies(shared, &*rows, &mut findings)?;
    Ok(findings)
}

/// Returns the rows as they are now. All but the latest are in files, so that a check reads them from there.
fn written_rows(shared: &Shared) -> Result<Box<dyn Rows>> {
    shared.maintenance.flush_all()?;
    snapshot::rows(shared)
}

/// Reads every frame and every snapshot.
fn check_journal(shared: &Shared, findings: &mut Vec<Finding>) -> Result<()> {
    let sources = Sources::open(&shared.disk, &shared.settings.journal)?;
    let mut damage = sources.journal.missing(sources.beginning());
    let all = Position { segment: 0, offset: journal::HEADER };
    damage.extend(sources.journal.walk(all, Some(shared.position()), &mut |_| Ok(()))?.damage);
    for damage in damage {
        let text = match damage {
            Damage::Bytes { from, to, .. } => {
                let len = to.saturating_sub(from);
                format!("{len} bytes are damaged; what was committed in them is lost")
            }
            Damage::Missing { .. } => "missing; what was committed in it is lost".to_owned(),
            Damage::Snapshot { .. } => "the block is damaged".to_owned(),
        };
        findings.push(Finding::new(FindingKind::Journal, damage.to_string(), text));
    }
    for path in rebuild::snapshots(&shared.disk, &shared.settings.journal)? {
        let place = path.display().to_string();
        match Run::open(&shared.disk, &path) {
            Err(e) => findings.push(Finding::new(FindingKind::Journal, place, e.to_string())),
            Ok(run) => run.verify(|offset| {
                let place = format!("{place}, offset {offset}");
                findings.push(Finding::new(FindingKind::Journal, place, "the block is damaged"));
            }),
        }
    }
    Ok(())
}

/// Checks the view that a data directory has. The engine itself uses another, which it built from the journal.
fn check_kept_view(shared: &Shared, findings: &mut Vec<Finding>) -> Result<()> {
    let rows = match view::kept(&shared.disk, &shared.settings.dir) {
        Ok(None) => return Ok(()),
        Ok(Some(kept)) => kept,
        Err(e) if e.kind() == ErrorKind::Damaged => {
            findings.push(Finding::new(FindingKind::View, "view", e.to_string()));
            return Ok(());
        }
        Err(e) => return Err(e),
    };
    let end = shared.position();
    if rows.position() > end {
        let place = format!("journal segment {}, offset {}", end.segment, end.offset);
        let text =
            "the journal ends here, and did not when the view was written; what was committed behind is lost";
        findings.push(Finding::new(FindingKind::Journal, place, text));
    } else if are_whole(shared, &*rows, findings) {
        check_view(shared, &*rows, findings)?;
    }
    Ok(())
}

/// Reads every block of the view.
fn are_whole(shared: &Shared, rows: &dyn Rows, findings: &mut Vec<Finding>) -> bool {
    let mut damaged = false;
    rows.verify(&mut |file: &Path, offset| {
        damaged = true;
        let place = format!("{}, offset {offset}", file.display());
        findings.push(Finding::new(FindingKind::View, place, "the block is damaged"));
    });
    if damaged {
        shared.note_damage(&Error::new(ErrorKind::Damaged, "found while checking"));
    }
    !damaged
}

/// Rebuilds the view in another place and compares.
fn check_view(shared: &Shared, rows: &dyn Rows, findings: &mut Vec<Finding>) -> Result<()> {
    if rows.position() == Position::default() {
        return Ok(());
    }
    let beside = shared.settings.scratch.join("check");
    let mut compare_rebuilt = || {
        shared.disk.create_dir(&beside)?;
        let fresh = view::create(&shared.disk, &beside)?;
        let sources = Sources::open(&shared.disk, &shared.settings.journal)?;
        sources.rebuild(&*fresh, Some(rows.position()), rebuild::TABLE_WHILE_SERVING, &|_| {})?;
        let expected = snapshot::settled(&*fresh, || fresh.flush())?;
        compare(rows, &*expected, findings)
    };
    let result = compare_rebuilt();
    // Also after a failure: it takes room.
    let removed = shared.disk.remove_dir(&beside);
    result.and(removed)
}

fn compare(found: &dyn Rows, expected: &dyn Rows, findings: &mut Vec<Finding>) -> Result<()> {
    let (mut found, mut expected) = (found.walk(&[])?, expected.walk(&[])?);
    let mut differing = 0;
    loop {
        let (key, text) = match (found.row(), expected.row()) {
            (None, None) => break,
            (Some(a), Some(b)) if a == b => (None, ""),
            (Some((a, _)), Some((b, _))) if a == b => {
                (Some(a.to_vec()), "the row differs from the journal's")
            }
            (Some((a, _)), b) if b.is_none_or(|(b, _)| a < b) => {
                (Some(a.to_vec()), "the journal does not have this row")
            }
            (_, b) => (b.map(|(b, _)| b.to_vec()), "the view does not have this row"),
        };
        if let Some(key) = &key {
            differing += 1;
            if differing <= MAX_NAMED {
                findings.push(Finding::new(FindingKind::View, row_name(key), text));
            }
        }
        let (is_found, is_expected) = match &key {
            None => (true, true),
            Some(key) => {
                let is_next = |row: Option<(&[u8], &[u8])>| row.is_some_and(|(next, _)| next == key);
                (is_next(found.row()), is_next(expected.row()))
            }
        };
        if is_found {
            found.advance()?;
        }
        if is_expected {
            expected.advance()?;
        }
    }
    if differing > MAX_NAMED {
        let text = format!("{} more rows differ from the journal's", differing - MAX_NAMED);
        findings.push(Finding::new(FindingKind::View, "view", text));
    }
    Ok(())
}

/// Reads every body.
fn check_bodies(shared: &Shared, rows: &dyn Rows, findings: &mut Vec<Finding>) -> Result<()> {
    let mut rows = rows.walk(&[bodyrow::TABLE])?;
    let mut segment = None;
    while let Some((key, raw)) = rows.row()
        && let Some(id) = bodyrow::id(key)
    {
        if !is_whole(shared, raw, &mut segment)
            && let Err(e) = read_body(shared, id)
        {
            findings.push(Finding::of_body(id, e.to_string()));
        }
        rows.advance()?;
    }
    Ok(())
}

/// Returns whether a body is whole in the place in the journal that its row names. Keeps the segment open in `open`: bodies
/// with neighbouring numbers are mostly in the same one.
fn is_whole(shared: &Shared, raw: &[u8], open: &mut Option<(u64, File)>) -> bool {
    let Some(row) = BodyRow::decode(raw) else { return false };
    let Some(place) = row.place else { return false };
    let path = Segment::path(&shared.settings.journal, place.segment);
    if open.as_ref().is_none_or(|(number, _)| *number != place.segment) {
        *open = shared.disk.open(&path).ok().map(|file| (place.segment, file));
    }
    open.as_ref().is_some_and(|(_, file)| super::read_inline(file, &path, &row, place).is_ok())
}

/// Reads a body as it is stored now: it may have been relocated or removed.
fn read_body(shared: &Shared, id: BodyId) -> Result<()> {
    let len = match shared.find(id) {
        Err(e) if e.kind() == ErrorKind::NoBody => return Ok(()),
        found => found?.len,
    };
    let mut offset = 0;
    while offset < len {
        offset += shared.read_body(id, offset)?.len() as u64;
    }
    Ok(())
}
