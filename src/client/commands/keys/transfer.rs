//! `topchat keys export` and `topchat keys import`: an account moves to another machine, or back from a backup.

use std::fs::{self, Permissions};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use data_encoding::BASE64;
use zeroize::Zeroizing;

use crate::client::config::{Config, default_group_key};
use crate::client::error::Error;
use crate::client::keys::export_file::{self, BackupError, ED25519, ENCRYPTION, IDENTITY, Payload, X25519};
use crate::client::keys::folder::{ALL, KeyFolder};
use crate::client::keys::group_file;
use crate::client::keys::own_bundle::BUNDLE;
use crate::client::keys::password::{self, Secret};
use crate::client::keys::rotation::{is_former, is_retired};
use crate::client::net::session;
use crate::client::state::history::key::Settings;
use crate::client::trust::contacts;
use crate::client::trust::pins::Pins;
use crate::client::trust::servers::{self, Seen};
use crate::client::ui::output::now_ms;
use crate::client::ui::{json, output};
use crate::crypto::curve::{OpeningKey, SigningKey};
use crate::crypto::keys::PrivateKey;
use crate::error::{Exit, Failure};
use crate::hint::Hint;
use crate::limits::BACKUP_MAX;
use crate::machine::fs::File;
use crate::names::UserName;
use crate::storage::{FileError, FileKind, private};
use crate::text::visible_path;

/// Where a document goes to, and how.
pub(crate) struct Export {
    /// `-` is stdout.
    pub to: Option<PathBuf>,
    /// With the group key file.
    pub with_group_key: bool,
    /// Replace what is there.
    pub force: bool,
}

/// Writes an account as one document.
pub(crate) fn export(config: &Config, wanted: &Export) -> Result<(), Error> {
    let name = session::choose(config)?;
    let folder = KeyFolder::new(&config.users_dir(), &name);
    session::has_keys(config, &name)?;
    let path = wanted.to.clone().unwrap_or_else(|| format!("{name}{ENDING}").into());
    let to_stdout = path == Path::new("-");
    // What can't come to anything is told before the password is asked for.
    match (to_stdout, wanted.force) {
        (true, _) => {}
        (false, true) => private::check_replaced(&path)?,
        (false, false) => private::check_new(&path)?,
    }
    if wanted.with_group_key {
        group_file::need(config)?;
    }
    let secret = password::get(config)?;
    // What is read must not change before it is written down.
    let _lock = folder.lock()?;
    let keys = folder.load(&secret)?;
    if folder.is_unsettled() {
        return Err(folder.interrupted());
    }
    let payload = payload(config, &name, &folder, &keys.identity, wanted.with_group_key)?;
    let contacts = if payload.contacts.is_some() { "your contacts with their pins" } else { "no contacts yet" };
    let group = if payload.group_key.is_some() { "the group key" } else { "no group key (--with-group-key)" };
    let signed_with = folder.file(ALL[0], "pem");
    let text = export_file::write(payload, &keys.identity).map_err(Error::key(&signed_with))?;
    let shown = match to_stdout {
        true => {
            output::write(&String::from_utf8_lossy(&text))?;
            "stdout".to_owned()
        }
        false => {
            if wanted.force {
                private::replace(&path, &text)?
            } else {
                private::create_new(&path, &text)?
            }
            visible_path(path)
        }
    };
    config.say(format!("exported {name} to {shown}: keys locked with your password, {contacts}, {group}"));
    if Settings::of(&config.account_state(&name))?.has_key()? {
        config.say("the history is not part of it: it stays on this machine");
    }
    Ok(())
}

fn payload(
    config: &Config,
    name: &UserName,
    folder: &KeyFolder,
    identity: &PrivateKey,
    with_group_key: bool,
) -> Result<Payload, Error> {
    let read = |part: &str| -> Result<(String, String), Error> {
        let pem = folder.read(&folder.file(part, "pem"))?;
        Ok((format!("{part}.pem"), String::from_utf8_lossy(&pem).into_owned()))
    };
    let parts = ALL.map(str::to_owned).into_iter().chain(folder.retired());
    let address = config.server.to_string();
    let group_key = match with_group_key {
        true => Some(group_file::need(config)?.to_text().to_string()),
        false => None,
    };
    Ok(Payload {
        name: name.to_string(),
        server_identity: servers::known(&config.state_dir, &address)?.map(|identity| identity.to_hex()),
        server: address,
        identity: BASE64.encode(identity.public().to_der()),
        created: json::time(now_ms()),
        bundle: folder.own_bundle_file(identity.public()).map(|bytes| BASE64.encode(&bytes)),
        keys: parts.map(|part| read(&part)).collect::<Result<_, _>>()?,
        former: folder.former_files(),
        contacts: contacts::exported(&config.account_state(name))?,
        group_key,
    })
}

