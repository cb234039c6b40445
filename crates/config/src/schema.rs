//! The table of all settings: names, defaults and documentation.
//!
//! The reader takes its defaults from this table and reports keys that are not in it as unknown. The annotated examples are
//! printed from it, so they cannot disagree with the program.

/// A table of settings.
#[derive(Debug)]
pub(crate) struct Section {
    /// Documentation for the example; one element is one line.
    pub(crate) doc: &'static [&'static str],
    pub(crate) keys: &'static [Key],
    pub(crate) children: &'static [Child],
}

/// One setting.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) sample: Sample,
    pub(crate) doc: &'static [&'static str],
}

/// The default of a setting, or an example of its value, as TOML text.
#[derive(Debug)]
pub(crate) enum Sample {
    /// Must be given; this is an example.
    Required(&'static str),
    /// May be left out; this is the default.
    Default(&'static str),
    /// May be left out; the first is the default, and the example sets the second.
    Instead(&'static str, &'static str),
    /// May be left out, and has no default; this is an example.
    Optional(&'static str),
    /// As `Optional`, but the example sets it, because the section needs at least one of several settings.
    Chosen(&'static str),
}

/// A table within a table.
#[derive(Debug)]
pub(crate) struct Child {
    pub(crate) name: &'static str,
    pub(crate) shape: Shape,
    /// The example has it commented out, because few need it.
    pub(crate) is_optional: bool,
    pub(crate) section: &'static Section,
}

/// How often a table occurs.
#[derive(Debug)]
pub(crate) enum Shape {
    /// At most once.
    One,
    /// Any number, each under a name that the operator chooses; these names are for the example.
    Named(&'static [&'static str]),
    /// Any number without names, in order.
    List,
}

impl Section {
    pub(crate) fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }

    pub(crate) fn child(&self, name: &str) -> Option<&'static Child> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The names of all settings and tables that this section may have.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.keys.iter().map(|key| key.name).chain(self.children.iter().map(|child| child.name))
    }
}
