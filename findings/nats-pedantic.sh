#!/usr/bin/env bash
# Guess:   nats-server refuses a publication to a subject with a wildcard, at the latest where the client asked for
#          "pedantic": true; and a subscriber reads the size of a message as the server counts it.
# Found:   without pedantic such a message is delivered, to the wildcard subscriptions that match it as text. With pedantic
#          the publisher is told "Invalid Publish Subject", then +OK, and the message is delivered all the same. The digits
#          of the size reach the subscriber as the publisher wrote them, a leading zero with them.
# Version: nats-server 2.9.10 (Debian 12)
# Seen:    2026-12-01
# shellcheck source=findings/common.bash
. "$(dirname "${BASH_SOURCE[0]}")/common.bash"

debian nats-server=2.9.10-1+b3
port=$(free_port)
nats-server -a 127.0.0.1 -p "$port" >log 2>&1 &
started+=("$!")
listening "$port"

seen=$(
    python3 - "$port" <<'END'
import json, socket, sys

def client(pedantic):
    connection = socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=10)
    reader = connection.makefile("rb")
    reader.readline()
    options = json.dumps({"verbose": pedantic, "pedantic": pedantic}).encode()
    connection.sendall(b"CONNECT " + options + b"\r\n")
    return connection, reader

def answers(connection, reader):
    """The lines up to the PONG that answers a PING sent now."""
    connection.sendall(b"PING\r\n")
    lines = []
    while (line := reader.readline().decode().strip()) != "PONG":
        assert line or lines, "the connection has ended"
        lines.append(line)
    return [line for line in lines if line != "PING"]

subscriber = client(False)
subscriber[0].sendall(b"SUB room.* 1\r\nSUB room.tea 2\r\n")
answers(*subscriber)
for pedantic in (False, True):
    publisher = client(pedantic)
    answers(*publisher)
    publisher[0].sendall(b"PUB room.* 4\r\ntext\r\n")
    print("pedantic", pedantic, "publisher:", answers(*publisher), "subscriber:", answers(*subscriber))
publisher = client(False)
publisher[0].sendall(b"PUB room.tea 04\r\ntext\r\n")
answers(*publisher)
print("size:", sorted(line for line in answers(*subscriber) if "MSG" in line))
END
)
expect "$seen" <<'END'
pedantic False publisher: [] subscriber: ['MSG room.* 1 4', 'text']
pedantic True publisher: ["-ERR 'Invalid Publish Subject'", '+OK'] subscriber: ['MSG room.* 1 4', 'text']
size: ['MSG room.tea 1 04', 'MSG room.tea 2 04']
END
