//! What happens in one seed: people who write, come and go, and everything that goes wrong meanwhile.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use fastrand::Rng;
use topchat::client::simulation::{Client, Heard};
use topchat::limits::FRAME_MAX;
use topchat::machine::world::{self, World as _};
use topchat::names::{Recipient, UserName};
use topchat::server::simulation::Server;
use topchat::server::{Durability, Quotas};
use topchat::wire::frame::FrameBuffer;
use topchat::wire::{Code, Envelope, ToClient, ToServer};

use crate::cast::{LIVES, Person, Role, cast};
use crate::oracle::{Life, Oracle};
use crate::plan::{Act, Plan};
use crate::world::{Disk, Faults, World};

const SERVER: &str = "server";

thread_local! {
    /// Everything is told as it happens.
    pub(crate) static LOUD: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

pub(crate) fn tell(words: impl FnOnce() -> String) {
    if LOUD.get() {
        println!("    {}", words());
    }
}

/// What came of a seed.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) steps: u64,
    pub(crate) sends: u64,
    pub(crate) shows: u64,
    pub(crate) effects: u64,
    /// Tells two runs apart: a digest of all that was done and seen.
    pub(crate) trace: u64,
    pub(crate) finding: Option<String>,
}

/// Plays a seed, up to so many steps before everything is made well.
pub(crate) fn play(plan: &Plan) -> Outcome {
    // Before anything is drawn from the seed.
    cast(plan.is_modern);
    let world = Rc::new(World::new(plan.seed, plan.stands_in));
    let _entered = world::enter(Rc::clone(&world) as Rc<dyn world::World>);
    let mut story = Story::new(plan, Rc::clone(&world));
    story.play();
    let mut oracle = story.oracle.borrow_mut();
    let finding = story.finding.take().or_else(|| oracle.finding().map(str::to_owned));
    let effects = story.machines().iter().map(|machine| world.effects(machine)).sum();
    let Oracle { sends, shows, .. } = &mut *oracle;
    Outcome { steps: story.steps, sends: *sends, shows: *shows, effects, trace: story.trace, finding }
}

struct Story<'a> {
    plan: &'a Plan,
    world: Rc<World>,
    rng: Rng,
    people: &'static [Person],
    server: Option<Server>,
    actors: Vec<Actor>,
    oracle: Rc<RefCell<Oracle>>,
    backup: Option<(Disk, Duration)>,
    steps: u64,
    trace: u64,
    finding: Option<String>,
    /// The accounts are those of a backup.
    was_restored: bool,
    /// The end, in which nothing goes wrong any more.
    is_calm: bool,
    /// Something happened after which honest clients may be alarmed.
    may_alarm: Rc<Cell<bool>>,
    texts: u64,
}

/// What a person has at the moment.
struct Actor {
    machine: String,
    life: usize,
    is_registered: bool,
    /// It was asked for, at least.
    may_be_registered: bool,
    is_disabled: bool,
    /// It was asked for, and nobody knows whether it was done.
    is_deleting: bool,
    client: Option<Client>,
    link: Option<Link>,
}

/// A connection: what is under way, and when it comes.
struct Link {
    session: u64,
    up: VecDeque<(Duration, ToServer)>,
    down: VecDeque<(Duration, Vec<u8>)>,
    /// What came and is no whole frame yet.
    buffer: FrameBuffer,
    /// Nothing moves until then.
    stalled: Duration,
    /// The server has said why it ends.
    is_closing: bool,
}

impl<'a> Story<'a> {
    fn new(plan: &'a Plan, world: Rc<World>) -> Self {
        let people = &cast(plan.is_modern)[..plan.people];
        let actor = |person: &Person| Actor {
            machine: person.name.to_string(),
            life: 0,
            is_registered: false,
            may_be_registered: false,
            is_disabled: false,
            is_deleting: false,
            client: None,
            link: None,
        };
        Self {
            plan,
            world,
            rng: Rng::with_seed(plan.seed ^ 0x5eed),
            people,
            server: None,
            actors: people.iter().map(actor).collect(),
            oracle: Rc::new(RefCell::new(Oracle::of(people.iter().map(|person| person.name.to_string()).collect()))),
            backup: None,
            steps: 0,
            trace: 0,
            finding: None,
            was_restored: false,
            is_calm: false,
            may_alarm: Rc::default(),
            texts: 0,
        }
    }

