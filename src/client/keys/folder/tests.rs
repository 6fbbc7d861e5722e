use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::error::{Exit, Explain};

const BITS: u32 = 2048;

fn secret(text: &str) -> Secret {
    Secret::new(text).unwrap()
}

fn salted() -> Salted {
    Salted::derive(b"password1", [7; 16], 4096).unwrap()
}

fn folder(place: &tempfile::TempDir) -> KeyFolder {
    KeyFolder::new(place.path(), &"alice".parse().unwrap())
}

#[test]
fn keys_are_made_once_private_and_opened_again() {
    let place = tempfile::tempdir().unwrap();
    let folder = folder(&place);
    assert!(matches!(folder.load(&secret("password1")), Err(Error::KeysMissing { .. })));
    let made = folder.load_or_make(&secret("password1"), BITS).unwrap();
    let again = folder.load_or_make(&secret("password1"), BITS).unwrap();
    assert_eq!(made.identity.public().fingerprint(), again.identity.public().fingerprint());
    assert_ne!(made.identity.public().fingerprint(), made.encryption.public().fingerprint());
    assert_eq!(folder.public_identity().unwrap().fingerprint(), made.identity.public().fingerprint());
    for entry in fs::read_dir(folder.path()).unwrap() {
        assert_eq!(entry.unwrap().metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
    assert_eq!(accounts(place.path()), ["alice".parse().unwrap()]);
}

#[test]
fn a_wrong_password_a_loose_mode_and_junk_are_told_apart() {
    let place = tempfile::tempdir().unwrap();
    let folder = folder(&place);
    folder.load_or_make(&secret("password1"), BITS).unwrap();
    let error = folder.load(&secret("password2")).err().unwrap();
    assert!(matches!(error, Error::WrongPassphrase { .. }), "{error}");
    assert_eq!(error.exit(), Exit::Refused);

    let path = folder.file("identity", "pem");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let error = folder.load(&secret("password1")).err().unwrap();
    assert!(error.hint().unwrap().to_string().starts_with("chmod 600 "), "{error}");

    fs::remove_file(&path).unwrap();
    private::create_new(&path, b"junk").unwrap();
    let error = folder.load(&secret("password1")).err().unwrap();
    assert!(error.to_string().starts_with("the key file "), "{error}");
    assert_eq!(error.exit(), Exit::Local);
}

/// A new password whose change was interrupted at any moment: the password that the server knows opens both keys.
#[test]
fn an_interrupted_change_of_the_password_locks_nobody_out() {
    let place = tempfile::tempdir().unwrap();
    let folder = folder(&place);
    let keys = folder.load_or_make(&secret("password1"), BITS).unwrap();
    let fingerprint = keys.encryption.public().fingerprint();

    // Before the server answered, either password may be the one that counts.
    folder.write_new(&keys, &secret("password1"), &secret("password2"), &salted()).unwrap();
    for password in ["password1", "password2"] {
        let opened = folder.load(&secret(password)).unwrap();
        assert_eq!(opened.encryption.public().fingerprint(), fingerprint, "{password}");
    }
    // Between the two renames.
    folder.rename("identity", NEW).unwrap();
    let opened = folder.load(&secret("password2")).unwrap();
    folder.settle(&opened, &folder.lock().unwrap()).unwrap();
    folder.load(&secret("password2")).unwrap();
    assert!(matches!(folder.load(&secret("password1")), Err(Error::WrongPassphrase { .. })));
    assert!(!folder.file("encryption", NEW).exists());
}

#[test]
fn after_a_login_with_the_old_password_the_new_files_are_gone() {
    let place = tempfile::tempdir().unwrap();
    let folder = folder(&place);
    let keys = folder.load_or_make(&secret("password1"), BITS).unwrap();
    folder.write_new(&keys, &secret("password1"), &secret("password2"), &salted()).unwrap();
    folder.settle(&folder.load(&secret("password1")).unwrap(), &folder.lock().unwrap()).unwrap();
    assert!(matches!(folder.load(&secret("password2")), Err(Error::WrongPassphrase { .. })));
}

#[test]
fn a_password_typed_in_another_unicode_form_opens_files_that_were_locked_without_normalising() {
    let place = tempfile::tempdir().unwrap();
    let folder = folder(&place);
    private::ensure_folder(folder.path()).unwrap();
    let decomposed = "zo\u{308}lf-Zeichen";
    for part in PARTS {
        let key = PrivateKey::generate(BITS).unwrap();
        private::create_new(&folder.file(part, "pem"), key.to_pem(decomposed.as_bytes()).unwrap().as_bytes()).unwrap();
    }
    let (ed25519, x25519) = (SigningKey::generate().unwrap(), OpeningKey::generate().unwrap());
    let modern = [ed25519.to_pem(decomposed.as_bytes()).unwrap(), x25519.to_pem(decomposed.as_bytes()).unwrap()];
    for (part, pem) in MODERN.iter().zip(modern) {
        private::create_new(&folder.file(part, "pem"), pem.as_bytes()).unwrap();
    }
    folder.load(&secret(decomposed)).unwrap();
}

#[test]
fn keys_of_impossible_sizes_are_refused() {
    let place = tempfile::tempdir().unwrap();
    for bits in [0, 1024, 8192] {
        let error = folder(&place).load_or_make(&secret("password1"), bits).err().unwrap();
        assert_eq!(error.exit(), Exit::Usage);
    }
}

#[test]
fn a_login_leaves_alone_what_a_change_of_the_password_is_doing() {
    let place = tempfile::tempdir().unwrap();
    let folder = folder(&place);
    let keys = folder.load_or_make(&secret("password1"), BITS).unwrap();
    let lock = folder.lock().unwrap();
    folder.write_new(&keys, &secret("password1"), &secret("password2"), &salted()).unwrap();
    for password in ["password1", "password2"] {
        folder.load(&secret(password)).unwrap();
        assert!(folder.try_lock().unwrap().is_none(), "nothing is put in order without the lock");
    }
    folder.promote_new().unwrap();
    folder.promote_new().unwrap();
    drop(lock);
    folder.load(&secret("password2")).unwrap();
    assert!(matches!(folder.load(&secret("password1")), Err(Error::WrongPassphrase { .. })));
}

#[test]
fn only_keys_made_in_this_run_are_taken_away_again() {
    let place = tempfile::tempdir().unwrap();
    let folder = folder(&place);
    let keys = folder.load_or_make(&secret("password1"), BITS).unwrap();
    // So it is when the first start was interrupted.
    for part in ["x25519", "ed25519", "encryption"] {
        fs::remove_file(folder.file(part, "pem")).unwrap();
        fs::remove_file(folder.file(part, PUBLIC)).unwrap();
    }
    assert!(folder.has_any() && !folder.has_all());
    let again = folder.load_or_make(&secret("password1"), BITS).unwrap();
    folder.remove_made(&again).unwrap();
    assert!(!folder.has("encryption", "pem"));
    assert_eq!(folder.public_identity().unwrap().fingerprint(), keys.identity.public().fingerprint());

    let all = folder.load_or_make(&secret("password1"), BITS).unwrap();
    folder.remove_made(&folder.load(&secret("password1")).unwrap()).unwrap();
    assert!(folder.has_all());
    folder.remove_made(&AccountKeys { made: [true; 4], ..all }).unwrap();
    assert!(!folder.path().exists());
}

#[test]
fn a_key_that_is_gone_is_told_and_never_made_anew() {
    let place = tempfile::tempdir().unwrap();
    let folder = folder(&place);
    let secret = secret("password1");
    let keys = folder.load_or_make(&secret, BITS).unwrap();
    let is_told = |part: &str| {
        let is_gone = |error: Option<Error>| error.unwrap().to_string().ends_with(" is gone, of the keys of alice");
        assert!(is_gone(folder.load(&secret).err()) && is_gone(folder.load_or_make(&secret, BITS).err()), "{part}");
        assert_eq!(accounts(place.path()).len(), 1);
        assert!(!folder.has(part, "pem"));
    };
    for part in ALL {
        let (path, aside) = (folder.file(part, "pem"), place.path().join("aside"));
        fs::rename(&path, &aside).unwrap();
        is_told(part);
        // Without its public half there is still what only an account has that was used.
        let public = folder.file(part, PUBLIC);
        fs::remove_file(&public).unwrap();
        folder.keep_before(&folder.before().unwrap()).unwrap();
        is_told(part);
        fs::remove_file(folder.before_file()).unwrap();
        fs::rename(&aside, &path).unwrap();
        folder.load(&secret).unwrap();
        assert!(folder.has(part, PUBLIC));
    }
    assert_eq!(folder.load(&secret).unwrap().identity.public().to_pem(), keys.identity.public().to_pem());
}

#[test]
fn a_public_half_is_readable_by_anybody_written_where_it_is_missing_and_compared() {
    let place = tempfile::tempdir().unwrap();
    let folder = folder(&place);
    folder.load_or_make(&secret("password1"), BITS).unwrap();
    let path = folder.file("identity", "pub.pem");
    let mode = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    mode(0o644);
    folder.public_identity().unwrap();
    mode(0o622);
    assert!(matches!(folder.public_identity(), Err(Error::File(FileError::LooseMode { .. }))));

    fs::remove_file(&path).unwrap();
    folder.load(&secret("password1")).unwrap();
    folder.public_identity().unwrap();

    fs::copy(folder.file("encryption", "pub.pem"), &path).unwrap();
    let error = folder.load(&secret("password1")).err().unwrap();
    assert!(error.to_string().ends_with("identity.pub.pem: not the public half of identity.pem"), "{error}");
}

/// The files of both keys are read as they are at one moment, however many steps a change of them has.
#[test]
fn whoever_reads_sees_all_of_a_change_or_nothing() {
    let place = tempfile::tempdir().unwrap();
    let folder = folder(&place);
    let keys = folder.load_or_make(&secret("password1"), BITS).unwrap();
    let path = folder.file("identity", "pub.pem");
    let (own, other) = (keys.identity.public().to_pem(), keys.encryption.public().to_pem());
    let alone = FolderLock::alone(folder.path()).unwrap();
    private::replace(&path, other.as_bytes()).unwrap();
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| folder.load(&secret("password1")).map(|keys| keys.identity.public().to_pem()));
        private::replace(&path, own.as_bytes()).unwrap();
        drop(alone);
        assert_eq!(reader.join().unwrap().unwrap(), own);
    });
}
