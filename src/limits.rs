//! Every limit and time-out, each with the reason for its value.

use std::time::Duration;

// Names and texts.

/// Longest account name, in bytes: fits every terminal's prompt and one length byte.
pub const NAME_MAX: usize = 32;
/// Longest message text, in bytes of UTF-8: a page of prose, and small enough for 17 RSA-2048 blocks.
pub const TEXT_MAX: usize = 4096;
/// Shortest password, in bytes (NIST SP 800-63B, section 3.1.1.2, asks for at least 8 characters).
pub const PASSWORD_MIN: usize = 8;
/// Longest password, in bytes: bounds what key derivation hashes.
pub const PASSWORD_MAX: usize = 128;
/// Longest text for people in an error frame, in bytes.
pub const REASON_MAX: usize = 512;

// Frames.

/// Longest frame before login, in bytes, type byte included: a registration with two RSA-4096 keys takes 2.9 KiB.
pub const FRAME_MAX_BEFORE_LOGIN: usize = 4 * 1024;
/// Longest frame after login, in bytes: the largest envelope takes under 6 KiB, a page of names under 9 KiB.
pub const FRAME_MAX: usize = 16 * 1024;
/// Longest SCRAM message, in bytes: a name, two nonces, a salt and a proof stay under 400.
pub const SCRAM_MESSAGE_MAX: usize = 1024;
/// Most names in one page of the directory: 256 of the longest take 8.5 KiB, well within a frame.
pub const PAGE_NAMES: usize = 256;

// Keys and passwords.

/// Smallest RSA modulus, in bits (NIST SP 800-131A: less than 2048 is disallowed).
pub const RSA_BITS_MIN: u32 = 2048;
/// Largest RSA modulus, in bits: bounds the work that a stranger's key can cause.
pub const RSA_BITS_MAX: u32 = 4096;
/// RSA modulus of new keys, in bits: 128 bits of strength (NIST SP 800-57 part 1, table 2).
pub const RSA_BITS_DEFAULT: u32 = 3072;
/// Longest DER SubjectPublicKeyInfo, in bytes: RSA-4096 takes 550.
pub const SPKI_MAX: usize = 600;
/// Longest signature, in bytes: one RSA-4096 block.
pub const SIGNATURE_MAX: usize = 512;
/// Former Ed25519 keys in a bundle: who makes new ones every ten days still has all that count.
pub const FORMER_SIGNERS_MAX: usize = 3;
/// Two signatures: a handover is signed by the identity key before it and by the one after it.
pub const HANDOVER_MAX: usize = 2 * SIGNATURE_MAX;
/// Former identity keys of an account that the server keeps: with the longest keys they take 8.7 KiB of a frame.
pub const LINEAGE_MAX: usize = 8;
/// Encryption keys that were replaced and still open messages: a year and more of changes every month or two, and opening
/// them takes a fraction of a second at each start.
pub const RETIRED_KEYS_MAX: usize = 8;
/// PBKDF2 rounds of a new password (OWASP's figure for PBKDF2-HMAC-SHA256 since 2023).
pub const SCRAM_ITERATIONS: u32 = 600_000;
/// Fewest PBKDF2 rounds that a client accepts: a server must not be able to weaken the verifier.
pub const SCRAM_ITERATIONS_MIN: u32 = 600_000;
/// Most PBKDF2 rounds that a client accepts: a server must not be able to keep it busy for minutes.
pub const SCRAM_ITERATIONS_MAX: u32 = 10_000_000;
/// Longest SCRAM nonce, in bytes: both sides' 24 random bytes take 64 in base64.
pub const SCRAM_NONCE_MAX: usize = 256;
/// Most entries in a group key file: a year and more of monthly changes.
pub const GROUP_KEYS_MAX: usize = 16;
/// Longest invite code in a registration, in bytes.
pub const INVITE_MAX: usize = 64;
/// Random bytes of an invite code: 120 bits, which nobody guesses at 20 tries an hour, nor from its hash.
pub const INVITE_BYTES: usize = 15;
/// Signs of an invite code between two hyphens: as many as people keep in mind while they type.
pub const INVITE_GROUP: usize = 4;
/// Days that an invite code is good for: time enough to meet, and a lost slip of paper soon opens nothing.
pub const INVITE_DAYS: u32 = 7;
/// Most days that an invite code can be good for.
pub const INVITE_DAYS_MAX: u32 = 365;
/// Wrong invite codes that a person may type before the command ends.
pub const INVITE_TRIES: u32 = 3;
/// Most accounts that one invite code can be for: a class, a club.
pub const INVITE_USES_MAX: u32 = 1000;