    fn machines(&self) -> Vec<String> {
        self.actors.iter().map(|actor| actor.machine.clone()).chain([SERVER.to_owned()]).collect()
    }

    fn play(&mut self) {
        self.start_server();
        (0..self.actors.len()).for_each(|who| self.register(who));
        while self.steps < self.plan.steps && !self.has_finding() {
            let act = self.plan.draw(&mut self.rng);
            self.act(act);
            self.steps += 1;
        }
        if !self.has_finding() {
            self.calm_down();
        }
    }

    fn has_finding(&self) -> bool {
        self.finding.is_some() || self.oracle.borrow().finding().is_some()
    }

    fn report(&mut self, words: String) {
        self.finding.get_or_insert(words);
    }

    /// Something was done: it is part of what a replay must repeat.
    fn note(&mut self, what: u64) {
        self.trace = (self.trace ^ what).wrapping_mul(0x0100_0000_01b3).rotate_left(17);
    }

    fn act(&mut self, act: Act) {
        let who = self.rng.usize(..self.actors.len());
        self.note(act as u64 * 31 + who as u64);
        if !matches!(act, Act::Up | Act::Down | Act::Disk | Act::Pass) {
            tell(|| format!("{} {act:?} {}", self.steps, self.actors[who].machine));
        }
        match act {
            Act::Write => self.write(who),
            Act::Up => self.up(who),
            Act::Down => self.down(who),
            Act::Disk => self.disk(),
            Act::Pass => {
                let most = *self.choose(&[2, 20, 200, 2000, 40_000]);
                self.world.pass(Duration::from_millis(self.rng.u64(..=most)));
            }
            Act::LongPass => {
                let hours = self.rng.u64(1..=60);
                self.world.pass(Duration::from_secs(hours * 3600));
            }
            Act::Connect => self.connect(who),
            Act::Cut => self.cut(who),
            Act::Stall => {
                let until = self.world.now() + Duration::from_millis(self.rng.u64(..60_000));
                if let Some(link) = &mut self.actors[who].link {
                    link.stalled = until;
                }
            }
            Act::StartClient => self.start_client(who),
            Act::StopClient => self.stop_client(who),
            Act::KillClient => {
                let fuse = self.rng.u64(..40);
                self.world.set_fuse(&self.actors[who].machine, Some(fuse));
            }
            Act::StartServer => self.start_server(),
            Act::StopServer => {
                if let Some(server) = self.server.take() {
                    if self.plan.durability == Durability::Memory && self.has_faults() {
                        self.excuse_memory();
                    }
                    self.world.run(SERVER);
                    server.stop();
                    let was_killed = self.world.is_down(SERVER);
                    if was_killed && self.plan.durability == Durability::Memory {
                        self.excuse_memory();
                    }
                    let power_fails = was_killed && self.rng.bool();
                    self.end_server(power_fails);
                }
            }
            Act::KillServer => {
                let fuse = self.rng.u64(..60);
                self.world.set_fuse(SERVER, Some(fuse));
            }
            Act::Clock => {
                let ahead =
                    *self.choose(&[-2_000, 2_000, -10_000, 3_600_000, -86_400_000, 5_184_000_000, -31_536_000_000, 0]);
                let machines = self.machines();
                let machine = &machines[self.rng.usize(..machines.len())];
                self.world.set_clock(machine, ahead);
            }
            Act::Faults => {
                let machines = self.machines();
                let which = self.rng.usize(..machines.len());
                let machine = &machines[which];
                if which < self.actors.len() {
                    let life = self.life(which);
                    self.oracle.borrow_mut().had_faults.insert(life);
                }
                let rate = *self.choose(&[0, 0, 30, 300]);
                let is_full = self.rng.u8(..6) == 0;
                self.world.set_faults(machine, Faults { writes: rate, syncs: rate, is_full });
                if machine == SERVER {
                    // What the disk refuses may have been passed on before, and comes again, or comes behind what was written later.
                    self.may_alarm.set(true);
                    self.oracle.borrow_mut().is_disordered = true;
                }
            }
            Act::Disable => self.disable(who),
            Act::Delete => self.delete(who),
            Act::Register => self.register(who),
            Act::Backup => {
                if self.server.is_none() {
                    self.backup = Some((self.world.copy(SERVER), self.world.now()));
                }
            }
            Act::Restore => self.restore(),
            Act::Rot => self.rot(),
        }
    }

