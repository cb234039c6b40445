//! The table that everything is made from: which settings exist, what they are when left out, and what they mean.
//!
//! The reader takes its defaults from here, an unknown key is one that is not here, and the annotated examples are
//! printed from here: so a document cannot disagree with the program.

/// A table of settings.
#[derive(Debug)]
pub(crate) struct Section {
    /// What the section is about, for the example. One element is one line.
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

/// The value of a setting as TOML text.
#[derive(Debug)]
pub(crate) enum Sample {
    /// It has to be given; this is an example.
    Required(&'static str),
    /// It is this when it is left out.
    Default(&'static str),
    /// It is the first when it is left out; the example needs the second.
    Instead(&'static str, &'static str),
    /// It is absent when it is left out; this is an example.
    Optional(&'static str),
    /// The same, and the example has it, since it needs one of several.
    Chosen(&'static str),
}

/// A table within a table.
#[derive(Debug)]
pub(crate) struct Child {
    pub(crate) name: &'static str,
    pub(crate) shape: Shape,
    /// Few need it, so the example has it behind `#`.
    pub(crate) is_optional: bool,
    pub(crate) section: &'static Section,
}

/// How often a table occurs.
#[derive(Debug)]
pub(crate) enum Shape {
    /// Once, or not at all.
    One,
    /// Under names that the operator gives; these are names for the example.
    Named(&'static [&'static str]),
    /// Several without names, in order.
    List,
}

impl Section {
    pub(crate) fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }

    pub(crate) fn child(&self, name: &str) -> Option<&'static Child> {
        self.children.iter().find(|child| child.name == name)
    }

    /// Everything that may stand in this section.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.keys.iter().map(|key| key.name).chain(self.children.iter().map(|child| child.name))
    }
}
