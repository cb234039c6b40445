//! Reads TOML by the schema, and collects every problem instead of stopping at the first.

use std::cell::RefCell;
use std::path::{Component, Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::hint;
use crate::problem::{Place, Problem, ProblemKind, in_quotes};
use crate::schema::{Sample, Section};
use crate::values;

/// Largest configuration file, in bytes: some hundred thousand accounts.
pub const MAX_FILE: usize = 64 << 20;

/// Characters of a line that a problem shows at most.
const MAX_EXCERPT: usize = 80;

/// One file, and the problems found in it so far.
pub(crate) struct Report<'a> {
    origin: &'a str,
    root: &'static Section,
    line_starts: Vec<usize>,
    problems: RefCell<Vec<Problem>>,
    empty: DeTable<'static>,
}

/// A mistake in a value, not yet tied to a place.
#[derive(Debug)]
pub(crate) struct Wrong {
    pub(crate) kind: ProblemKind,
    pub(crate) what: String,
    pub(crate) mend: String,
}

impl Wrong {
    pub(crate) fn value(what: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { kind: ProblemKind::BadValue, what: what.into(), mend: mend.into() }
    }

    pub(crate) fn kind_of_value(value: &DeValue<'_>, wanted: &str) -> Self {
        let what = format!("is {} {}, should be {wanted}", article(value.type_str()), value.type_str());
        Self { kind: ProblemKind::WrongType, what, mend: format!("give {wanted}") }
    }
}

fn article(noun: &str) -> &'static str {
    if noun.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" }
}