    fn choose<'t, T>(&mut self, of: &'t [T]) -> &'t T {
        &of[self.rng.usize(..of.len())]
    }

    fn life(&self, who: usize) -> Life {
        Life { person: who, life: self.actors[who].life }
    }

    fn role(&self, who: usize) -> &'static Role {
        &self.people[who].roles[self.actors[who].life]
    }

    fn person_of(&self, name: &UserName) -> Option<usize> {
        self.people.iter().position(|person| person.name == *name)
    }

    // The server.

    fn start_server(&mut self) {
        if self.server.is_some() {
            return;
        }
        self.world.run(SERVER);
        let quotas = Quotas { group: self.plan.group, ..Quotas::default() };
        let opened = Server::open(Path::new("/server/data"), quotas, self.plan.durability, self.plan.segment_bytes);
        if self.world.is_down(SERVER) {
            drop(opened);
            let power_fails = self.rng.bool();
            return self.end_server(power_fails);
        }
        match opened {
            Ok(server) => {
                self.server = Some(server);
                (0..self.actors.len()).for_each(|who| self.look_whether_deleted(who));
                if std::mem::take(&mut self.was_restored) {
                    (0..self.actors.len()).for_each(|who| self.settle_account(who));
                }
            }
            Err(error) => {
                self.end_server(false);
                // A disk that refuses is its owner's to mend.
                if self.is_calm {
                    self.report(format!("the server does not start: {error}"));
                } else if !self.has_faults() {
                    self.report(format!("the server does not start, though nothing is wrong with its disk: {error}"));
                }
            }
        }
    }

    fn has_faults(&self) -> bool {
        self.world.faults(SERVER).is_full || self.world.faults(SERVER).writes > 0
    }

    /// Asks the server for something; nothing if it is not there, or died of it.
    fn with_server<T>(&mut self, ask: impl FnOnce(&mut Server) -> T) -> Option<T> {
        self.world.run(SERVER);
        let result = ask(self.server.as_mut()?);
        if self.world.is_down(SERVER) {
            let power_fails = self.rng.bool();
            self.end_server(power_fails);
            return None;
        }
        Some(result)
    }

    fn end_server(&mut self, power_fails: bool) {
        if self.plan.durability == Durability::Memory && self.server.is_some() {
            self.excuse_memory();
        }
        self.server = None;
        self.world.end_process(SERVER, power_fails);
        (0..self.actors.len()).for_each(|who| self.unlink(who));
    }

    /// Nothing was promised of what came last.
    fn excuse_memory(&mut self) {
        self.oracle.borrow_mut().excuse(Duration::ZERO, "the server keeps messages in memory");
        self.may_alarm.set(true);
    }

    fn disk(&mut self) {
        self.with_server(Server::write);
    }

    fn restore(&mut self) {
        if self.server.is_some() || self.backup.is_none() {
            return;
        }
        if let Some((disk, since)) = self.backup.take() {
            self.world.restore(SERVER, disk);
            self.was_restored = true;
            self.oracle.borrow_mut().excuse(since, "the server was set back");
            self.may_alarm.set(true);
        }
    }

    /// A bit of a file of the server flips while it is away. It must notice, or it does not matter.
    fn rot(&mut self) {
        if self.server.is_some() {
            return;
        }
        let whole = self.world.copy(SERVER);
        let files: Vec<_> = whole.files().into_iter().filter(|(_, length)| *length > 0).collect();
        if files.is_empty() {
            return;
        }
        let (path, length) = self.choose(&files).clone();
        let bit = self.rng.usize(..length * 8);
        let before = whole.clone();
        let mut rotten = whole;
        rotten.rot(&path, bit);
        self.world.restore(SERVER, rotten);
        let faults = self.world.faults(SERVER);
        self.world.set_faults(SERVER, Faults::default());
        self.world.set_fuse(SERVER, None);
        self.world.run(SERVER);
        let torn = |disk: &Disk| disk.files().iter().filter(|(path, _)| is_torn(path)).count();
        let known = torn(&before);
        let opened =
            Server::open(Path::new("/server/data"), Quotas::default(), self.plan.durability, self.plan.segment_bytes);
        let said = opened.is_err() || torn(&self.world.copy(SERVER)) > known;
        let means_nothing = !is_kept(&path);
        drop(opened);
        self.end_server(false);
        self.world.restore(SERVER, before);
        self.world.set_faults(SERVER, faults);
        if !said && !means_nothing {
            self.report(format!("the server believes {} with bit {bit} flipped", path.display()));
        }
    }

    // Accounts.

    fn register(&mut self, who: usize) {
        if self.actors[who].is_registered {
            return;
        }
        let bundle = self.bundle(who);
        let now = self.world.true_ms().unsigned_abs();
        self.actors[who].may_be_registered = true;
        if self.with_server(|server| server.register(bundle, now)) == Some(Ok(())) {
            self.actors[who].is_registered = true;
            self.actors[who].is_disabled = false;
        }
    }

    /// The owner puts right what a crash or an older copy left open: everybody has the account that they should have, and may use it.
    fn settle_account(&mut self, who: usize) {
        let name = self.people[who].name.clone();
        let own = self.bundle(who);
        let is_own = match self.look_up(who) {
            Some(ToClient::Found { bundle, .. }) => bundle == own,
            Some(_) => false,
            None => return,
        };
        self.actors[who].is_registered = is_own;
        if !is_own {
            // What waited for it, waits for nobody now.
            let life = self.life(who);
            self.oracle.borrow_mut().ended(life);
            self.with_server(|server| server.delete(&name));
            self.register(who);
        }
        let is_open = self.with_server(|server| server.set_disabled(&name, false)) == Some(Ok(()));
        self.actors[who].is_disabled = !is_open;
    }

    fn bundle(&self, who: usize) -> Vec<u8> {
        let role = self.role(who);
        if self.plan.stands_in { &role.bundle_of_stand_in } else { &role.bundle }.clone()
    }

    fn disable(&mut self, who: usize) {
        let (name, disabled) = (self.people[who].name.clone(), !self.actors[who].is_disabled);
        if self.actors[who].is_registered {
            let answer = self.with_server(|server| server.set_disabled(&name, disabled));
            // Without an answer it may be either.
            self.actors[who].is_disabled = disabled || answer != Some(Ok(()));
            let life = self.life(who);
            self.oracle.borrow_mut().was_disabled.insert(life);
        }
    }

    /// The account goes, and its owner comes anew with other keys, as somebody else would.
    fn delete(&mut self, who: usize) {
        let name = self.people[who].name.clone();
        if self.actors[who].life + 1 >= LIVES || !self.actors[who].is_registered {
            return;
        }
        let life = self.life(who);
        let answer = self.with_server(|server| server.delete(&name));
        if answer == Some(Err(Code::Storage)) {
            return;
        }
        self.oracle.borrow_mut().ended(life);
        self.may_alarm.set(true);
        self.unlink(who);
        self.actors[who].client = None;
        let machine = self.actors[who].machine.clone();
        self.world.end_process(&machine, false);
        self.actors[who].is_deleting = true;
        self.look_whether_deleted(who);
    }

    /// Without an answer nobody knows, until it is looked whether the account is there.
    fn look_whether_deleted(&mut self, who: usize) {
        let name = self.people[who].name.clone();
        let is_there = self.with_server(|server| server.names().contains(&name));
        if let (true, Some(is_there)) = (self.actors[who].is_deleting, is_there) {
            self.actors[who].is_deleting = false;
            if !is_there {
                self.stop_client(who);
                let actor = &mut self.actors[who];
                (actor.is_registered, actor.may_be_registered) = (false, false);
                actor.life += 1;
                actor.machine = format!("{name}-{}", actor.life);
            }
        }
    }

    // Clients.

    fn start_client(&mut self, who: usize) {
        if self.actors[who].client.is_some() {
            return;
        }
        let (machine, life) = (self.actors[who].machine.clone(), self.life(who));
        self.world.run(&machine);
        let folder = PathBuf::from(format!("/{machine}/state"));
        let (oracle, world, own) = (Rc::clone(&self.oracle), Rc::clone(&self.world), machine.clone());
        let may_alarm = Rc::clone(&self.may_alarm);
        let hear = move |heard: Heard| {
            // What a dead process says, nobody hears.
            if !world.is_down(&own) {
                tell(|| format!("{own} {heard:?}"));
                oracle.borrow_mut().heard(life, world.now(), &heard, !may_alarm.get());
            }
        };
        self.oracle.borrow_mut().started(life);
        let opened = Client::open(&folder, &self.role(who).account, Box::new(hear));
        let faults = self.world.faults(&machine);
        match opened {
            _ if self.world.is_down(&machine) => self.end_client(who),
            Ok(client) => self.actors[who].client = Some(client),
            Err(error) if !faults.is_full && faults.writes == 0 => {
                self.report(format!("{life:?} can't start a client: {error}"));
            }
            Err(_) => self.world.end_process(&machine, false),
        }
    }

    fn stop_client(&mut self, who: usize) {
        self.cut(who);
        self.actors[who].client = None;
        let machine = self.actors[who].machine.clone();
        self.world.end_process(&machine, false);
    }

    /// Lets a client do something; nothing if it is not there, or died of it.
    fn with_client<T>(&mut self, who: usize, ask: impl FnOnce(&mut Client) -> T) -> Option<T> {
        let machine = self.actors[who].machine.clone();
        self.world.run(&machine);
        let result = ask(self.actors[who].client.as_mut()?);
        if self.world.is_down(&machine) {
            self.end_client(who);
            return None;
        }
        Some(result)
    }

    /// The client was killed.
    fn end_client(&mut self, who: usize) {
        self.actors[who].client = None;
        self.cut(who);
        let machine = self.actors[who].machine.clone();
        let power_fails = self.rng.bool();
        self.world.end_process(&machine, power_fails);
    }

    fn write(&mut self, who: usize) {
        if self.actors[who].client.is_none() {
            return;
        }
        self.texts += 1;
        let text = format!("m{}", self.texts);
        let others: Vec<_> = (0..self.actors.len()).filter(|other| *other != who).collect();
        let to = if others.is_empty() || self.rng.u8(..10) < 4 { None } else { Some(*self.choose(&others)) };
        let recipient = match to {
            Some(to) => Recipient::User(self.people[to].name.clone()),
            None => Recipient::All,
        };
        let is_linked = self.actors[who].link.is_some();
        if to.is_some() && !is_linked {
            return;
        }
        let Some(bundle) = to.map_or(Some(ToClient::Registered), |to| self.look_up(to)) else { return };
        let found = |request, _: &UserName| answer(request, &bundle);
        let (life, for_life) = (self.life(who), to.map(|to| self.life(to)));
        match self.with_client(who, |client| client.write(&recipient, &text, &found)) {
            Some(Ok(id)) => {
                self.note(self.texts);
                tell(|| format!("{who} wrote {text} to {to:?} as {}", id.short()));
                self.oracle.borrow_mut().wrote(life, for_life, text, Some(id));
            }
            Some(Err(_)) => {
                // It may stand on a disk that failed all the same.
                self.oracle.borrow_mut().wrote(life, for_life, text, None);
                // Most times because of another key.
                if self.rng.bool() {
                    to.iter().for_each(|to| self.trust(who, *to));
                }
            }
            None => self.oracle.borrow_mut().wrote(life, for_life, text, None),
        }
    }

    fn look_up(&mut self, whom: usize) -> Option<ToClient> {
        let name = self.people[whom].name.clone();
        self.with_server(|server| server.look_up(1, &name))
    }

    /// The person chooses the key that another one has now.
    fn trust(&mut self, who: usize, whom: usize) {
        let Some(bundle) = self.look_up(whom) else { return };
        let name = self.people[whom].name.clone();
        self.with_client(who, |client| client.trust(&name, &|request, _| answer(request, &bundle)));
    }

    // Links.

    fn connect(&mut self, who: usize) {
        if self.actors[who].client.is_none() || self.actors[who].link.is_some() || !self.actors[who].is_registered {
            return;
        }
        let name = self.people[who].name.clone();
        let Some(Ok(welcome)) = self.with_server(|server| server.connect(&name)) else { return };
        let begun = self.with_client(who, |client| client.connected(welcome.acknowledged, welcome.kept));
        if !matches!(begun, Some(Ok(()))) {
            self.with_server(|server| server.leave(welcome.session));
            return self.unlink(who);
        }
        self.actors[who].link = Some(Link {
            session: welcome.session,
            up: VecDeque::new(),
            down: VecDeque::new(),
            buffer: FrameBuffer::default(),
            stalled: Duration::ZERO,
            is_closing: false,
        });
    }

    /// The connection breaks: the server notices at once or later.
    fn cut(&mut self, who: usize) {
        if let Some(link) = self.actors[who].link.take() {
            self.with_server(|server| server.leave(link.session));
        }
        self.unlink(who);
    }

    fn unlink(&mut self, who: usize) {
        self.actors[who].link = None;
        if let Some(client) = &mut self.actors[who].client {
            client.lost();
        }
    }

    /// What the client sends goes on its way, and what has come arrives at the server.
    fn up(&mut self, who: usize) {
        let now = self.world.now();
        let Some(frames) = self.with_client(who, Client::sends) else { return };
        let delay = Duration::from_millis(self.rng.u64(..=self.plan.delay_ms));
        let batch = self.rng.usize(1..=20);
        let Some(link) = &mut self.actors[who].link else { return };
        let due = link.up.back().map_or(now + delay, |(last, _)| (now + delay).max(*last));
        link.up.extend(frames.into_iter().map(|frame| (due, frame)));
        let session = link.session;
        if link.stalled > now || self.server.as_ref().is_none_or(|server| !server.may_take(session)) {
            return;
        }
        let Some(link) = &mut self.actors[who].link else { return };
        let count = link.up.iter().take(batch).take_while(|(due, _)| *due <= now).count();
        let arrived: Vec<_> = link.up.drain(..count).map(|(_, frame)| frame).collect();
        self.arrive(who, session, arrived);
    }

    fn arrive(&mut self, who: usize, session: u64, frames: Vec<ToServer>) {
        let (from, members) = (self.life(who), self.members());
        for frame in &frames {
            let ToServer::Send { envelope } = frame else { continue };
            let Ok(header) = Envelope::check(envelope) else { continue };
            let to = match &header.recipient {
                Recipient::All => None,
                Recipient::User(name) => self.person_of(name),
            };
            let is_for = |life: &Life| to.map_or(life.person != who, |to| life.person == to);
            let must = members.iter().filter(|(life, is_sure)| is_for(life) && *is_sure);
            let may = members.iter().filter(|(life, _)| is_for(life));
            let (must, may) = (must.map(|(life, _)| *life).collect(), may.map(|(life, _)| *life).collect());
            let to = to.map(|to| self.life(to));
            self.oracle.borrow_mut().taken(header.msg_id, from, to, must, may);
        }
        self.note(frames.len() as u64);
        if !frames.is_empty() {
            tell(|| format!("the server takes of {who}: {}", frames.iter().map(word).collect::<Vec<_>>().join(" ")));
        }
        self.with_server(|server| server.take(session, frames.into_iter()));
    }

    /// Who may have an account, and whether it is there and open for sure.
    fn members(&self) -> Vec<(Life, bool)> {
        let may = (0..self.actors.len()).filter(|who| self.actors[*who].may_be_registered);
        may.map(|who| (self.life(who), self.actors[who].is_registered && !self.actors[who].is_disabled)).collect()
    }

    /// What the server has for the client goes on its way, and what has come arrives.
    fn down(&mut self, who: usize) {
        let now = self.world.now();
        let Some(session) = self.actors[who].link.as_ref().map(|link| link.session) else { return };
        let delay = Duration::from_millis(self.rng.u64(..=self.plan.delay_ms));
        let given = self.with_server(|server| server.give(session));
        let Some((frames, closing)) = given else { return };
        let Some(link) = &mut self.actors[who].link else { return };
        if !frames.is_empty() {
            let due = link.down.back().map_or(now + delay, |(last, _)| (now + delay).max(*last));
            link.down.push_back((due, frames));
        }
        link.is_closing |= closing.is_some();
        if link.stalled > now {
            return;
        }
        let mut came = Vec::new();
        while let Some((_, bytes)) = link.down.pop_front_if(|(due, _)| *due <= now) {
            // Some bytes may stay behind for the next time.
            link.buffer.room(bytes.len())[..bytes.len()].copy_from_slice(&bytes);
            link.buffer.filled(bytes.len());
            while let Ok(Some((kind, body))) = link.buffer.next_frame(FRAME_MAX) {
                match ToClient::decode(kind, body) {
                    Ok(frame) => came.push(frame),
                    Err(error) => return self.report(format!("the server sent what is no frame: {error}")),
                }
            }
        }
        for frame in &came {
            if let ToClient::Deliver { delivery, envelope, .. } = frame {
                let id = Envelope::check(envelope).map(|header| header.msg_id.short()).unwrap_or_default();
                tell(|| format!("{} gets {id} as {}", who, delivery.number));
            }
        }
        let is_over = link.is_closing && link.down.is_empty();
        self.note(came.len() as u64);
        let result = self.with_client(who, |client| client.came(came.into_iter()));
        match result {
            Some(Err(error)) => {
                log::debug!("{who}: {error}");
                self.cut(who);
            }
            Some(Ok(())) if is_over => self.cut(who),
            _ => {}
        }
    }

    // The end.

    /// Nothing goes wrong any more: all that waits must come.
    fn calm_down(&mut self) {
        self.is_calm = true;
        for machine in self.machines() {
            self.world.set_faults(&machine, Faults::default());
            self.world.set_fuse(&machine, None);
        }
        self.start_server();
        for who in 0..self.actors.len() {
            self.settle_account(who);
            self.stop_client(who);
            self.start_client(who);
        }
        for who in 0..self.actors.len() {
            (0..self.actors.len()).for_each(|whom| self.trust(who, whom));
        }
        for round in 0.. {
            for who in 0..self.actors.len() {
                self.start_client(who);
                self.connect(who);
                if let Some(link) = &mut self.actors[who].link {
                    link.stalled = Duration::ZERO;
                }
                self.up(who);
                self.disk();
                self.down(who);
            }
            self.world.pass(Duration::from_millis(150));
            if self.has_finding() {
                return;
            }
            if round % 16 == 15 {
                for who in 0..self.actors.len() {
                    (0..self.actors.len()).for_each(|whom| self.trust(who, whom));
                }
            }
            if round > 20 && self.is_drained() {
                break;
            }
            if round > CALM_ROUNDS {
                return self.report(format!("something waits for ever: {}", self.what_waits()));
            }
        }
        let alive = (0..self.actors.len()).filter(|who| self.actors[*who].is_registered).map(|who| self.life(who));
        self.oracle.borrow_mut().close(&alive.collect::<BTreeSet<_>>());
    }

    fn is_drained(&mut self) -> bool {
        let names: Vec<_> = self.people.iter().map(|person| person.name.clone()).collect();
        let waiting = self.server.as_ref().map_or(0, |server| names.iter().map(|name| server.waiting_for(name)).sum());
        let of_client = |client: &Client| client.unanswered() + client.unfinished();
        waiting == 0
            && self.actors.iter().all(|actor| actor.client.as_ref().is_some_and(|client| of_client(client) == 0))
    }

    fn what_waits(&self) -> String {
        let clients = self.actors.iter().map(|actor| {
            let waits = actor.client.as_ref().map(|client| (client.unanswered(), client.unfinished()));
            format!("{} {waits:?} linked {}", actor.machine, actor.link.is_some())
        });
        let server = self.people.iter().map(|person| {
            let waits = self.server.as_ref().map(|server| server.waiting_for(&person.name));
            format!("{} {waits:?}", person.name)
        });
        clients.chain(server).collect::<Vec<_>>().join(", ")
    }
}

/// The same answer to the request with this number.
fn answer(request: u32, answer: &ToClient) -> ToClient {
    match answer.clone() {
        ToClient::Found { bundle, lineage, .. } => ToClient::Found { request, bundle, lineage },
        ToClient::Error { reason, .. } => ToClient::Error { request, reason },
        other => other,
    }
}

fn word(frame: &ToServer) -> String {
    match frame {
        ToServer::Send { envelope } => {
            Envelope::check(envelope).map(|header| header.msg_id.short()).unwrap_or_default()
        }
        ToServer::Ack(delivery) => format!("ack {}", delivery.number),
        frame => frame.field().to_owned(),
    }
}

fn is_torn(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().contains(".torn-"))
}

/// Whether what stands in a file is believed: locks, copies and unfinished files are not.
fn is_kept(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    !is_torn(path) && !name.ends_with("lock") && !name.ends_with(".tmp")
}

/// Rounds of 150 ms.
const CALM_ROUNDS: u32 = 4000;
