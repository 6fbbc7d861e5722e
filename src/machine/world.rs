//! A world in the machine's place.

use std::cell::RefCell;
use std::io;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// What a simulation answers in the machine's place. Paths are those that the programs give.
pub trait World {
    /// Opens a file, or a folder to read.
    fn open(&self, path: &Path, how: Opening) -> io::Result<Handle>;

    /// The file or folder is not used by this handle any more, and its locks go.
    fn close(&self, handle: Handle);

    /// Reads from a place; 0 at the end.
    fn read(&self, handle: Handle, offset: u64, bytes: &mut [u8]) -> io::Result<usize>;

    /// Writes all of it, at a place or at the end, which it gives.
    fn write(&self, handle: Handle, offset: Option<u64>, bytes: &[u8]) -> io::Result<u64>;

    /// Makes the file so long.
    fn set_length(&self, handle: Handle, length: u64) -> io::Result<()>;

    /// Puts on disk what was written to the file, or which names the folder has.
    fn sync(&self, handle: Handle) -> io::Result<()>;

    /// What is known of an open file.
    fn look(&self, handle: Handle) -> io::Result<Found>;

    /// What is known of what stands at a path.
    fn look_at(&self, path: &Path) -> io::Result<Found>;

    /// Locks the file or folder; false if others have it.
    fn lock(&self, handle: Handle, shared: bool) -> io::Result<bool>;

    /// Lets go of the lock.
    fn unlock(&self, handle: Handle) -> io::Result<()>;

    /// Makes a folder.
    fn make_folder(&self, path: &Path, mode: u32) -> io::Result<()>;

    /// The names in a folder.
    fn list(&self, path: &Path) -> io::Result<Vec<String>>;

    /// Gives a file another name, in the place of what has that name, or only where nothing has.
    fn rename(&self, from: &Path, to: &Path, replace: bool) -> io::Result<()>;

    /// Takes a file's name away.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// How long the world has been.
    fn now(&self) -> Duration;

    /// What the wall shows.
    fn unix(&self) -> Duration;

    /// Lets time pass.
    fn sleep(&self, pause: Duration);

    /// Fills these bytes.
    fn random(&self, bytes: &mut [u8]);

    /// Whether a digest stands in for each of RSA's operations, which take nearly all the time.
    fn stands_in_for_rsa(&self) -> bool;
}

/// An open file of a world.
pub type Handle = u64;

/// How a file is opened.
#[derive(Clone, Copy, Debug, Default)]
pub struct Opening {
    /// To read.
    pub read: bool,
    /// To write.
    pub write: bool,
    /// To write at the end only.
    pub append: bool,
    /// Made where it is missing.
    pub create: bool,
    /// Made, and an error if it is there.
    pub create_new: bool,
}

/// What is known of a file.
#[derive(Clone, Copy, Debug)]
pub struct Found {
    /// Whether it is a folder.
    pub is_folder: bool,
    /// Permission bits.
    pub mode: u32,
    /// Tells it from every other file.
    pub inode: u64,
    /// In bytes.
    pub length: u64,
    /// How many names it has.
    pub links: u64,
    /// Grows with every change.
    pub changed: u64,
}

thread_local! {
    static ENTERED: RefCell<Option<(Rc<dyn World>, Instant)>> = const { RefCell::new(None) };
}

/// Lets this thread live in a world, until the guard is dropped.
pub fn enter(world: Rc<dyn World>) -> Entered {
    // Moments are counted from one that leaves room before it.
    let began = Instant::now();
    Entered { before: ENTERED.replace(Some((world, began))) }
}

/// A thread is in a world.
pub struct Entered {
    before: Option<(Rc<dyn World>, Instant)>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        ENTERED.set(self.before.take());
    }
}

/// Asks the world in which this thread is, if it is in one.
pub(crate) fn ask<T>(question: impl FnOnce(&dyn World) -> T) -> Option<T> {
    let world = ENTERED.with_borrow(|entered| entered.as_ref().map(|(world, _)| Rc::clone(world)));
    world.map(|world| question(&*world))
}

/// The moment when the world has been for so long.
pub(super) fn moment(since: Duration) -> Instant {
    ENTERED.with_borrow(|entered| entered.as_ref().map_or_else(Instant::now, |(_, began)| *began)) + since
}

/// The same, for files: a handle that outlived its world is one of a process that is gone.
pub(super) fn within<T>(question: impl FnOnce(&dyn World) -> io::Result<T>) -> io::Result<T> {
    ask(question).unwrap_or_else(|| Err(io::Error::other("the world of this file is gone")))
}