/// Takes an account over from a document. The keys come last: what was interrupted before is done again from the
/// beginning, and what is there already is never replaced.
pub(crate) fn import(config: &Config, from: &Path) -> Result<(), Error> {
    let bytes = read_document(from)?;
    let wrong = BackupError::of(from);
    let secret = password::get(config)?;
    let (payload, identity) = export_file::read(&bytes, &secret).map_err(wrong)?;
    let name = payload.name().map_err(wrong)?;
    check_keys(&payload, &identity, &secret).map_err(wrong)?;
    let folder = KeyFolder::new(&config.users_dir(), &name);
    if folder.exists() {
        return import_again(config, &folder, &payload, &identity, &secret, from);
    }
    folder.make_way()?;
    let contacts = contacts_in(&payload).map_err(wrong)?;
    let server = payload.server.parse().map_err(|_| wrong(BackupError::Layout))?;
    let there = Config { server, ..config.clone() };
    pin_server(&there, &name, &payload, payload.server_identity().map_err(wrong)?)?;
    let contacts = put_contacts(&there, &name, contacts)?;
    let group = put_group_key(config, &payload)?;
    let public = public_halves(&payload, &identity, &secret).map_err(wrong)?;
    let bundle = payload.own_bundle(identity.public()).map_err(wrong)?;
    put_keys(config, &name, &payload, public, bundle.as_deref())?;
    let shown = visible_path(folder.path());
    config.say(format!("imported {name} of {}: keys in {shown}, {contacts}{group}", payload.server));
    config.say(session::own_fingerprint(identity.public().fingerprint()));
    config.say(Hint::from("next: ").topchat(&["--server", &payload.server.to_string(), "login", name.as_str()]));
    Ok(())
}

fn read_document(from: &Path) -> Result<Zeroizing<Vec<u8>>, Error> {
    let mut bytes = Zeroizing::new(Vec::new());
    let input = |source| Error::Input { what: "the exported account", source };
    if from == Path::new("-") {
        std::io::stdin().lock().take(BACKUP_MAX + 1).read_to_end(&mut bytes).map_err(input)?;
    } else {
        let file = open_document(from)?;
        file.take(BACKUP_MAX + 1).read_to_end(&mut bytes).map_err(input)?;
    }
    if bytes.len() as u64 > BACKUP_MAX {
        let path = if from == Path::new("-") { "stdin".into() } else { from.to_owned() };
        return Err(FileError::TooLarge { path, limit: BACKUP_MAX }.into());
    }
    Ok(bytes)
}

/// A regular file. A named pipe is not waited for.
fn open_document(from: &Path) -> Result<File, Error> {
    match private::open_given(from) {
        Ok((file, _)) => Ok(file),
        Err(FileError::NotRegular { path, found }) if found != FileKind::Symlink => {
            let words = format!("{} is {found}, not a file that topchat keys export wrote", visible_path(&path));
            let failure = Failure::new(Exit::Usage, words);
            Err(match found {
                FileKind::Folder => failure.hint("name a file in it"),
                FileKind::Fifo => {
                    failure.hint(Hint::from("give it as input: ").topchat(&["keys", "import", "-"]).typed(" < PIPE"))
                }
                _ => failure.hint("name the file, or - for stdin"),
            }
            .into())
        }
        Err(error) => Err(error.into()),
    }
}

/// Exactly the files of an account, all of which the password opens.
fn check_keys(payload: &Payload, identity: &PrivateKey, secret: &Secret) -> Result<(), BackupError> {
    let is_ours = |name: &String| [IDENTITY, ENCRYPTION, ED25519, X25519].contains(&name.as_str()) || is_retired(name);
    if let Some(name) = payload.keys.keys().find(|name| !is_ours(name)) {
        return Err(BackupError::Files { name: name.clone() });
    }
    if let Some((name, _)) = payload.former.iter().find(|(name, pem)| !is_former(name, pem)) {
        return Err(BackupError::Files { name: name.clone() });
    }
    public_halves(payload, identity, secret)?;
    let open = |name: &String| payload.open::<PrivateKey>(name, secret).map(drop);
    payload.keys.keys().filter(|name| is_retired(name)).try_for_each(open)
}

/// The public halves of all four keys as PEM, in the order of [`ALL`].
fn public_halves(payload: &Payload, identity: &PrivateKey, secret: &Secret) -> Result<[String; 4], BackupError> {
    let encryption = payload.encryption(identity, secret)?;
    let ed25519: SigningKey = payload.open(ED25519, secret)?;
    let x25519: OpeningKey = payload.open(X25519, secret)?;
    Ok([identity.public().to_pem(), encryption.public().to_pem(), ed25519.public().to_pem(), x25519.public().to_pem()])
}

