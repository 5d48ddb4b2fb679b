#!/usr/bin/env python3
"""Follows kefu's change feed, and prints a line for each event, with nothing but Python's standard library.

    python3 examples/feed.py                                   # NATS at 127.0.0.1:4222
    NATS=10.0.0.5:4222 KEFU_TOKEN=... python3 examples/feed.py # with a token: asks kefu about each closed session
    NATS_USER=ledger NATS_PASSWORD=... python3 examples/feed.py

A durable consumer remembers where it stood: stop the program, start it again, and it goes on there.
A real program would use a NATS client (pip install nats-py); the protocol is shown because it is so small.
"""
import json, os, socket

host, port = os.environ.get("NATS", "127.0.0.1:4222").split(":")
stream, durable, inbox = "KEFU_EVENTS", "ledger", f"_INBOX.ledger.{os.getpid()}"
wire = socket.create_connection((host, int(port)))
wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
lines = wire.makefile("rb")


def send(subject, data=b"", reply="", headers=()):
    if headers:
        head = "NATS/1.0\r\n" + "".join(f"{name}: {value}\r\n" for name, value in headers) + "\r\n"
        wire.sendall(f"HPUB {subject} {reply} {len(head)} {len(head) + len(data)}\r\n{head}".encode() + data + b"\r\n")
    else:
        wire.sendall(f"PUB {subject} {reply} {len(data)}\r\n".encode() + data + b"\r\n")


def receive(sid):
    """The next message of this subscription: where an answer to it goes, and the payload. An event keeps its own subject."""
    while True:
        words = lines.readline().decode().split()
        if not words:
            raise SystemExit("NATS has closed the connection")
        if words[0] == "PING":
            wire.sendall(b"PONG\r\n")
        elif words[0] == "-ERR":
            raise SystemExit(" ".join(words))
        elif words[0] in ("MSG", "HMSG"):
            size, head = int(words[-1]), int(words[-2]) if words[0] == "HMSG" else 0
            payload = lines.read(size + 2)[:size]
            if words[2] == sid:
                reply = words[3] if len(words) == (5 if words[0] == "MSG" else 6) else ""
                return reply, payload[head:]


def ask(subject, body, headers=()):
    send(subject, json.dumps(body).encode(), f"{inbox}.answer", headers)
    return json.loads(receive("1")[1])


login = {"verbose": False, "headers": True, "no_responders": True, "name": "ledger"}
if "NATS_USER" in os.environ:
    login |= {"user": os.environ["NATS_USER"], "pass": os.environ["NATS_PASSWORD"]}
wire.sendall(f"CONNECT {json.dumps(login)}\r\n".encode())
wire.sendall(f"SUB {inbox}.answer 1\r\nSUB {inbox}.event 2\r\n".encode())
made = ask(
    f"$JS.API.CONSUMER.DURABLE.CREATE.{stream}.{durable}",
    {"stream_name": stream, "config": {"durable_name": durable, "ack_policy": "explicit", "deliver_policy": "all", "max_ack_pending": 1}},
)
if "error" in made:
    raise SystemExit(made["error"]["description"])

while True:
    send(f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{durable}", b'{"batch":1,"expires":5000000000}', f"{inbox}.event")
    reply, payload = receive("2")
    if not payload:
        continue  # a status: nothing came within the five seconds
    event = json.loads(payload)
    line = f"{event['time']} {event['type']} {event['id']}"
    token = os.environ.get("KEFU_TOKEN")
    if token and event["type"] == "kefu.session.closed":
        session = ask("kefu.api.sessions.get", {"session": event["subject"]}, [("Authorization", f"Bearer {token}")])
        line += f" {session.get('error', {}).get('code') or session['customer']['name'] + ', ' + str(session['last_seq']) + ' events'}"
    print(line, flush=True)
    send(reply, b"+ACK")  # only now: what a crash interrupts comes again
