//! Random work, restarts and crashes, against a `BTreeMap`.

use proptest::{collection::vec, prelude::*};

use super::*;

/// One step of a random history.
#[derive(Clone, Debug)]
enum Step {
    Put(u8, u16),
    Delete(u8),
    /// A body of this many bytes.
    Body(u8, u32),
    Unbody(u8),
    /// Only if the row is not there.
    PutNew(u8),
    Flush,
    Compact(bool),
    Restart,
    /// As after a power cut: what was not acknowledged may be missing.
    Crash,
    LoseView,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        20 => (any::<u8>(), 0..3000u16).prop_map(|(k, n)| Step::Put(k, n)),
        6 => any::<u8>().prop_map(Step::Delete),
        10 => (any::<u8>(), prop_oneof![9 => 0..20_000u32, 1 => 250_000..400_000u32])
            .prop_map(|(k, n)| Step::Body(k, n)),
        6 => any::<u8>().prop_map(Step::Unbody),
        3 => any::<u8>().prop_map(Step::PutNew),
        3 => Just(Step::Flush),
        1 => any::<bool>().prop_map(Step::Compact),
        1 => Just(Step::Restart),
        1 => Just(Step::Crash),
        1 => Just(Step::LoseView),
    ];
    vec(step, 1..120)
}

/// The expected content of the engine.
#[derive(Default)]
struct Model {
    rows: BTreeMap<Vec<u8>, Vec<u8>>,
    bodies: BTreeMap<u8, (BodyId, Vec<u8>)>,
}

fn key(table: u8, k: u8) -> Vec<u8> {
    // Keys of different lengths, with common beginnings.
    let mut key = vec![table, b'k', k >> 4];
    key.extend(std::iter::repeat_n(k & 15, usize::from(k & 7)));
    key.push(k);
    key
}

impl Model {
    fn check(&self, engine: &Local) {
        assert_eq!(rows(engine), self.rows);
        for (id, content) in self.bodies.values() {
            assert_eq!(&read_body(engine, *id).unwrap(), content);
        }
        for key in self.rows.keys() {
            assert_eq!(engine.get(key).unwrap().as_deref(), self.rows.get(key).map(|v| &v[..]));
        }
        let range = KeyRange { start: vec![2], end: Some(vec![0x90]) };
        let mut backward: Vec<_> = engine.range(&range, Direction::Backward, usize::MAX).unwrap().rows;
        backward.reverse();
        assert_eq!(backward, engine.range(&range, Direction::Forward, usize::MAX).unwrap().rows);
    }

    fn body(&mut self, engine: &Local, k: u8, n: u64, len: u32) {
        self.unbody(engine, k);
        let content = noise(n, len as usize);
        let id = put_body(engine, &key(3, k), &content).unwrap();
        self.rows.insert(key(3, k), id.get().to_be_bytes().to_vec());
        self.bodies.insert(k, (id, content));
    }

    fn unbody(&mut self, engine: &Local, k: u8) {
        if let Some((id, _)) = self.bodies.remove(&k) {
            remove_body(engine, &key(3, k), id);
            self.rows.remove(&key(3, k));
            assert_eq!(engine.body(id, 0).unwrap_err().kind(), crate::ErrorKind::NoBody);
        }
    }

    fn put(&mut self, engine: &Local, k: u8, n: u64, len: u16) {
        let value = noise(n, usize::from(len));
        put(engine, &key(2, k), &value).unwrap();
        self.rows.insert(key(2, k), value);
    }

    fn put_new(&mut self, engine: &Local, k: u8) {
        let mut batch = Batch::default();
        batch.preconditions.push(Precondition::Absent(key(2, k)));
        batch.ops.put(&key(2, k), b"new");
        let is_new = !self.rows.contains_key(&key(2, k));
        let expected = if is_new { Ok(()) } else { Err(CommitError::Conflict(0)) };
        assert_eq!(engine.commit(batch).wait(), expected);
        self.rows.entry(key(2, k)).or_insert_with(|| b"new".to_vec());
    }
}

fn run(steps: &[Step]) {
    let mut dir = folder();
    let mut engine = open(dir.path());
    let mut model = Model::default();
    for (n, step) in (0u64..).zip(steps) {
        match *step {
            Step::Put(k, len) => model.put(&engine, k, n, len),
            Step::Delete(k) => {
                let mut batch = Batch::default();
                batch.ops.delete(&key(2, k));
                engine.commit(batch).wait().unwrap();
                model.rows.remove(&key(2, k));
            }
            Step::Body(k, len) => model.body(&engine, k, n, len),
            Step::Unbody(k) => model.unbody(&engine, k),
            Step::PutNew(k) => model.put_new(&engine, k),
            Step::Flush => {
                engine.shared.maintenance.flush_all().unwrap();
            }
            Step::Compact(thorough) => engine.compact(thorough).unwrap(),
            Step::Restart => {
                engine.close();
                engine = open(dir.path());
                model.check(&engine);
            }
            Step::Crash => {
                let copy = crashed(&engine);
                engine.close();
                dir = copy;
                engine = open(dir.path());
                model.check(&engine);
            }
            Step::LoseView => {
                engine.close();
                fs::remove_dir_all(dir.path().join("view")).unwrap();
                engine = open(dir.path());
                model.check(&engine);
            }
        }
    }
    model.check(&engine);
    sound(&engine);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn agrees_with_a_model(steps in steps()) {
        run(&steps);
    }
}