// Envelopes.

/// Longest `P`: salt, type byte, text (`docs/PROTOCOL.md`, "The envelope").
pub const PLAINTEXT_MAX: usize = 16 + 1 + TEXT_MAX;
/// What the length of a modern plaintext is a multiple of: most texts look alike, and none takes many bytes more than it needs.
pub const PADDING_STEP: usize = 64;
/// Longest padded plaintext of the modern suites: salt, type byte, length, text, zeros.
pub const PADDED_MAX: usize = (16 + 1 + 2 + TEXT_MAX).next_multiple_of(PADDING_STEP);
/// Longest ciphertext, in bytes: `PLAINTEXT_MAX` takes 4352 with RSA-2048, 4224 with RSA-3072, 4608 with RSA-4096,
/// and most, ten blocks of 467, with a modulus of 3736 bits; all other suites stay below.
pub const CIPHERTEXT_MAX: usize = 4670;

// Sessions of the server.

/// Seats for logged-in sessions (the original's ten).
pub const CLIENTS_DEFAULT: usize = 10;
/// Least room for connections that have not logged in, so that strangers can't take the seats.
pub const GUESTS_MIN: usize = 16;
/// Connections not logged in per source address; 127.0.0.1 and ::1 are exempt, unless a proxy is trusted.
pub const GUESTS_PER_SOURCE: usize = 8;
/// How long a connection may show nothing before it gives way to others of its address, if there is no room: TLS and the first frame of a
/// login are three round trips, on the slowest line a second or two.
pub const GUEST_SILENT: Duration = Duration::from_secs(4);
/// Sessions of one account at once beyond which an errand must wait: a chat and a few scripts, and not all the seats.
pub const SESSIONS_PER_ACCOUNT: usize = 4;
/// From TCP accept to login, in total: a person who types holds no connection open, so this is a machine's deadline.
pub const LOGIN_DEADLINE: Duration = Duration::from_secs(15);
/// From TCP accept to the end of a trusted proxy's header: it stands in the proxy's first packet.
pub const PROXY_HEADER_WITHIN: Duration = Duration::from_secs(5);
/// Longest header of a proxy behind its fixed part, in bytes: addresses take 36, and what else proxies tell of TLS some hundred.
pub const PROXY_HEADER_MAX: usize = 4096;
/// Wrong passwords or keys per connection (OpenSSH allows six).
pub const LOGIN_TRIES: u32 = 3;
/// Registrations per connection: one person, one account.
pub const REGISTRATIONS_PER_CONNECTION: u32 = 1;
/// Silence after which the other side is pinged: half of the minute after which proxies cut a silent connection (nginx 60 s, HAProxy 50 s).
pub const PING_AFTER: Duration = Duration::from_secs(30);
/// Longest such silence that can be set, in seconds: beyond an hour no connection through a NAT is left.
pub const PING_SECS_MAX: u64 = 3600;
/// Silence after a ping that counts as a dead peer.
pub const PONG_WITHIN: Duration = Duration::from_secs(20);
/// Time over which comings and goings are gathered before those who watch are told: a connection that is lost and comes back at once
/// is not worth a line.
pub const PRESENCE_EVERY: Duration = Duration::from_secs(1);
/// Most names in one such frame; of the others only the number is told. More than a person reads.
pub const PRESENCE_NAMES: usize = 32;
/// Answers and news that wait for one client (about 30 bytes each) before further news are left out.
pub const OUTBOX_FRAMES: usize = 4096;
/// How often a thread that has something for a sleeping client sends for it what came meanwhile, before it wakes its thread.
pub const SENDS_FOR_OWNER: usize = 4;
/// Most sleeping clients that the thread which has something for them serves itself: one after the other takes longer than
/// several threads at once.
pub const SERVED_BY_SENDER: usize = 2;
/// Bytes of memory that an outbox keeps when it is empty: the answers to a burst.
pub const OUTBOX_KEPT: usize = 16 * 1024;
/// Messages of one client whose answer waits for the disk before its next frames are left unread: bounds memory, and
/// is more than one fsync takes at once from a client that waits for none.
pub const SENDS_UNANSWERED: usize = 1024;
/// Deliveries that one client may leave unacknowledged before further ones wait in the log.
pub const UNACKNOWLEDGED: usize = 1024;
/// How long a client with that many may acknowledge none before it is cut: as long as one that answers no ping.
pub const ACKNOWLEDGE_WITHIN: Duration = Duration::from_secs(80);
/// Bytes of TLS records gathered for one write to a socket: the call costs much, a byte more in it hardly anything.
pub const GATHER: usize = 128 * 1024;
/// Bytes of frames that go into TLS at once: less than [`GATHER`], so that with the last frame and with what TLS adds they are still
/// one write.
pub const WRITE_BATCH: usize = 120 * 1024;
/// How long an idle session keeps the buffers of a flood: longer than the pauses within one.
pub const REST_AFTER: Duration = Duration::from_secs(1);
/// How long "accepted" waits for the news that the message was delivered, so that both go in one write, if nothing else is to be done. A
/// whole 10 ms: with one, nothing was gained (docs/BENCHMARKS.md).
pub const ANSWER_LINGERS: Duration = Duration::from_millis(10);
/// How long answers go out at once after one waited in vain for its news: whoever has to acknowledge is slow, and will be for a while.
pub const HURRIES_FOR: Duration = Duration::from_secs(1);
/// TLS writes before a session looks at what its client sent: keeps acknowledgements flowing in a flood.
pub const RECORDS_AT_ONCE: usize = 8;
/// Connections accepted before the acceptor looks at anything else.
pub const ACCEPTS_AT_ONCE: usize = 64;
/// Frames a second that are read of one session when more come: nobody types so fast, and ten sessions that all send so
/// much leave a small machine the most of its time.
pub const RATE_DEFAULT: u32 = 100;
/// Highest rate that can be set: beyond it no limit (0) is meant.
pub const RATE_MAX: u32 = 1_000_000;
/// A session may send this many seconds' worth at once before the rate holds: a pasted page goes through as it comes.
pub const BURST_SECS: u32 = 2;
/// Unsent reply bytes above which a client that does not read is no longer read from.
pub const REPLY_BACKLOG: usize = 64 * 1024;
/// How long sessions get to say goodbye at an orderly stop.
pub const STOP_WITHIN: Duration = Duration::from_secs(3);
/// How long an ending connection may take to read its last frame: a round trip around the world, and a bit.
pub const LINGER: Duration = Duration::from_millis(500);
/// How long connections wait to be taken when the machine has no descriptor or thread left: keeps the CPU free.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Descriptors that connections leave free, so that the log and the accounts can open their files.
pub const DESCRIPTORS_RESERVED: u64 = 8;
/// Mappings of memory that one client can take: its thread's stack and the guard below it, the memory that its thread
/// allocates from, and the like while it is a guest. Beyond `vm.max_map_count` of them the process is ended.
pub const MAPPINGS_PER_CLIENT: u64 = 4;
/// Mappings that the program takes without any client, and some more.
pub const MAPPINGS_BESIDE: u64 = 1024;
/// Descriptors that one client takes: its socket and what wakes its thread.
pub const DESCRIPTORS_PER_CLIENT: u64 = 2;
/// Descriptors of the rest: files, the owner's socket, and guests who are about to log in.
pub const DESCRIPTORS_BESIDE: u64 = 64;
/// How often a shortage of descriptors or threads is logged: once is enough for a person.
pub const SHORTAGE_TOLD_EVERY: Duration = Duration::from_secs(60);
/// Stack of a client's thread, in bytes: its deepest calls are OpenSSL's and take a fraction of this.
pub const CLIENT_STACK: usize = 512 * 1024;
/// When to try again after "full", in seconds.
pub const FULL_RETRY_SECS: u32 = 30;
/// When to try an errand again whose account has too many sessions, in seconds: errands are short.
pub const SESSIONS_RETRY_SECS: u32 = 2;
/// Most accounts in one database: bounds memory (about 2 KiB each).
pub const ACCOUNTS_MAX: usize = 100_000;

