#!/usr/bin/env bash
# Guess:   where a line grows beyond the 512 bytes of IRC by the sender's name, the end of its text is dropped silently.
# Found:   ngIRCd replaces the end by the five characters "[CUT]", in the middle of a UTF-8 character if it falls so, and
#          tells the sender nothing. So one can't tell a text that ends so from one that was cut.
# Version: ngircd 26.1 (Debian 12)
# Seen:    2026-12-01
# shellcheck source=findings/common.bash
. "$(dirname "${BASH_SOURCE[0]}")/common.bash"

debian ngircd=26.1-1+deb12u1 libident=0.32-1
port=$(free_port)
cat >ngircd.conf <<END
[Global]
Name = irc.example.net
Info = a test
Listen = 127.0.0.1
Ports = $port
[Options]
PAM = no
Ident = no
DNS = no
END
# Started by root it becomes another user, who needs to enter.
chmod 755 .
ngircd -n -f ngircd.conf >log 2>&1 &
started+=("$!")
listening "$port"

seen=$(
    python3 - "$port" <<'END'
import socket, sys

def client(name):
    connection = socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=30)
    connection.sendall(b"NICK " + name + b"\r\nUSER u 0 * :r\r\n")
    reader = connection.makefile("rb")
    line_with(reader, b" 376 ", b" 422 ")
    return connection, reader

def line_with(reader, *words):
    while True:
        line = reader.readline()
        assert line, "the connection has ended"
        if any(word in line for word in words):
            return line

alice, from_alice = client(b"alice")
bob, from_bob = client(b"bob")
sent = b"PRIVMSG bob :." + "é".encode() * 239 + b"\r\n"
alice.sendall(sent)
got = line_with(from_bob, b"PRIVMSG")
alice.sendall(b"PING :still\r\n")
answer = from_alice.readline()
while b"PONG" not in answer and b"402" not in answer:
    print("alice is told", answer)
    answer = from_alice.readline()
print("sent", len(sent), "bytes, arrived", len(got), "bytes, ending in", got[-10:])
END
)
expect "$seen" <<'END'
sent 494 bytes, arrived 512 bytes, ending in b'\xc3\xa9\xc3[CUT]\r\n'
END