impl<'a> Report<'a> {
    /// Parses `text` and reads it with `read`. Returns the value, or all problems by line.
    pub(crate) fn of<T>(
        text: &str,
        origin: &'a str,
        section: &'static Section,
        read: impl FnOnce(&Table<'_>) -> Option<T>,
    ) -> Result<T, Vec<Problem>> {
        Self::of_part(text, origin, section, |root| {
            root.check_names();
            read(root)
        })
    }

    /// As [`Report::of`], but reports only problems in settings that `read` looks at. For a few settings of a file that may
    /// have mistakes elsewhere.
    pub(crate) fn of_part<T>(
        text: &str,
        origin: &'a str,
        section: &'static Section,
        read: impl FnOnce(&Table<'_>) -> Option<T>,
    ) -> Result<T, Vec<Problem>> {
        let line_starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        let report = Report {
            origin,
            root: section,
            line_starts,
            problems: RefCell::default(),
            empty: DeTable::new(),
        };
        if text.len() > MAX_FILE {
            let place = Place { origin: origin.to_owned(), line: 1, key: String::new() };
            let mend = "split it, or name the right file";
            return Err(vec![Problem::new(ProblemKind::TooLarge, place, "is larger than 64 MiB", mend)]);
        }
        let (table, errors) = DeTable::parse_recoverable(text);
        if !errors.is_empty() {
            let at = |error: &toml::de::Error| error.span().map_or(0, |span| span.start);
            return Err(errors.iter().map(|error| report.syntax(text, at(error), error.message())).collect());
        }
        let table = table.get_ref();
        let root = Table { report: &report, section, table, path: String::new(), at: 0, given: None };
        let value = read(&root);
        let mut problems = report.problems.take();
        problems.sort_by_key(Problem::line);
        match value {
            Some(value) if problems.is_empty() => Ok(value),
            _ => Err(problems),
        }
    }

    /// Makes a problem of what the TOML parser says about an offset, and shows the line.
    fn syntax(&self, text: &str, at: usize, message: &str) -> Problem {
        let number = self.line(at);
        let place = Place { origin: self.origin.to_owned(), line: number, key: String::new() };
        let line = text.lines().nth(number - 1).unwrap_or_default();
        let new = |what, mend: &str| Problem::new(ProblemKind::Syntax, place.clone(), what, mend);
        if message.contains("duplicate key") {
            let (name, first) = first_of_two(text, number);
            let first = first.map(|first| format!(", first in line {first}")).unwrap_or_default();
            return new(format!("{name} is there twice{first}"), "keep one of the two");
        }
        let start = self.line_starts.get(number - 1).copied().unwrap_or_default();
        let column = text.get(start..at).unwrap_or_default().chars().count() + 1;
        let message = message.lines().collect::<Vec<_>>().join(", ");
        let excerpt: String = line.trim().chars().take(MAX_EXCERPT).collect();
        let what = format!("{message}, at column {column} of {}", in_quotes(&excerpt));
        new(what, "check the quotes, brackets and commas there")
    }

    /// The line of a byte offset; the first is 1.
    fn line(&self, at: usize) -> usize {
        self.line_starts.partition_point(|&start| start <= at)
    }

    fn push(&self, at: usize, key: String, wrong: Wrong) {
        let place = Place { origin: self.origin.to_owned(), line: self.line(at), key };
        self.problems.borrow_mut().push(Problem::new(wrong.kind, place, wrong.what, wrong.mend));
    }
}

/// The name that line `second` repeats, and the line where it occurs first, if it is written alike there. A key is searched
/// only in its own section.
fn first_of_two(text: &str, second: usize) -> (&str, Option<usize>) {
    let lines: Vec<&str> = text.lines().take(second).collect();
    let Some((last, before)) = lines.split_last() else { return ("it", None) };
    let is_header = last.trim_start().starts_with('[');
    let name = name_in(last);
    let is_near = |line: &(usize, &&str)| is_header || !line.1.trim_start().starts_with('[');
    let first = before.iter().enumerate().rev().take_while(is_near).find(|(_, line)| name_in(line) == name);
    (name, first.map(|(index, _)| index + 1))
}

/// The key or the section header of a line.
fn name_in(line: &str) -> &str {
    let line = line.trim();
    let end = match line.starts_with('[') {
        true => line.rfind(']').map(|end| end + 1),
        false => line.find('='),
    };
    line.get(..end.unwrap_or(line.len())).unwrap_or(line).trim_end()
}

/// A table in the file, and its part of the schema.
pub(crate) struct Table<'a> {
    report: &'a Report<'a>,
    section: &'static Section,
    table: &'a DeTable<'a>,
    path: String,
    at: usize,
    /// For a table that the operator named: the path of the table that holds it, and the name.
    given: Option<(String, &'a str)>,
}

impl<'a> Table<'a> {
    /// The path of the file.
    pub(crate) fn origin(&self) -> &str {
        self.report.origin
    }

    /// Is the setting in the file, valid or not?
    pub(crate) fn has(&self, name: &str) -> bool {
        self.table.contains_key(name)
    }

    /// The value of a setting, or its default. `None` if an optional setting is missing, or after a problem was reported.
    pub(crate) fn get<T>(&self, name: &str, read: impl Fn(&DeValue<'_>) -> Result<T, Wrong>) -> Option<T> {
        let Some(value) = self.table.get(name) else { return self.default(name, &read) };
        read(value.get_ref())
            .map_err(|wrong| self.report.push(value.span().start, self.path_of(name), wrong))
            .ok()
    }

    /// As [`Table::get`] for a list; every wrong element is a problem of its own.
    pub(crate) fn list<T>(
        &self,
        name: &str,
        read: impl Fn(&DeValue<'_>) -> Result<T, Wrong>,
    ) -> Option<Vec<T>> {
        let all = |value: &DeValue<'_>| match value {
            DeValue::Array(elements) => elements.iter().map(|element| read(element.get_ref())).collect(),
            other => Err(Wrong::kind_of_value(other, "a list")),
        };
        let Some(DeValue::Array(elements)) = self.table.get(name).map(Spanned::get_ref) else {
            return self.get(name, all);
        };
        let mut values = Vec::new();
        for (i, element) in elements.iter().enumerate() {
            match read(element.get_ref()) {
                Ok(value) => values.push(value),
                Err(wrong) => {
                    self.report.push(element.span().start, format!("{}[{i}]", self.path_of(name)), wrong)
                }
            }
        }
        (values.len() == elements.len()).then_some(values)
    }

    /// A path. Relative ones start at the folder of the configuration file.
    pub(crate) fn file(&self, name: &str) -> Option<PathBuf> {
        let given = self.get(name, values::line)?;
        let mut path = Path::new(self.report.origin).parent().map(Path::to_owned).unwrap_or_default();
        for component in Path::new(&given).components() {
            match component {
                // Resolved by name and not by the file system, so `..` does not follow symbolic links.
                Component::ParentDir
                    if matches!(path.components().next_back(), Some(Component::Normal(_))) =>
                {
                    path.pop();
                }
                Component::CurDir => {}
                other => path.push(other),
            }
        }
        Some(path)
    }

    /// A table within this one; `None` if it is missing.
    pub(crate) fn child(&self, name: &str) -> Option<Table<'a>> {
        let section = self.section.child(name)?.section;
        let (key, value) = self.table.get_key_value(name)?;
        self.enter(section, self.path_of(name), key.span().start, value, None)
    }

    /// A table within this one; if it is missing an empty one, in which all settings have their defaults.
    pub(crate) fn child_or_defaults(&self, name: &str) -> Option<Table<'a>> {
        let section = self.section.child(name)?.section;
        match self.has(name) {
            true => self.child(name),
            false => Some(Table {
                report: self.report,
                section,
                table: &self.report.empty,
                path: self.path_of(name),
                at: self.at,
                given: None,
            }),
        }
    }

    /// The tables that the operator named, in the order of the file.
    pub(crate) fn named(&self, name: &str) -> Vec<(&'a str, Table<'a>)> {
        let Some(section) = self.section.child(name).map(|child| child.section) else { return Vec::new() };
        let Some(value) = self.table.get(name) else { return Vec::new() };
        let DeValue::Table(tables) = value.get_ref() else {
            let wrong = Wrong::kind_of_value(value.get_ref(), "a table of named tables");
            self.report.push(value.span().start, self.path_of(name), wrong);
            return Vec::new();
        };
        let enter = |(key, value): (&'a Spanned<_>, &'a Spanned<_>)| {
            let given: &'a std::borrow::Cow<'a, str> = key.get_ref();
            let holder = self.path_of(name);
            let path = join(&holder, given);
            let at = key.span().start;
            Some((given.as_ref(), self.enter(section, path, at, value, Some((holder, given.as_ref())))?))
        };
        let mut named: Vec<_> = tables.iter().filter_map(enter).collect();
        named.sort_by_key(|(_, table)| table.at);
        named
    }

    /// The tables of a list, in their order.
    pub(crate) fn tables(&self, name: &str) -> Vec<Table<'a>> {
        let Some(section) = self.section.child(name).map(|child| child.section) else { return Vec::new() };
        let Some(value) = self.table.get(name) else { return Vec::new() };
        let DeValue::Array(elements) = value.get_ref() else {
            let wrong = Wrong::kind_of_value(value.get_ref(), "a list of tables");
            self.report.push(value.span().start, self.path_of(name), wrong);
            return Vec::new();
        };
        let enter = |(i, value): (usize, &'a Spanned<_>)| {
            self.enter(section, format!("{}[{i}]", self.path_of(name)), value.span().start, value, None)
        };
        elements.iter().enumerate().filter_map(enter).collect()
    }

