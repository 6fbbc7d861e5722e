//! A machine's disk: what stands on it now, and what would be left of that if the power failed.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Path, PathBuf};

use fastrand::Rng;

/// Files and folders by their names.
#[derive(Clone, Default)]
pub(crate) struct Disk {
    nodes: HashMap<u64, Node>,
    names: BTreeMap<PathBuf, u64>,
    /// Names that are safe, and changes of them that are not, in their order.
    safe_names: BTreeMap<PathBuf, u64>,
    unsafe_names: Vec<(PathBuf, Option<u64>)>,
    last: u64,
    changes: u64,
}

/// A file or a folder.
#[derive(Clone, Default)]
pub(crate) struct Node {
    pub(crate) is_folder: bool,
    pub(crate) mode: u32,
    pub(crate) changed: u64,
    /// As a reader sees it.
    pub(crate) data: Vec<u8>,
    /// What is safe of it, and changes that are not.
    safe: Vec<u8>,
    unsafe_changes: Vec<Change>,
}

#[derive(Clone)]
enum Change {
    Write { offset: usize, bytes: Vec<u8> },
    Length(usize),
}

impl Change {
    fn apply(&self, data: &mut Vec<u8>) {
        match self {
            Self::Write { offset, bytes } => {
                let end = offset + bytes.len();
                if data.len() < end {
                    data.resize(end, 0);
                }
                data[*offset..end].copy_from_slice(bytes);
            }
            Self::Length(length) => data.resize(*length, 0),
        }
    }

    /// The beginning of it.
    fn torn(&self, rng: &mut Rng) -> Self {
        match self {
            Self::Write { offset, bytes } => {
                Self::Write { offset: *offset, bytes: bytes[..rng.usize(..=bytes.len())].to_vec() }
            }
            length => length.clone(),
        }
    }
}

