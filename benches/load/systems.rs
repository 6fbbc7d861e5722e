//! The servers that are compared: how each is started on loopback and how members connect to it.

use std::fs;
use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::dialect::{Conn, To};
use super::nats::Keeping;
use super::pipe::TlsClient;
use super::process::{Running, TopChatServer};
use super::topchat::{self, Keys};
use super::{bare, irc, mqtt, nats, relay, resp};

/// Which server, and how it is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct System {
    /// Which program.
    pub program: Program,
    /// With TLS 1.3.
    pub is_secured: bool,
    /// Messages go to the disk.
    pub is_kept: bool,
}

/// A server program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Program {
    /// This project's.
    TopChat,
    /// A thread per client that only passes bytes on; this program's own.
    Bare,
    /// The same one with members who acknowledge what they get, as TopChat's do. The relay reads that and no more.
    Acknowledged,
    /// nats-server; with JetStream if messages are kept.
    Nats,
    /// mosquitto; with QoS 1 if messages are kept.
    Mosquitto,
    /// redis-server, its publish and subscribe.
    Redis,
    /// ngircd.
    Ngircd,
}

/// A server that runs.
pub(crate) struct Started {
    /// The process; it ends with this value.
    pub running: Running,
    address: SocketAddr,
}

impl System {
    /// As it stands in the tables.
    pub(crate) fn name(self) -> String {
        let program = match (self.program, self.is_kept) {
            (Program::TopChat, false) => "TopChat, memory",
            (Program::TopChat, true) => "TopChat, disk",
            (Program::Bare, _) => "bare thread relay",
            (Program::Acknowledged, _) => "bare thread relay, acknowledged",
            (Program::Nats, false) => "nats-server",
            (Program::Nats, true) => "nats-server, JetStream files",
            (Program::Mosquitto, false) => "mosquitto, QoS 0",
            (Program::Mosquitto, true) => "mosquitto, QoS 1, persistence",
            (Program::Redis, _) => "redis-server",
            (Program::Ngircd, _) => "ngircd",
        };
        format!("{program}{}", if self.is_secured { ", TLS" } else { "" })
    }

    /// Whether it is this program's own relay.
    fn is_bare(self) -> bool {
        matches!(self.program, Program::Bare | Program::Acknowledged)
    }