    /// Reports a problem with a setting, or with the table if the setting is missing.
    pub(crate) fn problem(
        &self,
        kind: ProblemKind,
        name: &str,
        what: impl Into<String>,
        mend: impl Into<String>,
    ) {
        let at = self.table.get(name).map_or(self.at, |value| value.span().start);
        let key = if name.is_empty() { self.path.clone() } else { self.path_of(name) };
        self.report.push(at, key, Wrong { kind, what: what.into(), mend: mend.into() });
    }

    /// The place of a setting, or of the table if the setting is missing. For problems that only both files together show.
    pub(crate) fn place(&self, name: &str) -> Place {
        let at = self.table.get(name).map_or(self.at, |value| value.span().start);
        let key = if name.is_empty() { self.path.clone() } else { self.path_of(name) };
        Place { origin: self.report.origin.to_owned(), line: self.report.line(at), key }
    }

    fn default<T>(&self, name: &str, read: &impl Fn(&DeValue<'_>) -> Result<T, Wrong>) -> Option<T> {
        match self.section.key(name)?.sample {
            Sample::Default(text) | Sample::Instead(text, _) => {
                DeValue::parse(text).ok().and_then(|value| read(value.get_ref()).ok())
            }
            Sample::Optional(_) | Sample::Chosen(_) => None,
            Sample::Required(example) => {
                let mend = format!("add a line such as: {name} = {example}");
                self.problem(ProblemKind::MissingKey, name, "is not set and has no default", mend);
                None
            }
        }
    }

    fn enter(
        &self,
        section: &'static Section,
        path: String,
        at: usize,
        value: &'a Spanned<DeValue<'a>>,
        given: Option<(String, &'a str)>,
    ) -> Option<Table<'a>> {
        match value.get_ref() {
            DeValue::Table(table) => {
                let table = Table { report: self.report, section, table, path, at, given };
                table.check_names();
                Some(table)
            }
            other => {
                self.report.push(value.span().start, path, Wrong::kind_of_value(other, "a table"));
                None
            }
        }
    }

    fn check_names(&self) {
        for (key, value) in self.table {
            let name = key.get_ref().as_ref();
            if !self.section.names().any(|known| known == name) {
                let mend = self.meant(name, value.get_ref());
                let wrong = Wrong { kind: ProblemKind::UnknownKey, what: "no such setting".to_owned(), mend };
                self.report.push(key.span().start, self.path_of(name), wrong);
            }
        }
    }

    /// Suggests how to mend an unknown name.
    fn meant(&self, name: &str, value: &DeValue<'_>) -> String {
        if !self.path.is_empty() && self.report.root.key(name).is_some() {
            return format!("{name} belongs above the first [section]");
        }
        if let Some(nearest) = hint::nearest(name, self.section.names()) {
            return format!("did you mean {nearest}?");
        }
        if let (Some((holder, given)), DeValue::Table(inner)) = (&self.given, value) {
            let whole = self.undivided(format!("{given}.{name}"), inner);
            return format!("write [{}], in quotes", join(holder, &whole));
        }
        format!("known here: {}", self.section.names().collect::<Vec<_>>().join(", "))
    }

    /// Joins a name that TOML has split at its dots, because the operator wrote it without quotes: `[domains.example.org]`.
    fn undivided(&self, mut name: String, mut inner: &DeTable<'_>) -> String {
        while let Some((key, value)) = inner.iter().next().filter(|_| inner.len() == 1) {
            let key = key.get_ref().as_ref();
            let DeValue::Table(next) = value.get_ref() else { break };
            if self.section.names().any(|known| known == key) {
                break;
            }
            name.push('.');
            name.push_str(key);
            inner = next;
        }
        name
    }

    fn path_of(&self, name: &str) -> String {
        join(&self.path, name)
    }
}

/// Appends a name to a dotted path, in quotes where TOML needs them.
fn join(path: &str, name: &str) -> String {
    let bare = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    let name = if bare { name.to_owned() } else { in_quotes(name) };
    if path.is_empty() { name } else { format!("{path}.{name}") }
}
