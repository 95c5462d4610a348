"""A node that speaks HTTP/2 byte by byte, to be as rude as a hostile member. Headers are sent as
literals; of the answers' HPACK only what nghttp2 sends is understood."""
import contextlib
import socket
import struct
import threading

from .settings import secs

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST, SETTINGS, PING, GOAWAY, WINDOW, CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9
STATUS = {8: 200, 9: 204, 10: 206, 11: 304, 12: 400, 13: 404, 14: 500}


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes((kind, flags)) + struct.pack(
        ">I", stream) + payload


def literal(name, value):
    name, value = name.encode(), value.encode()
    assert len(name) < 127 and len(value) < 127
    return b"\x00" + bytes((len(name),)) + name + bytes((len(value),)) + value


def block(fields):
    return b"".join(literal(k, v) for k, v in fields)


class Peer:
    """One mesh connection to a node."""

    def __init__(self, addr, hello=True):
        self.s = socket.create_connection(addr, secs(10))
        self.next, self.buf, self.streams = 1, b"", {}
        self.goaway = None
        if hello:
            self.s.sendall(PREFACE + frame(SETTINGS, 0, 0))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.s.close()

    def send(self, data):
        self.s.sendall(data)

    def open(self, fields, end=False):
        s, self.next = self.next, self.next + 2
        self.streams[s] = {"blocks": [], "data": b"", "end": None}
        self.send(frame(HEADERS, 4 | (1 if end else 0), s, block(fields)))
        return s

    def connect(self, authority, service, caller="node/evil"):
        return self.open([(":method", "CONNECT"), (":authority", authority),
                          ("gossamer-service", service), ("gossamer-stream", "1"),
                          ("gossamer-caller", caller)])

    def data(self, s, payload, end=False):
        self.send(frame(DATA, 1 if end else 0, s, payload))

    def step(self):
        """One frame; None at the end of the connection."""
        while len(self.buf) < 9 or len(self.buf) < 9 + int.from_bytes(self.buf[:3], "big"):
            try:
                more = self.s.recv(65536)
            except ConnectionResetError:
                return None
            if not more:
                return None
            self.buf += more
        n = int.from_bytes(self.buf[:3], "big")
        kind, flags = self.buf[3], self.buf[4]
        stream = int.from_bytes(self.buf[5:9], "big") & 0x7fffffff
        payload, self.buf = self.buf[9:9 + n], self.buf[9 + n:]
        st = self.streams.get(stream)
        if kind == SETTINGS and not flags & 1:
            self.send(frame(SETTINGS, 1, 0))
        elif kind == GOAWAY:
            self.goaway = int.from_bytes(payload[4:8], "big")
        elif st is not None and kind == HEADERS:
            st["blocks"].append(payload)
        elif st is not None and kind == DATA:
            st["data"] += payload
        if st is not None and (kind == RST or kind in (HEADERS, DATA) and flags & 1):
            st["end"] = st["end"] or ("reset" if kind == RST else "eof")
        return kind, flags, stream, payload

    def until(self, condition):
        while not condition():
            if self.step() is None:
                return False
        return True

    def headers(self, s):
        """The fields of the stream's first answer, those that came as literals or from indices
        that need no table of ours."""
        st = self.streams[s]
        assert self.until(lambda: st["blocks"]), "the connection ended"
        return decode(st["blocks"][0], self.__dict__.setdefault("table", []), st)

    def status(self, s):
        st = self.streams[s]
        if "fields" not in st:
            st["fields"] = self.headers(s)
        return int(st["fields"][":status"])

    def read(self, s, until=None):
        """The stream's bytes to its end, or until they end like that."""
        st = self.streams[s]
        self.until(lambda: st["end"] or until and st["data"].endswith(until))
        return st["data"]


def integer(b, at, bits):
    n = b[at] & ((1 << bits) - 1)
    at += 1
    if n < (1 << bits) - 1:
        return n, at
    shift = 0
    while True:
        n += (b[at] & 127) << shift
        shift += 7
        at += 1
        if not b[at - 1] & 128:
            return n, at


def text(b, at):
    huffman = b[at] & 128
    n, at = integer(b, at, 7)
    raw = b[at:at + n]
    return (unhuffman(raw) if huffman else raw.decode("latin-1")), at + n


def decode(b, table, st):
    if "fields" in st:
        return st["fields"]
    out, at = {}, 0
    while at < len(b):
        if b[at] & 128:
            i, at = integer(b, at, 7)
            name, value = (":status", str(STATUS[i])) if i < 62 else table[i - 62]
        elif b[at] & 224 == 32:
            _, at = integer(b, at, 5)
            continue
        else:
            bits = 6 if b[at] & 64 else 4
            keep = bits == 6
            i, at = integer(b, at, bits)
            if i == 0:
                name, at = text(b, at)
            else:
                name = ":status" if 8 <= i <= 14 else table[i - 62][0] if i >= 62 else f"#{i}"
            value, at = text(b, at)
            if keep:
                table.insert(0, (name, value))
        out[name] = value
    st["fields"] = out
    return out


# RFC 7541 appendix B, the codes of printable ASCII: {(bits, code): character}.
CODES = {}