// Administration.

/// Longest path of a Unix socket, in bytes (unix(7): 108 with the NUL).
pub const SOCKET_PATH_MAX: usize = 107;
/// Longest line on the admin socket, in bytes: a request takes under 100, the status under 1000.
pub const ADMIN_LINE_MAX: u64 = 16 * 1024;
/// Connections to the admin socket at a time; whoever comes then waits in its queue. A script's commands in parallel, and no more memory than
/// their answers take.
pub const ADMIN_CLIENTS: usize = 32;
/// How long a server may take to start or stop before whoever wants to ask it gives up.
pub const ADMIN_FOUND_WITHIN: Duration = Duration::from_secs(2);
/// How long a request at the admin socket may take to come, and its answer to go: programs talk there, not people.
pub const ADMIN_WITHIN: Duration = Duration::from_secs(5);
/// How long the server's answer may take: a busy disk, and 100 000 accounts to list.
pub const ADMIN_ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// Pause before a server that starts or stops is looked for again.
pub const ADMIN_PAUSE: Duration = Duration::from_millis(50);

// The message log.

/// Direct messages that may wait for one account: a week of letters; with the next limit it bounds memory and disk.
pub const MAILBOX_MESSAGES: usize = 200;
/// Bytes of direct messages that may wait for one account.
pub const MAILBOX_BYTES: usize = 1024 * 1024;
/// Direct messages of one sender that may wait for one account: a quarter, so that nobody fills a mailbox alone.
pub const MAILBOX_PER_SENDER: usize = 50;
/// For an account that is connected these three count so many times: its messages are on their way, not waiting.
pub const MAILBOX_CONNECTED: usize = 5;
/// Days that an accepted direct message waits at least.
pub const MAILBOX_DAYS: u32 = 30;
/// Group messages that wait for those who are away: more than anybody reads on return.
pub const GROUP_MESSAGES: usize = 1000;
/// Group messages kept for a connected client that reads slowly (about 100 bytes of memory each).
pub const GROUP_LAG: usize = 50_000;
/// Message ids that the server remembers to know a resend (about 100 bytes each).
pub const REMEMBERED_IDS: usize = 100_000;
/// Messages about whose delivery the sender is still to be told (about 200 bytes each).
pub const RECEIPTS: usize = 10_000;
/// Bytes of recent messages kept in memory, so that those who keep up are not served from the disk: more than ten senders with
/// a thousand messages underway each.
pub const RECENT_BYTES: usize = 16 * 1024 * 1024;
/// Bytes of messages that are in memory only, since the disk is slow or failed, before no more are taken.
pub const HELD_BYTES: usize = 32 * 1024 * 1024;
/// Bytes of messages that one write and one fsync carry.
pub const LOG_BATCH: usize = 1024 * 1024;
/// Bytes after which a new segment of the log begins: what is still needed of old ones moves together.
pub const SEGMENT_BYTES: u64 = 4 * 1024 * 1024;
/// Longest segment: one that was nearly full when a batch came.
pub const SEGMENT_MAX: u64 = SEGMENT_BYTES + 2 * LOG_BATCH as u64;
/// Segments that don't grow any more beyond which what is needed of the oldest is put together at once, and not within the hour.
pub const SEGMENTS_SEALED: usize = 8;
/// Segments that are put together at once: messages wait meanwhile.
pub const COMPACT_AT_ONCE: usize = 32;
/// How long acknowledgements may wait to be written: what a crash takes back is delivered again, and recognised.
pub const CURSORS_WITHIN: Duration = Duration::from_millis(100);
/// How long accepted messages may be written only, if acceptance does not wait for the disk.
pub const SYNC_WITHIN: Duration = Duration::from_secs(1);
/// How often the time that the server ran is written at least: what a crash takes back of it.
pub const CLOCK_EVERY: Duration = Duration::from_secs(600);
/// A wall clock that lags so much behind the time that passed went back: less is done by adjusting it slowly.
pub const CLOCK_BACK: Duration = Duration::from_secs(1);
/// A wall clock that is so much ahead of the time that passed leapt.
pub const CLOCK_AHEAD: Duration = Duration::from_secs(60);
/// How often messages over their age are looked for.
pub const EXPIRE_EVERY: Duration = Duration::from_secs(3600);