    /// Starts it in a new folder, on a free port of the loopback.
    pub(crate) fn start(self, server: &Path, keys: &Keys, members: usize) -> io::Result<Started> {
        if self.program == Program::TopChat {
            let durability = if self.is_kept { "disk" } else { "memory" };
            let arguments = [&relay::SETTINGS[..], &["--durability", durability]].concat();
            let TopChatServer { running, address } = TopChatServer::start(server, keys, members, &arguments)?;
            return Ok(Started { running, address });
        }
        let folder = tempfile::tempdir()?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        if self.is_secured {
            make_certificate(folder.path())?;
        }
        let mut command = self.command(&folder, port)?;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let running = Running::start(&mut command, folder)?;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let until = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(address).is_err() {
            if Instant::now() > until {
                return Err(io::Error::other(format!("{} did not start", self.name())));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(Started { running, address })
    }

    /// All members, connected, with messages that are as long as TopChat's envelopes.
    pub(crate) fn gather(
        self,
        started: &Started,
        keys: &Keys,
        members: usize,
        to: To,
        text: usize,
    ) -> io::Result<Vec<Conn>> {
        let size = keys.envelope(0, to, text).encode().len();
        let (address, tls) = (started.address, TlsClient::new(None)?);
        let own = topchat::tls()?;
        let tls = self.is_secured.then_some(if self.is_bare() { &own } else { &tls });
        let keeping = if self.is_kept { Keeping::JetStream } else { Keeping::None };
        let mut connections = Vec::new();
        for member in 0..members {
            match self.program {
                Program::TopChat => {
                    let conn = keys.connect(address, member, &own)?;
                    connections.push(Conn { dialect: keys.dialect(member, text), ..conn });
                }
                Program::Bare => connections.push(bare::connect(address, member, size, tls, false)?),
                Program::Acknowledged => connections.push(bare::connect(address, member, size, tls, true)?),
                Program::Nats => connections.push(nats::connect(address, member, size, tls, keeping, to)?),
                Program::Mosquitto => connections.push(mqtt::connect(address, member, size, tls, self.is_kept)?),
                Program::Redis => connections.extend(resp::connect(address, member, size, tls)?),
                Program::Ngircd => connections.push(irc::connect(address, member, size, tls)?),
            }
        }
        Ok(connections)
    }

    fn command(self, folder: &TempDir, port: u16) -> io::Result<Command> {
        if self.is_bare() {
            let mut command = Command::new(std::env::current_exe()?);
            command.args(self.configuration(".", &port.to_string()).split(' ')).current_dir(folder.path());
            return Ok(command);
        }
        let configuration = folder.path().join("configuration");
        fs::write(&configuration, self.configuration(&folder.path().to_string_lossy(), &port.to_string()))?;
        let (program, arguments): (_, &[&str]) = match self.program {
            Program::TopChat | Program::Bare | Program::Acknowledged => unreachable!("they are started otherwise"),
            Program::Nats => ("nats-server", &["-c"]),
            Program::Mosquitto => ("mosquitto", &["-c"]),
            Program::Redis => ("redis-server", &[]),
            Program::Ngircd => ("ngircd", &["--nodaemon", "--config"]),
        };
        let mut command = Command::new(program);
        // Debian has some of them where only root looks.
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{path}:/usr/sbin:/usr/local/sbin")).current_dir(folder.path());
        command.args(arguments).arg(configuration);
        Ok(command)
    }

    /// The whole configuration: no limits that a load of this sort would meet, no flood protection.
    pub(crate) fn configuration(self, folder: &str, port: &str) -> String {
        let tls = self.is_secured;
        let (certificate, key) = (format!("{folder}/certificate.pem"), format!("{folder}/key.pem"));
        match self.program {
            Program::TopChat => relay::SETTINGS.join(" "),
            Program::Bare | Program::Acknowledged => {
                let files = format!(" --certificate {certificate} --key {key}");
                format!("bare --listen 127.0.0.1:{port}{}", if tls { &files } else { "" })
            }
            Program::Nats => {
                let mut text = format!("listen: 127.0.0.1:{port}\nmax_pending: 1GB\nwrite_deadline: \"60s\"\n");
                if tls {
                    text += &format!("tls {{ cert_file: \"{certificate}\", key_file: \"{key}\" }}\n");
                }
                if self.is_kept {
                    text += &format!("jetstream {{ store_dir: \"{folder}/jetstream\", max_file: 2GB }}\n");
                }
                text
            }
            Program::Mosquitto => {
                let mut text = format!("listener {port} 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\n");
                text += "max_queued_messages 0\nmax_inflight_messages 0\nlog_type none\n";
                if tls {
                    text += &format!("certfile {certificate}\nkeyfile {key}\ntls_version tlsv1.3\n");
                }
                if self.is_kept {
                    text +=
                        &format!("persistence true\npersistence_location {folder}/\nautosave_interval 1\nuser root\n");
                }
                text
            }
            Program::Redis => {
                let mut text = "bind 127.0.0.1\nsave \"\"\nappendonly no\nlogfile \"\"\n".to_owned();
                text += "client-output-buffer-limit pubsub 0 0 0\n";
                if tls {
                    text += &format!("port 0\ntls-port {port}\ntls-cert-file {certificate}\ntls-key-file {key}\n");
                    text += "tls-auth-clients no\ntls-protocols TLSv1.3\n";
                } else {
                    text += &format!("port {port}\n");
                }
                text
            }
            Program::Ngircd => {
                let mut text =
                    "[Global]\nName = irc.load.test\nInfo = load\nListen = 127.0.0.1\nMotdPhrase = hello\n".to_owned();
                text += &if tls { "Ports = 0\n".to_owned() } else { format!("Ports = {port}\n") };
                text += "[Limits]\nMaxConnections = 0\nMaxConnectionsIP = 0\nMaxPenaltyTime = 0\nMaxNickLength = 20\n";
                text += "[Options]\nDNS = no\nIdent = no\nPAM = no\n";
                if tls {
                    text += &format!("[SSL]\nCertFile = {certificate}\nKeyFile = {key}\nPorts = {port}\n");
                }
                text
            }
        }
    }
}

/// A self-signed certificate with a P-256 key, as TopChat's own is.
fn make_certificate(folder: &Path) -> io::Result<()> {
    use openssl::asn1::Asn1Time;
    use openssl::ec::{EcGroup, EcKey};
    use openssl::hash::MessageDigest;
    use openssl::nid::Nid;
    use openssl::pkey::PKey;
    use openssl::x509::{X509, X509NameBuilder};

    let key = PKey::from_ec_key(EcKey::generate(&*EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?)?)?;
    let mut name = X509NameBuilder::new()?;
    name.append_entry_by_text("CN", "localhost")?;
    let name = name.build();
    let mut certificate = X509::builder()?;
    certificate.set_version(2)?;
    certificate.set_subject_name(&name)?;
    certificate.set_issuer_name(&name)?;
    certificate.set_pubkey(&key)?;
    certificate.set_not_before(&*Asn1Time::days_from_now(0)?)?;
    certificate.set_not_after(&*Asn1Time::days_from_now(2)?)?;
    certificate.sign(&key, MessageDigest::sha256())?;
    let mut file = fs::File::create(folder.join("certificate.pem"))?;
    file.write_all(&certificate.build().to_pem()?)?;
    fs::write(folder.join("key.pem"), key.private_key_to_pem_pkcs8()?)
}