def _codes():
    rows = """
20:6:14 21:10:3f8 22:10:3f9 23:12:ffa 24:13:1ff9 25:6:15 26:8:f8 27:11:7fa 28:10:3fa 29:10:3fb
2a:8:f9 2b:11:7fb 2c:8:fa 2d:6:16 2e:6:17 2f:6:18 30:5:0 31:5:1 32:5:2 33:6:19 34:6:1a 35:6:1b
36:6:1c 37:6:1d 38:6:1e 39:6:1f 3a:7:5c 3b:8:fb 3c:15:7ffc 3d:6:20 3e:12:ffb 3f:10:3fc 40:13:1ffa
41:6:21 42:7:5d 43:7:5e 44:7:5f 45:7:60 46:7:61 47:7:62 48:7:63 49:7:64 4a:7:65 4b:7:66 4c:7:67
4d:7:68 4e:7:69 4f:7:6a 50:7:6b 51:7:6c 52:7:6d 53:7:6e 54:7:6f 55:7:70 56:7:71 57:7:72 58:8:fc
59:7:73 5a:8:fd 5b:13:1ffb 5c:19:7fff0 5d:13:1ffc 5e:14:3ffc 5f:6:22 60:15:7ffd 61:5:3 62:6:23
63:5:4 64:6:24 65:5:5 66:6:25 67:6:26 68:6:27 69:5:6 6a:7:74 6b:7:75 6c:6:28 6d:6:29 6e:6:2a
6f:5:7 70:6:2b 71:7:76 72:6:2c 73:5:8 74:5:9 75:6:2d 76:7:77 77:7:78 78:7:79 79:7:7a 7a:7:7b
"""
    for row in rows.split():
        char, bits, code = row.split(":")
        CODES[int(bits), int(code, 16)] = chr(int(char, 16))


_codes()


def unhuffman(raw):
    out, bits, code = "", 0, 0
    for byte in raw:
        for k in range(7, -1, -1):
            bits, code = bits + 1, code << 1 | byte >> k & 1
            if (bits, code) in CODES:
                out += CODES[bits, code]
                bits = code = 0
    return out


class Server:
    """A node that others call, in threads of its own. What it does is told by two functions, which
    may be changed at any time:

        opened(link, stream)              a stream is asked for; by default it is accepted
        asked(link, stream, request)      bytes of a request have come; True: they are dealt with
    """

    def __init__(self, host="127.0.0.1"):
        self.opened, self.asked = lambda link, s: link.accept(s), None
        self.streams, self.links = 0, []
        self.listener = socket.create_server((host, 0))
        self.inbound = self.listener.getsockname()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                s = self.listener.accept()[0]
            except OSError:
                return
            self.links.append(Link(self, s))
            threading.Thread(target=self.links[-1].run, daemon=True).start()

    # ---- as a node of lib/transport.py's Mesh ----
    def alive(self):
        return False  # it is told no snapshots

    def stop(self):
        self.listener.close()
        for link in self.links:
            link.close()


class Link:
    """One connection to a Server."""

    def __init__(self, server, s):
        self.server, self.s, self.bodies = server, s, {}
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def close(self):
        with contextlib.suppress(OSError):
            self.s.shutdown(socket.SHUT_RDWR)
        self.s.close()

    def send(self, *frames):
        with contextlib.suppress(OSError):
            self.s.sendall(b"".join(frames))

    def accept(self, stream):
        self.send(frame(HEADERS, 4, stream, b"\x88"))

    def refuse(self, stream, status, *fields):
        self.send(frame(HEADERS, 5, stream, block([(":status", str(status)), *fields])))

    def say(self, stream, data, end=False):
        self.send(frame(DATA, 1 if end else 0, stream, data))

    def reset(self, stream, code):
        self.send(frame(RST, 0, stream, struct.pack(">I", code)))

    def goaway(self, last, code=0):
        self.send(frame(GOAWAY, 0, 0, struct.pack(">II", last, code)))

    def _take(self, n):
        data = b""
        while len(data) < n:
            more = self.s.recv(n - len(data))
            if not more:
                raise ConnectionResetError
            data += more
        return data

    def run(self):
        try:
            assert self._take(len(PREFACE)) == PREFACE
            self.send(frame(SETTINGS, 0, 0), frame(WINDOW, 0, 0, struct.pack(">I", 1 << 30)))
            while True:
                head = self._take(9)
                payload = self._take(int.from_bytes(head[:3], "big"))
                self._frame(head[3], head[4], int.from_bytes(head[5:], "big"), payload)
        except OSError:
            self.close()

    def _frame(self, kind, flags, stream, payload):
        if kind == SETTINGS and not flags & 1:
            self.send(frame(SETTINGS, 1, 0))
        elif kind == PING and not flags & 1:
            self.send(frame(PING, 1, 0, payload))
        elif kind == HEADERS:
            self.server.streams += 1
            self.bodies[stream] = b""
            self.server.opened(self, stream)
        elif kind == DATA and payload:
            self.send(frame(WINDOW, 0, stream, struct.pack(">I", len(payload))))
            self.bodies[stream] = self.bodies.get(stream, b"") + payload
            if self.server.asked(self, stream, self.bodies[stream]):
                self.bodies[stream] = b""