// Failed logins and registrations.

/// How much later a login is answered after one failure of the same kind; each further one doubles it. Nobody is refused: a login
/// needs the identity key and the password, so guesses without the key are only noise, to be made slow.
pub const SLOW_FIRST: Duration = Duration::from_secs(1);
/// The most that it becomes: an answer still comes within [`LOGIN_DEADLINE`], and within what a client waits ([`ANSWER_WITHIN`]), so
/// that whoever shares an address with a guesser, or mistyped often, gets in all the same.
pub const SLOW_MOST: Duration = Duration::from_secs(8);
/// Registrations of one source per hour; 127.0.0.1 and ::1 are exempt, unless a proxy is trusted.
pub const REGISTRATIONS_PER_HOUR: u32 = 20;
/// How long a registration counts, and failures after the last one of their kind.
pub const THROTTLE_WINDOW: Duration = Duration::from_secs(3600);
/// Sources, and pairs of account and source, that the counters remember before the oldest are forgotten: bounds memory.
pub const THROTTLE_ENTRIES: usize = 10_000;
/// Of what is slowed, so much is shown in the status: more than an owner reads.
pub const SLOWED_SHOWN: usize = 100;

// The client.

/// TCP connect, TLS and login, each step together.
pub const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// Answer to a request on a live connection.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// Messages held while their sender's keys are looked up, over all senders.
pub const HELD_MESSAGES: usize = 256;
/// What "per second" means.
pub const SECOND: Duration = Duration::from_secs(1);
/// What "per hour" means.
pub const HOUR: Duration = Duration::from_secs(3600);
/// Lines of one sort about one sender's messages per hour: an oracle's questions must not flood the screen.
pub const OPEN_FAILURES_PER_HOUR: u32 = 20;
/// Message ids that the replay guard remembers across restarts (about 300 bytes each on disk): years of talk among ten.
pub const SEEN_IDS: usize = 20_000;
/// Bytes that an inbox or outbox may grow by before it is rewritten without what is outdated.
pub const JOURNAL_GROWTH: u64 = 1024 * 1024;
/// Messages that the inbox keeps because their sender's key or group key does not fit (yet): they are tried again at the
/// next start, and whoever invents such messages fills no disk.
pub const KEPT_MESSAGES: usize = 256;
/// Of these, one sender's: four take the room of all contacts, no single one does.
pub const KEPT_OF_SENDER: usize = 64;
/// Of these, those of all senders together whose key is not pinned: names can be made up.
pub const KEPT_OF_STRANGERS: usize = 128;
/// Messages that `listen --no-backlog` leaves in the inbox for a later run: more than a server keeps for one account. Each costs
/// about 2 KiB of disk and some milliseconds at every start.
pub const LEFT_MESSAGES: usize = 2000;
/// Messages in the inbox that are not done with before no more are taken: what is left, what waits for a person, and what a server may
/// deliver meanwhile. A server that tells no keys fills no disk, over however many connections.
pub const UNFINISHED_MESSAGES: usize = LEFT_MESSAGES + KEPT_MESSAGES + 2 * UNACKNOWLEDGED;
/// Programs that may read a client's feed at a time: each costs a descriptor and a buffer in the kernel.
pub const FEED_READERS: usize = 16;
/// What a reader of the feed may lag behind, in bytes, as far as the system allows: hundreds of short messages, ten of the longest.
pub const FEED_BUFFER: usize = 256 * 1024;
/// For so long a new feed keeps its lines for readers who were with the client before it: that one ends within this time.
pub const FEED_CATCH_UP: Duration = Duration::from_secs(5);
/// So many bytes of them: they fit at once into what a reader may lag behind.
pub const FEED_KEPT: usize = 64 * 1024;
/// Pause before a feed that ended at once is tried again, so that a reader who is too slow costs nothing.
pub const FEED_PAUSE: Duration = Duration::from_secs(1);
/// A session of `topchat rpc` that is asked nothing for so long is closed until the next request: below the server's
/// [`PING_AFTER`], so that nobody has to answer pings, and no seat is held for nothing.
pub const ERRAND_IDLE: Duration = Duration::from_secs(20);
/// Messages of one's own that may wait for the server: more than a person types while a connection is away.
pub const WAITING_MESSAGES: usize = 1000;
/// How long a message waits for whoever reads the output of `topchat rpc`, before the inbox is let go for another client of the
/// account: shorter than that waits for it.
pub const OUTPUT_WITHIN: Duration = Duration::from_secs(3);
/// How long a request of `topchat rpc` that is being carried out may go on when the program is asked to end, and how long its
/// answer may take to be read: together less than the program waits for its end.
pub const REQUEST_ENDS_WITHIN: Duration = Duration::from_secs(2);
/// Most bytes of output that are written at once, which a pipe that takes anything takes without waiting (pipe(7), `PIPE_BUF`).
pub const OUTPUT_CHUNK: usize = 4096;
/// How long an older process of the same account may take to let go of the inbox.
pub const INBOX_WITHIN: Duration = Duration::from_secs(5);
/// First pause before a lost connection is tried again; each further one is twice as long, and a random part shorter.
pub const RECONNECT_PAUSE_FIRST: Duration = Duration::from_secs(1);
/// So often an errand tries a login whose connection breaks: with the pauses between, a bad moment of some seconds is outlived, and a
/// server that always closes is not asked on and on.
pub const BROKEN_LOGIN_TRIES: u32 = 3;
/// Longest such pause: whoever comes back to the network waits no longer. A session that held so long starts anew.
pub const RECONNECT_PAUSE_MAX: Duration = Duration::from_secs(30);
/// A connection that lasted so long was a good one: pauses begin anew behind it.
pub const RECONNECT_STEADY: Duration = Duration::from_secs(2);
/// Unknown senders whose lines are counted at a time: a server could make up any number of names.
pub const CLAIMED_SENDERS: usize = 256;
/// Most contacts of one account: with the longest keys they take 3 MiB, so the file of pins stays readable.
pub const CONTACTS_MAX: usize = 512;
/// Longest file of contacts that is read, in bytes.
pub const CONTACTS_FILE_MAX: u64 = 4 * 1024 * 1024;
/// Former identity keys of one contact whose messages still count: nobody needs new ones more than once in ten days.
pub const FORMER_KEYS: usize = 3;
/// How long messages under a key that has handed over still count, in milliseconds: as long as the server keeps a message.
pub const FORMER_MS: i64 = MAILBOX_DAYS as i64 * 24 * 3600 * 1000;
/// Other keys that are remembered of one contact, so that the person is not asked about them twice: a server can make up
/// any number.
pub const OTHER_KEYS: usize = 8;
/// How often it is looked whether the person has chosen a key in another process or brought the group key file, while
/// messages wait for that.
pub const CHOICE_LOOKED_FOR: Duration = Duration::from_millis(500);
/// Longest line that is read from a terminal or a pipe, in bytes; what is longer is refused whole.
pub const INPUT_LINE_MAX: usize = 64 * 1024;
/// Lines of a paste that is sent without a question: more of them are likely a slip.
pub const PASTE_LINES_MAX: usize = 5;
/// How long the rest of a key's bytes may take: a slow link splits them, and a person who presses Esc notices no less.
pub const KEY_WITHIN: Duration = Duration::from_millis(500);
/// How long Enter waits for what comes behind it, before the line goes: nobody types two more characters in that time, nor
/// notices it.
pub const ENTER_HELD: Duration = Duration::from_millis(30);
/// Lines that came faster than anybody types them are a paste until this long nothing more of it came: a multiplexer passes
/// one on in pieces.
pub const BURST_OVER: Duration = Duration::from_millis(150);
/// A single character so long after the last one of a paste that has no end yet is typed: Ctrl-C must help.
pub const PASTE_QUIET: Duration = Duration::from_secs(1);
/// A paste of which nothing more came so long has lost its end: more than a slow link takes between two pieces.
pub const PASTE_OVER: Duration = Duration::from_secs(5);
/// What is kept of a paste, in bytes; it is far too long anyway. A stream without end takes no more memory.
pub const PASTE_KEPT_MAX: usize = 1024 * 1024;
/// Nobody types any more who has not for so long: the chat that is over may leave the terminal to the shell.
pub const TYPING_ENDED: Duration = Duration::from_secs(10);
/// Enter after such a pause is no end of a line that was being typed when the chat was over.
pub const TYPING_PAUSED: Duration = Duration::from_secs(1);
/// How long Ctrl-Z may take to stop the program; without a shell that could continue it, it is not stopped at all.
pub const STOPPED_WITHIN: Duration = Duration::from_secs(1);
/// How often it is looked whether it was stopped and continued: nobody notices it.
pub const STOPPED_LOOKED_FOR: Duration = Duration::from_millis(5);
/// Names or commands that are shown for a word that could become any of them.
pub const COMPLETIONS_SHOWN: usize = 40;
/// Typed lines that are kept to be called back.
pub const TYPED_LINES_KEPT: usize = 1000;
/// Text that waits to be shown while what is typed fills the whole terminal, in bytes. With more the client takes no
/// further messages; they wait at the server.
pub const UNSHOWN_MAX: usize = 1024 * 1024;
/// Bytes of input read at once: a terminal gives at most 4096, a pipe more.
pub const INPUT_READ: usize = 16 * 1024;
/// Messages on their way without an answer before the next one is read: input from a pipe waits for the server.
pub const UNSETTLED_MAX: usize = 32;
/// Longest line that can be a password, in bytes: what typing adds to [`PASSWORD_MAX`] before normalisation fits many times.
pub const PASSWORD_LINE_MAX: usize = 1024;
/// Most output of a password command behind the password, in bytes, before it is cut off: what a pipe holds.
pub const PASSWORD_OUTPUT_MAX: u64 = 64 * 1024;
/// How often a person may mistype a new password before the command ends.
pub const NEW_PASSWORD_TRIES: u32 = 3;
/// Fewest hex digits of a fingerprint that are trusted: nobody finds another key with the same 64 bits.
pub const FINGERPRINT_DIGITS_MIN: usize = 16;
/// Fewest hex digits with which a key counts as verified: half of the fingerprint, which is out of anybody's reach for good.
pub const VERIFIED_DIGITS_MIN: usize = 32;
/// Difference of two clocks that is told, in milliseconds: ten minutes are more than a clock that nobody sets gets wrong.
pub const CLOCK_SKEW_MS: u64 = 10 * 60 * 1000;
/// Longest `--timeout`, in seconds: a year; whoever wants to wait longer leaves the flag out.
pub const TIMEOUT_SECS_MAX: u64 = 365 * 24 * 3600;
/// Pause between two dots of a work that goes on: making two RSA-3072 keys shows some, and no line is filled.
pub const PROGRESS_EVERY: Duration = Duration::from_millis(500);
/// Days on which a server must have been seen to know a change of the password or the keys before what logs in without it goes: backups
/// that are older are restored by hardly anybody.
pub const KNOWN_DAYS: u32 = 30;
/// Changes of the password, and of the keys, that can be brought to a server again: more than anybody makes in such a time, and each costs
/// a key file or a kilobyte.
pub const BEFORE_MAX: usize = 16;
/// Longest wait for another process's lock on a client file.
pub const LOCK_WITHIN: Duration = Duration::from_secs(2);
/// Longest wait for another process that changes the keys or the password: it locks the files anew, connects, logs in and waits for an answer.
pub const CHANGED_WITHIN: Duration = Duration::from_secs(20);
/// Messages of the chat that are on their way without an answer before the next one goes out: a reconnect sends no
/// more than these again at once.
pub const UNANSWERED_MAX: usize = 32;
/// First pause before another try for a lock; each further one is twice as long.
pub const LOCK_PAUSE_FIRST: Duration = Duration::from_millis(1);
/// Longest pause between two tries for a lock: nobody notices it.
pub const LOCK_PAUSE_MAX: Duration = Duration::from_millis(40);
/// First pause before a busy server is tried again; each further one is twice as long, and a random part shorter.
pub const BUSY_PAUSE_FIRST: Duration = Duration::from_millis(200);
/// Longest pause before a busy server is tried again.
pub const BUSY_PAUSE_MAX: Duration = Duration::from_secs(2);
/// Longest pause between two tries for a seat. Shorter than what a full server advises to those who don't queue:
/// a try costs the server a few hashes.
pub const QUEUE_PAUSE: Duration = Duration::from_secs(4);
/// How long a typed message may be without an answer before it is shown as on its way: nobody notices less.
pub const SENDING_AFTER: Duration = Duration::from_millis(300);
/// How long a message may be without an answer, and nothing else come, before the server is asked whether it is there.
pub const ASKED_AFTER: Duration = Duration::from_secs(3);
/// How long it may then be silent: a slow network answers in time, and who has sent something wants to know.
pub const ANSWERED_WITHIN: Duration = Duration::from_secs(7);
/// How long a message waits for "delivered" before it is shown as "sent".
pub const DELIVERED_WITHIN: Duration = Duration::from_secs(1);
/// How long a connection that failed may take to say why.
pub const LAST_WORDS_WITHIN: Duration = Duration::from_secs(1);

// Files.

/// Longest record in the account database, in bytes: two RSA-4096 keys in base64 take under 3 KiB.
pub const RECORD_MAX: usize = 16 * 1024;
/// Longest torn end of a journal that a crash can have left, in bytes: one write of many records whose line ends are missing.
pub const TORN_MAX: usize = 1024 * 1024;
/// Copies of records that were cut off from one journal: with [`TORN_MAX`] they bound the room that crash after crash takes.
pub const TORN_COPIES: usize = 8;
/// Account changes that one write and one fsync carry: bounds the memory of a batch (under 1 MiB).
pub const ACCOUNT_BATCH: usize = 256;
/// Outdated records below which the account database is not rewritten at start: not worth the writing.
pub const OUTDATED_MIN: u64 = 1000;
/// Longest exported account that is read, in bytes: the file of contacts, indented once more, and a few keys.
pub const BACKUP_MAX: u64 = 4 * CONTACTS_FILE_MAX;
/// Longest key, certificate, pin or group key file that is read, in bytes.
pub const SMALL_FILE_MAX: u64 = 1024 * 1024;