/// The account is here already. With the same identity, an encryption key that is newer waits for the server's word, as after a
/// renewal; everything else stays as it is.
fn import_again(
    config: &Config,
    folder: &KeyFolder,
    payload: &Payload,
    identity: &PrivateKey,
    secret: &Secret,
    from: &Path,
) -> Result<(), Error> {
    let name = &payload.name;
    if folder.public_identity()? != *identity.public() {
        return Err(folder.of_others());
    }
    let _lock = folder.lock()?;
    if folder.is_unsettled() {
        return Err(folder.interrupted());
    }
    let keys = folder.load(secret)?;
    let theirs: PrivateKey = payload.open(ENCRYPTION, secret).map_err(BackupError::of(from))?;
    let is_known = |key: &PrivateKey| key.public() == theirs.public();
    if is_known(&keys.encryption) || folder.load_retired(secret).iter().any(is_known) {
        config.say(format!("{name} is on this machine already, with the same keys: nothing was changed"));
        return Ok(());
    }
    for (file, pem) in payload.keys.iter().filter(|(file, _)| is_retired(file)).chain(&payload.former) {
        folder.add_kept(file, pem.as_bytes())?;
    }
    folder.add_next_encryption(payload.keys.get(ENCRYPTION).map_or("", String::as_str).as_bytes())?;
    config.say(format!(
        "{name} is on this machine already; the other encryption key is taken over if the server knows it, at the next login"
    ));
    Ok(())
}

fn pin_server(
    config: &Config,
    name: &UserName,
    payload: &Payload,
    identity: Option<crate::wire::Fingerprint>,
) -> Result<(), Error> {
    let Some(identity) = identity else { return Ok(()) };
    let seen = servers::check(&config.state_dir, &payload.server, identity, None, now_ms())?;
    servers::belongs(config, name, identity)?;
    if seen == Seen::First {
        config.say(format!("{}   identity {identity} pinned as it was there", payload.server));
    }
    Ok(())
}

/// The contacts in the document. What can't be read would be found at the first login only.
fn contacts_in(payload: &Payload) -> Result<Option<Pins>, BackupError> {
    let pins = payload.contacts.as_ref().map(|value| contacts::imported(value).ok_or(BackupError::Layout));
    pins.transpose()
}

fn put_contacts(config: &Config, name: &UserName, pins: Option<Pins>) -> Result<&'static str, Error> {
    let Some(pins) = pins else { return Ok("no contacts") };
    Ok(match contacts::put(&config.account_state(name), pins)? {
        true => "your contacts with their pins",
        false => "the contacts that were here already",
    })
}

fn put_group_key(config: &Config, payload: &Payload) -> Result<&'static str, Error> {
    let Some(text) = &payload.group_key else { return Ok("") };
    let path = config.group_key.clone().unwrap_or_else(|| default_group_key(&config.keys_dir));
    private::ensure_folder(&config.keys_dir)?;
    match private::create_new(&path, text.as_bytes()) {
        Ok(()) => Ok(", the group key"),
        Err(FileError::Exists { .. }) => Ok(", the group key file that was here already"),
        Err(error) => Err(error.into()),
    }
}

/// All files at once: the folder gets its name when they are on disk.
fn put_keys(
    config: &Config,
    name: &UserName,
    payload: &Payload,
    public: [String; 4],
    bundle: Option<&[u8]>,
) -> Result<(), Error> {
    let users = config.users_dir();
    private::ensure_folder(&users)?;
    let unfinished = tempfile::Builder::new()
        .prefix(".import-")
        // Whatever the umask.
        .permissions(Permissions::from_mode(0o700))
        .tempdir_in(&users)
        .map_err(FileError::io("making a folder in", &users))?;
    for (file, pem) in payload.keys.iter().chain(&payload.former) {
        let path = unfinished.path().join(file);
        if let Some(folder) = path.parent() {
            private::ensure_folder(folder)?;
        }
        private::create_new(&path, pem.as_bytes())?;
    }
    if let Some(bundle) = bundle {
        private::create_new(&unfinished.path().join(BUNDLE), bundle)?;
    }
    for (part, pem) in ALL.iter().zip(public) {
        private::create_new(&unfinished.path().join(format!("{part}.pub.pem")), pem.as_bytes())?;
    }
    let folder = users.join(name.as_str());
    fs::rename(unfinished.path(), &folder).map_err(FileError::io("making", &folder))?;
    // It has another name now: nothing is left to be removed.
    let _ = unfinished.keep();
    Ok(private::sync_folder(&users)?)
}

/// Behind the account's name, if no file is named.
const ENDING: &str = ".topchat-keys";
