//! The world that a simulation puts in the machine's place: machines with a disk and a clock each, all drawn from one seed.
//!
//! A machine is named by the first part of a path. One process runs on it at a time; from the effect on at which it is killed,
//! everything fails that it still tries, and nothing of that counts.

mod disk;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Component, Path};
use std::time::Duration;

use fastrand::Rng;
use topchat::machine::world::{self, Found, Handle, Opening};

pub(crate) use disk::Disk;

/// How often what goes wrong on a machine.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Faults {
    /// Of a thousand writes, and of as many new names.
    pub(crate) writes: u16,
    /// Of a thousand syncs.
    pub(crate) syncs: u16,
    /// No room at all.
    pub(crate) is_full: bool,
}

#[derive(Default)]
struct Machine {
    disk: Disk,
    faults: Faults,
    /// How far its wall clock is from the true one, in milliseconds.
    clock: i64,
    /// Which process runs; what an earlier one has open is closed.
    process: u64,
    /// Effects until the process is killed.
    fuse: Option<u64>,
    is_down: bool,
    effects: u64,
}

struct Open {
    machine: String,
    process: u64,
    inode: u64,
    lock: Lock,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Lock {
    None,
    Shared,
    Alone,
}

/// All machines, and the time.
pub(crate) struct World {
    machines: RefCell<BTreeMap<String, Machine>>,
    open: RefCell<HashMap<Handle, Open>>,
    last: Cell<Handle>,
    /// Whose clock shows the time now.
    running: RefCell<String>,
    now: Cell<Duration>,
    rng: RefCell<Rng>,
    stands_in: bool,
}

impl World {
    /// An empty one.
    pub(crate) fn new(seed: u64, stands_in: bool) -> Self {
        Self {
            machines: RefCell::default(),
            open: RefCell::default(),
            last: Cell::new(0),
            running: RefCell::default(),
            now: Cell::new(Duration::from_secs(1)),
            rng: RefCell::new(Rng::with_seed(seed)),
            stands_in,
        }
    }

    /// A process of this machine is at work from now on.
    pub(crate) fn run(&self, machine: &str) {
        machine.clone_into(&mut self.running.borrow_mut());
    }

    /// Time passes.
    pub(crate) fn pass(&self, time: Duration) {
        self.now.set(self.now.get() + time);
    }

    /// Somebody sets a machine's wall clock.
    pub(crate) fn set_clock(&self, machine: &str, ahead_ms: i64) {
        self.machine(machine, |machine| machine.clock = ahead_ms);
    }

    /// What goes wrong on a machine from now on.
    pub(crate) fn set_faults(&self, machine: &str, faults: Faults) {
        self.machine(machine, |machine| machine.faults = faults);
    }

    /// What goes wrong on a machine now.
    pub(crate) fn faults(&self, machine: &str) -> Faults {
        self.machine(machine, |machine| machine.faults)
    }

    /// Kills the machine's process at its effect after so many.
    pub(crate) fn set_fuse(&self, machine: &str, effects: Option<u64>) {
        self.machine(machine, |machine| machine.fuse = effects);
    }

    /// Whether the process was killed.
    pub(crate) fn is_down(&self, machine: &str) -> bool {
        self.machine(machine, |machine| machine.is_down)
    }

    /// How many effects there were on a machine.
    pub(crate) fn effects(&self, machine: &str) -> u64 {
        self.machine(machine, |machine| machine.effects)
    }

    /// The machine's process is over, and with the power everything that was not safe.
    pub(crate) fn end_process(&self, machine: &str, power_fails: bool) {
        crate::story::tell(|| {
            format!("the process of {machine} ends{}", if power_fails { " with the power" } else { "" })
        });
        let mut rng = self.rng.borrow_mut();
        self.machine(machine, |machine| {
            machine.process += 1;
            machine.fuse = None;
            machine.is_down = false;
            if power_fails {
                machine.disk.fail(&mut rng);
            } else {
                machine.disk.forget_nameless();
            }
        });
        self.open.borrow_mut().retain(|_, open| open.machine != machine);
    }

    /// A copy of the machine's disk, as a backup makes it.
    pub(crate) fn copy(&self, machine: &str) -> Disk {
        let mut disk = self.machine(machine, |machine| machine.disk.clone());
        disk.settle();
        disk
    }

    /// Puts a copy in the disk's place, while no process runs.
    pub(crate) fn restore(&self, machine: &str, disk: Disk) {
        self.machine(machine, |machine| machine.disk = disk);
    }