impl Disk {
    /// Which file has this name.
    pub(crate) fn find(&self, path: &Path) -> io::Result<u64> {
        self.names.get(path).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// The file.
    pub(crate) fn node(&self, inode: u64) -> io::Result<&Node> {
        self.nodes.get(&inode).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn node_mut(&mut self, inode: u64) -> io::Result<&mut Node> {
        self.changes += 1;
        let changes = self.changes;
        let node = self.nodes.get_mut(&inode).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        node.changed = changes;
        Ok(node)
    }

    /// How many names a file has.
    pub(crate) fn links(&self, inode: u64) -> u64 {
        self.names.values().filter(|named| **named == inode).count() as u64
    }

    /// Makes the folder that holds all others.
    pub(crate) fn make_root(&mut self, path: PathBuf) {
        self.last += 1;
        self.nodes.insert(self.last, Node { is_folder: true, mode: 0o755, ..Node::default() });
        self.safe_names.insert(path.clone(), self.last);
        self.names.insert(path, self.last);
    }

    /// Makes an empty file or folder.
    pub(crate) fn make(&mut self, path: &Path, is_folder: bool, mode: u32) -> io::Result<u64> {
        if self.names.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let parent = path.parent().unwrap_or(path);
        if !self.find(parent).and_then(|parent| self.node(parent)).is_ok_and(|node| node.is_folder) {
            return Err(io::ErrorKind::NotFound.into());
        }
        self.last += 1;
        let inode = self.last;
        self.changes += 1;
        let changed = self.changes;
        self.nodes.insert(inode, Node { is_folder, mode, changed, ..Node::default() });
        self.set_name(path, Some(inode));
        Ok(inode)
    }

    pub(crate) fn write(&mut self, inode: u64, offset: Option<u64>, bytes: &[u8]) -> io::Result<u64> {
        let node = self.node_mut(inode)?;
        let offset = offset.map_or(node.data.len(), |offset| offset as usize);
        let change = Change::Write { offset, bytes: bytes.to_vec() };
        change.apply(&mut node.data);
        node.unsafe_changes.push(change);
        Ok(offset as u64)
    }

    pub(crate) fn set_length(&mut self, inode: u64, length: u64) -> io::Result<()> {
        let node = self.node_mut(inode)?;
        let change = Change::Length(length as usize);
        change.apply(&mut node.data);
        node.unsafe_changes.push(change);
        Ok(())
    }

    /// What was written to the file, or the names of the folder, are safe.
    pub(crate) fn sync(&mut self, inode: u64) -> io::Result<()> {
        let node = self.nodes.get_mut(&inode).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        if !node.is_folder {
            let Node { safe, unsafe_changes, .. } = node;
            unsafe_changes.drain(..).for_each(|change| change.apply(safe));
            return Ok(());
        }
        let Self { names, safe_names, unsafe_names, .. } = self;
        let folder = names.iter().find(|(_, named)| **named == inode).map(|(path, _)| path.clone());
        unsafe_names.retain(|(path, named)| {
            let is_here = path.parent() == folder.as_deref();
            if is_here {
                set(safe_names, path, *named);
            }
            !is_here
        });
        Ok(())
    }

    pub(crate) fn list(&self, folder: &Path) -> Vec<String> {
        let below = self.names.range(folder.to_owned()..).take_while(|(path, _)| path.starts_with(folder));
        let here = below.filter(|(path, _)| path.parent() == Some(folder));
        here.filter_map(|(path, _)| Some(path.file_name()?.to_str()?.to_owned())).collect()
    }

    pub(crate) fn rename(&mut self, from: &Path, to: &Path, replace: bool) -> io::Result<()> {
        let inode = self.find(from)?;
        if !replace && self.names.contains_key(to) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        self.set_name(to, Some(inode));
        self.set_name(from, None);
        Ok(())
    }

    pub(crate) fn remove(&mut self, path: &Path) -> io::Result<()> {
        self.find(path)?;
        self.set_name(path, None);
        Ok(())
    }

    fn set_name(&mut self, path: &Path, inode: Option<u64>) {
        set(&mut self.names, path, inode);
        self.unsafe_names.push((path.to_owned(), inode));
    }

    /// The power fails: of what was not safe any part may be left, in any order.
    pub(crate) fn fail(&mut self, rng: &mut Rng) {
        let Self { nodes, names, safe_names, unsafe_names, .. } = self;
        let luck = rng.u8(..4);
        for (path, inode) in unsafe_names.drain(..) {
            if luck == 0 || (luck > 1 && rng.bool()) {
                set(safe_names, &path, inode);
            }
        }
        names.clone_from(safe_names);
        // In a steady order: what is drawn must not hang on a map's.
        let mut torn: Vec<_> = nodes.iter_mut().filter(|(_, node)| !node.unsafe_changes.is_empty()).collect();
        torn.sort_by_key(|(inode, _)| **inode);
        for (_, node) in torn {
            let changes = std::mem::take(&mut node.unsafe_changes);
            let kept = match rng.u8(..4) {
                0 => Vec::new(),
                1 => changes,
                2 => {
                    let whole = rng.usize(..changes.len());
                    let torn = changes[whole].torn(rng);
                    changes.into_iter().take(whole).chain([torn]).collect()
                }
                _ => changes.into_iter().filter(|_| rng.bool()).collect(),
            };
            kept.iter().for_each(|change| change.apply(&mut node.safe));
            node.data.clone_from(&node.safe);
        }
        self.forget_nameless();
    }

    /// What no name leads to is gone. Not while a process may have it open.
    pub(crate) fn forget_nameless(&mut self) {
        let named: std::collections::HashSet<u64> =
            self.names.values().chain(self.safe_names.values()).copied().collect();
        let unsafe_named: std::collections::HashSet<u64> =
            self.unsafe_names.iter().filter_map(|(_, inode)| *inode).collect();
        self.nodes.retain(|inode, _| named.contains(inode) || unsafe_named.contains(inode));
    }

    /// All files with their sizes, by name.
    pub(crate) fn files(&self) -> Vec<(PathBuf, usize)> {
        let file = |(path, inode): (&PathBuf, &u64)| {
            let node = self.nodes.get(inode).filter(|node| !node.is_folder)?;
            Some((path.clone(), node.data.len()))
        };
        self.names.iter().filter_map(file).collect()
    }

    /// Flips a bit of a file, as if the disk had forgotten it.
    pub(crate) fn rot(&mut self, path: &Path, bit: usize) {
        let Ok(inode) = self.find(path) else { return };
        if let Some(node) = self.nodes.get_mut(&inode) {
            node.data[bit / 8] ^= 1 << (bit % 8);
            node.safe.clone_from(&node.data);
            node.unsafe_changes.clear();
        }
    }

    /// Everything is safe, as after a while without writing.
    pub(crate) fn settle(&mut self) {
        for node in self.nodes.values_mut() {
            node.unsafe_changes.clear();
            node.safe.clone_from(&node.data);
        }
        self.unsafe_names.clear();
        self.safe_names.clone_from(&self.names);
    }
}

fn set(names: &mut BTreeMap<PathBuf, u64>, path: &Path, inode: Option<u64>) {
    match inode {
        Some(inode) => drop(names.insert(path.to_owned(), inode)),
        None => drop(names.remove(path)),
    }
}
