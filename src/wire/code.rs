//! The closed list of reasons that a server gives.

/// Declares the codes once: number, name, and the words a server puts beside it.
macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $words:literal;)+) => {
        /// Why a server refuses, fails or closes. The numbers never change their meaning.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u16)]
        pub enum Code {
            $($(#[$doc])* $name = $number,)+
        }

        impl Code {
            /// All codes, in the order of their numbers.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// The code with this number.
            pub fn from_number(number: u16) -> Option<Self> {
                match number {
                    $($number => Some(Self::$name),)+
                    _ => None,
                }
            }

            /// The words that a server sends with it.
            pub fn words(self) -> &'static str {
                match self {
                    $(Self::$name => $words,)+
                }
            }
        }
    };
}

codes! {
    /// A frame that is not what the protocol says. The server closes.
    Malformed = 1, "that frame is malformed";
    /// A frame that has no place in this state. Nothing changed.
    NotNow = 2, "that is not possible now";
    /// Unknown name, wrong password or wrong key: one answer for all.
    LoginRefused = 3, "wrong name or password";
    /// Too many registrations: try again after the time given.
    Throttled = 4, "too many attempts";
    /// All seats are taken: try again after the time given.
    Full = 5, "the server is full";
    /// Another identity holds that name.
    NameTaken = 6, "that name is taken";
    /// No account can have that name.
    BadName = 7, "that can't be a name";
    /// A public key that is not RSA, of a size or exponent out of bounds, or twice the same.
    BadKey = 8, "that public key is not acceptable";
    /// A bundle's signature, or the proof that its maker is here, does not hold.
    BadSignature = 9, "that signature does not hold";
    /// This server takes no registrations.
    RegistrationClosed = 10, "registration is closed";
    /// Nobody has that name here.
    NoSuchUser = 11, "no such user";
    /// That user has no key with that fingerprint.
    NoSuchKey = 12, "no such key";
    /// The recipient is not connected and nothing is stored.
    Away = 13, "that user is away";
    /// The recipient's mailbox is full; nothing was stored.
    MailboxFull = 14, "that mailbox is full";
    /// Sender name or fingerprint of an envelope are not the session's own.
    NotYours = 15, "that envelope is not yours to send";
    /// The same message id came before with other bytes.
    IdReused = 16, "that message id was used for other bytes";
    /// The server's disk failed; nothing changed.
    Storage = 17, "the server can't store that now";
    /// An acknowledgement of something that was not delivered to this session.
    BadAck = 18, "nothing with that number was delivered";
    /// A password verifier whose iterations are out of bounds.
    BadVerifier = 19, "that password verifier is not acceptable";
    /// The account was disabled by the server's owner.
    Disabled = 20, "this account is disabled";
    /// A newer session of this account took this one's place.
    Replaced = 21, "a newer session took over";
    /// The server stops.
    ShuttingDown = 22, "the server is stopping";
    /// The login took too long, or a ping was not answered.
    TimedOut = 23, "timed out";
    /// Too much waits for this client.
    TooSlow = 24, "this client reads too slowly";
    /// The account of this session was deleted.
    Deleted = 25, "this account was deleted";
    /// No more accounts fit.
    AccountsFull = 26, "this server takes no more accounts";
    /// New keys whose bundle is not newer than the one that the server has.
    StaleBundle = 27, "newer keys are known already";
    /// Another session of this account replaced its keys.
    KeysReplaced = 28, "the keys of this account were replaced";
    /// Registration needs an invite code here, and this one is missing, unknown, used or too old.
    InviteRefused = 29, "registration needs an invite code that is good";
    /// The server's owner ended this session.
    Kicked = 30, "the server's owner ended this session";
    /// The client speaks an older version of the protocol. The server closes.
    Outdated = 31, "this server speaks a newer version of the protocol: update this program";
    /// This account has as many sessions as it may have: try again after the time given.
    TooManySessions = 32, "this account has too many sessions";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_dense_and_read_back() {
        for (code, number) in Code::ALL.iter().zip(1..) {
            assert_eq!(*code as u16, number);
            assert_eq!(Code::from_number(number), Some(*code));
        }
        assert_eq!(Code::from_number(0), None);
        assert_eq!(Code::from_number(Code::ALL.len() as u16 + 1), None);
    }
}