    /// What the true clock shows, as Unix time in milliseconds.
    pub(crate) fn true_ms(&self) -> i64 {
        EPOCH_MS + i64::try_from(self.now.get().as_millis()).unwrap_or(i64::MAX)
    }

    fn machine<T>(&self, name: &str, of: impl FnOnce(&mut Machine) -> T) -> T {
        let mut machines = self.machines.borrow_mut();
        match machines.get_mut(name) {
            Some(machine) => of(machine),
            None => {
                let mut new = Machine::default();
                new.disk.make_root(Path::new("/").join(name));
                of(machines.entry(name.to_owned()).or_insert(new))
            }
        }
    }

    /// Something that changes what is on the disk, unless the process is dead by then, or the disk refuses.
    fn effect<T>(
        &self,
        machine: &str,
        kind: Kind,
        words: impl FnOnce() -> String,
        change: impl FnOnce(&mut Disk, Option<&mut Rng>) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut rng = self.rng.borrow_mut();
        self.machine(machine, |machine| {
            machine.effects += 1;
            if machine.is_down {
                return Err(killed());
            }
            if let Some(left) = &mut machine.fuse {
                if *left == 0 {
                    machine.is_down = true;
                    return Err(killed());
                }
                *left -= 1;
            }
            let rate = match kind {
                Kind::Write | Kind::Name => machine.faults.writes,
                Kind::Sync => machine.faults.syncs,
            };
            let fails = (machine.faults.is_full && kind != Kind::Sync) || (rate > 0 && rng.u16(..1000) < rate);
            crate::story::tell(|| format!("{} {}{}", machine.effects, words(), if fails { ": fails" } else { "" }));
            match (fails, kind) {
                (false, _) => change(&mut machine.disk, None),
                (true, Kind::Write) => {
                    // Any part of it may have been written.
                    change(&mut machine.disk, Some(&mut rng))?;
                    Err(io::ErrorKind::StorageFull.into())
                }
                (true, Kind::Name) => Err(io::ErrorKind::StorageFull.into()),
                (true, Kind::Sync) => Err(io::Error::other("input/output error")),
            }
        })
    }

    fn opened<T>(&self, handle: Handle, of: impl FnOnce(&mut Open) -> io::Result<T>) -> io::Result<T> {
        let mut open = self.open.borrow_mut();
        let open = open.get_mut(&handle).ok_or_else(killed)?;
        let process = self.machine(&open.machine, |machine| (machine.process, machine.is_down));
        match process == (open.process, false) {
            true => of(open),
            false => Err(killed()),
        }
    }

    fn place(&self, handle: Handle) -> io::Result<(String, u64)> {
        self.opened(handle, |open| Ok((open.machine.clone(), open.inode)))
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Name,
    Sync,
    Write,
}

impl world::World for World {
    fn open(&self, path: &Path, how: Opening) -> io::Result<Handle> {
        let machine = machine_of(path)?;
        if self.is_down(machine) {
            return Err(killed());
        }
        let inode = match self.machine(machine, |machine| machine.disk.find(path)) {
            Ok(_) if how.create_new => return Err(io::ErrorKind::AlreadyExists.into()),
            Ok(inode) => inode,
            Err(_) if how.create || how.create_new => self.effect(
                machine,
                Kind::Name,
                || format!("create {}", path.display()),
                |disk, _| disk.make(path, false, 0o600),
            )?,
            Err(error) => return Err(error),
        };
        let process = self.machine(machine, |machine| machine.process);
        self.last.set(self.last.get() + 1);
        let handle = self.last.get();
        let open = Open { machine: machine.to_owned(), process, inode, lock: Lock::None };
        self.open.borrow_mut().insert(handle, open);
        Ok(handle)
    }

    fn close(&self, handle: Handle) {
        self.open.borrow_mut().remove(&handle);
    }

    fn read(&self, handle: Handle, offset: u64, bytes: &mut [u8]) -> io::Result<usize> {
        let (machine, inode) = self.place(handle)?;
        self.machine(&machine, |machine| {
            let data = &machine.disk.node(inode)?.data;
            let rest = data.get(offset as usize..).unwrap_or_default();
            let length = rest.len().min(bytes.len());
            bytes[..length].copy_from_slice(&rest[..length]);
            Ok(length)
        })
    }

