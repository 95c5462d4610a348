"""What one connection, or one bad configuration, can do to a node.

    client that pipelines and never reads ─▶ 4140 ─▶ its own answers must not pile up
    client that dribbles a head           ─▶ 4140 ─▶ memory in proportion to the head
    client that reads late                ─▶ 4140 ◀─ an answer whose end waits in the node
    600 clients at once, each a connect   ─▶ 4140 ─▶ origin that closes every connection
    operators beside scrapers             ─▶ unix socket, admin TCP
"""
import pathlib
import socket
import threading

from lib import wire
from lib.client import Conn
from lib.node import Node, memory_counts
from lib.settings import secs, until

HEAD = b"GET / HTTP/1.1\r\nHost: nobody\r\n\r\n"
MIB = 1024


def test_pipelining_without_reading_is_held_back(bench):
    n, _ = bench.echo()
    with n.conn() as c:
        c.sock.settimeout(secs(1))
        sent = 0
        try:
            while sent < 64 * MIB * 1024:
                sent += c.sock.send(HEAD * 2000)
        except TimeoutError:
            pass
        assert sent < 64 * MIB * 1024, "the client was never held back"
        assert not memory_counts() or n.rss_kib() < 24 * MIB
        assert n.ask().status == 200


def test_a_dribbled_head_costs_its_own_size(bench):
    n, _ = bench.echo()
    with n.conn() as c:
        c.send(b"GET / HTTP/1.1\r\nHost: echo\r\n" + b"n" * 30000 + b": ")
        c.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(8000):
            c.sock.send(b"v")
        assert not memory_counts() or n.rss_kib() < 16 * MIB
        c.send(b"\r\n\r\n")
        assert c.answer().status == 200


def test_the_end_of_an_answer_waits_for_a_late_reader(bench):
    """Close-delimited for HTTP/1.0: a FIN before the last byte would make it look whole."""
    n, _ = bench.echo()
    size = 3_000_000
    with n.conn(timeout=20) as c:
        c.send(wire.head(f"GET /chunked/{size} HTTP/1.0", [("Host", "echo")]))
        late = threading.Event()
        late.wait(secs(3))  # the reader is late: longer than a connection lingers
        assert c.answer().length == size


def test_nobody_waits_for_a_connection_for_ever(bench):
    n, _ = bench.echo()
    conns = [Conn(n.outbound, timeout=20) for _ in range(600)]
    try:
        for i, c in enumerate(conns):
            c.sock.send(wire.head("GET /hop HTTP/1.1" if i % 2 else "GET /id/x HTTP/1.1",
                                  [("Host", "echo"), ("Connection", "close")]))
        assert sum(c.answer().status == 200 for c in conns) == 600
    finally:
        for c in conns:
            c.sock.close()
    def open_exchanges():
        return int(n.metrics()["gossamer_exchanges_open"][0].value)

    until("nothing is left open", lambda: open_exchanges() == 0, 5)


def test_scrapers_do_not_lock_operators_out(bench):
    n, _ = bench.echo()
    held = []
    try:
        for _ in range(80):
            s = socket.create_connection(n.admin, timeout=secs(5))
            s.sendall(b"GET /live HTTP/1.1\r\nHost: x\r\n\r\n")
            held.append(s)
        assert n.admin_request("GET", "/api/v1/services")[0] == 200
    finally:
        for s in held:
            s.close()


def test_an_ordinary_file_is_no_socket(tmp_path):
    n = Node(tmp_path / "n", [])
    path = pathlib.Path(n.socket_path)
    path.write_text("precious")
    try:
        assert n.spawn().proc.wait(secs(10)) == 1
        assert path.read_text() == "precious"
        assert "is no socket" in n.log()
    finally:
        n.kill()