    fn write(&self, handle: Handle, offset: Option<u64>, bytes: &[u8]) -> io::Result<u64> {
        let (machine, inode) = self.place(handle)?;
        self.effect(
            &machine,
            Kind::Write,
            || format!("{machine} write {} to {inode}", bytes.len()),
            |disk, torn| {
                let length = torn.map_or(bytes.len(), |rng| rng.usize(..=bytes.len()));
                disk.write(inode, offset, &bytes[..length])
            },
        )
    }

    fn set_length(&self, handle: Handle, length: u64) -> io::Result<()> {
        let (machine, inode) = self.place(handle)?;
        self.effect(
            &machine,
            Kind::Name,
            || format!("{machine} cut {inode} to {length}"),
            |disk, _| disk.set_length(inode, length),
        )
    }

    fn sync(&self, handle: Handle) -> io::Result<()> {
        let (machine, inode) = self.place(handle)?;
        self.effect(&machine, Kind::Sync, || format!("{machine} sync {inode}"), |disk, _| disk.sync(inode))
    }

    fn look(&self, handle: Handle) -> io::Result<Found> {
        let (machine, inode) = self.place(handle)?;
        self.machine(&machine, |machine| found(&machine.disk, inode))
    }

    fn look_at(&self, path: &Path) -> io::Result<Found> {
        let machine = machine_of(path)?;
        if self.is_down(machine) {
            return Err(killed());
        }
        self.machine(machine, |machine| found(&machine.disk, machine.disk.find(path)?))
    }

    fn lock(&self, handle: Handle, shared: bool) -> io::Result<bool> {
        let (machine, inode) = self.place(handle)?;
        let mut open = self.open.borrow_mut();
        let is_others = |(other, open): (&Handle, &Open)| {
            let is_held = open.lock == Lock::Alone || (open.lock == Lock::Shared && !shared);
            *other != handle && open.machine == machine && open.inode == inode && is_held
        };
        if open.iter().any(is_others) {
            return Ok(false);
        }
        if let Some(open) = open.get_mut(&handle) {
            open.lock = if shared { Lock::Shared } else { Lock::Alone };
        }
        Ok(true)
    }

    fn unlock(&self, handle: Handle) -> io::Result<()> {
        self.opened(handle, |open| {
            open.lock = Lock::None;
            Ok(())
        })
    }

    fn make_folder(&self, path: &Path, mode: u32) -> io::Result<()> {
        let machine = machine_of(path)?;
        self.effect(machine, Kind::Name, || format!("make {}", path.display()), |disk, _| disk.make(path, true, mode))
            .map(drop)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let machine = machine_of(path)?;
        if self.is_down(machine) {
            return Err(killed());
        }
        self.machine(machine, |machine| {
            machine.disk.find(path)?;
            Ok(machine.disk.list(path))
        })
    }

    fn rename(&self, from: &Path, to: &Path, replace: bool) -> io::Result<()> {
        self.effect(
            machine_of(from)?,
            Kind::Name,
            || format!("rename {} to {}", from.display(), to.display()),
            |disk, _| disk.rename(from, to, replace),
        )
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.effect(machine_of(path)?, Kind::Name, || format!("remove {}", path.display()), |disk, _| disk.remove(path))
    }

    fn now(&self) -> Duration {
        self.now.get()
    }

    fn unix(&self) -> Duration {
        let running = self.running.borrow();
        let ahead = self.machine(&running, |machine| machine.clock);
        Duration::from_millis(u64::try_from(self.true_ms() + ahead).unwrap_or(0))
    }

    fn sleep(&self, pause: Duration) {
        self.pass(pause);
    }

    fn random(&self, bytes: &mut [u8]) {
        self.rng.borrow_mut().fill(bytes);
    }

    fn stands_in_for_rsa(&self) -> bool {
        self.stands_in
    }
}

fn found(disk: &Disk, inode: u64) -> io::Result<Found> {
    let node = disk.node(inode)?;
    let (is_folder, mode, changed) = (node.is_folder, node.mode, node.changed);
    Ok(Found { is_folder, mode, inode, length: node.data.len() as u64, links: disk.links(inode), changed })
}

/// The first part of a path.
fn machine_of(path: &Path) -> io::Result<&str> {
    let first = path.components().find_map(|part| match part {
        Component::Normal(name) => name.to_str(),
        _ => None,
    });
    first.ok_or_else(|| io::ErrorKind::NotFound.into())
}

fn killed() -> io::Error {
    io::Error::other("the process was killed")
}

/// 2026-01-01, in milliseconds since 1970.
const EPOCH_MS: i64 = 1_767_225_600_000;
