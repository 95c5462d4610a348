"""A strict reader of HTTP/1.x, without sockets: bytes in, one message at a time out. Origins and
clients both use it, so whatever gossamer writes in either direction is judged by it.

    feed(bytes) ─▶ [head] ─▶ msg ─▶ [none | length | chunked | until close] ─▶ finished ─▶ next()
                     └─ 1xx: kept in msg.interim of the final answer

It accepts less than RFC 9112 allows: what a proxy that re-serialises has no reason to write is an
error here (obsolete folding, bare LF, chunk extensions, two lengths, a body where none may be).
"""
import hashlib
import re

TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
VALUE = re.compile(rb"(?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?\Z")
TARGET = re.compile(rb"[\x21-\x7e]+\Z")
REQUEST = re.compile(rb"([^ ]+) ([^ ]+) HTTP/(\d)\.(\d)\Z")
STATUS = re.compile(rb"HTTP/(\d)\.(\d) ([1-9]\d\d) ([\t\x20-\x7e\x80-\xff]*)\Z")
HEX = re.compile(rb"[0-9A-Fa-f]{1,16}\Z")
HEAD_MAX = 1 << 20


class Bad(Exception):
    """The bytes are not a message that gossamer may have written."""


class Message:

    def __init__(self):
        self.method = self.target = self.phrase = None
        self.status = 0
        self.version = (1, 1)
        self.fields = []  # (name, value) as text, in order
        self.framing = None  # none | length | chunked | close
        self.body = bytearray()  # its first `keep` bytes
        self.length = 0  # bytes of body seen
        self.sha = hashlib.sha256()
        self.trailers = []
        self.interim = []
        self.complete = False  # it ended as its framing says

    def all(self, name):
        return [v for k, v in self.fields if k.lower() == name.lower()]

    def get(self, name, default=None):
        found = self.all(name)
        if len(found) > 1:
            raise Bad(f"{name} came {len(found)} times")
        return found[0] if found else default

    def tokens(self, name):
        return [t.strip().lower() for v in self.all(name) for t in v.split(",") if t.strip()]

    @property
    def keeps(self):
        """Does the connection outlive this message, by version, Connection and framing?"""
        t = self.tokens("Connection")
        if self.framing == "close" or "close" in t:
            return False
        return self.version >= (1, 1) or "keep-alive" in t

    def __repr__(self):
        first = f"{self.method} {self.target}" if self.method else f"{self.status} {self.phrase}"
        ended = "whole" if self.complete else "cut"
        return f"<{first} {self.fields} body {self.length} {ended} {bytes(self.body[:80])!r}>"


def fields_of(block):
    """The field lines of a head or trailer section, each without its CRLF."""
    out = []
    for line in block:
        name, colon, value = line.partition(b":")
        if not colon or not TOKEN.match(name):
            raise Bad(f"field line {line[:80]!r}")
        value = value.strip(b" \t")
        if not VALUE.match(value):
            raise Bad(f"field value {line[:80]!r}")
        out.append((name.decode("latin-1"), value.decode("latin-1")))
    return out


class Reader:

    def __init__(self, answers, keep=1 << 20, hashing=False):
        self.answers, self.keep, self.hashing = answers, keep, hashing
        self.rest = bytearray()
        self.method = "GET"  # of the request whose answer comes next
        self.seen = 0  # bytes of the present message, its head included
        self._fresh()

    def _fresh(self):
        self.msg, self.finished, self.interim = None, False, []
        self._state, self._left, self.seen = "head", 0, 0

    def next(self, method="GET"):
        """Go on to the next message; only after `finished`."""
        assert self.finished
        self.method = method
        self._fresh()
        if self.rest:
            self.feed(b"")

    def feed(self, data):
        """Take bytes as far as the end of the present message; the rest waits for next()."""
        if self.finished:
            self.rest += data
            return
        if self._state == "data" and not self.rest:
            data = self._body(data)  # large bodies never pass through `rest`
            if not data or self.finished:
                self.rest += data
                return
        self.rest += data
        while not self.finished and getattr(self, "_on_" + self._state)():
            pass

    def eof(self):
        """The connection ended. True if that is a legal end (between messages, or of a body that
        lasts until the close)."""
        if self._state == "close":
            self._end()
        elif self.msg is None and not self.rest and not self.interim and not self.finished:
            return True
        return self.finished

    # ---- states: each returns True if it moved on ----
    def _line(self):
        at = self.rest.find(b"\n")
        if at < 0:
            if len(self.rest) > HEAD_MAX:
                raise Bad("a line without end")
            return None
        line = bytes(self.rest[:at + 1])
        del self.rest[:at + 1]
        self.seen += at + 1
        if not line.endswith(b"\r\n") or b"\r" in line[:-2]:
            raise Bad(f"line end of {line[-80:]!r}")
        return line[:-2]

    def _on_head(self):
        end = self.rest.find(b"\r\n\r\n")
        if end < 0:
            if len(self.rest) > HEAD_MAX or self.rest.startswith((b"\r", b"\n")):
                raise Bad(f"head {bytes(self.rest[:80])!r}")
            return False
        block = bytes(self.rest[:end])
        del self.rest[:end + 4]
        self.seen += end + 4
        if re.search(rb"(?<!\r)\n|\r(?!\n)", block):
            raise Bad(f"bare CR or LF in {block[:200]!r}")
        first, *lines = block.split(b"\r\n")
        m = Message()
        m.fields = fields_of(lines)
        self._start_line(m, first)
        self._frame(m)
        if self.answers and m.status < 200:
            self.interim.append(m)
            return True
        m.interim, self.msg = self.interim, m
        if m.framing == "none" or m.framing == "length" and self._left == 0:
            self._end()
        else:
            self._state = {"length": "data", "chunked": "size", "close": "close"}[m.framing]
        return True

    def _start_line(self, m, first):
        if self.answers:
            hit = STATUS.match(first)
            if not hit:
                raise Bad(f"status line {first[:80]!r}")
            m.status, m.phrase = int(hit[3]), hit[4].decode("latin-1")
            m.version = (int(hit[1]), int(hit[2]))
        else:
            hit = REQUEST.match(first)
            if not hit or not TOKEN.match(hit[1]) or not TARGET.match(hit[2]):
                raise Bad(f"request line {first[:80]!r}")
            m.method, m.target = hit[1].decode(), hit[2].decode("latin-1")
            m.version = (int(hit[3]), int(hit[4]))
        if m.version not in ((1, 0), (1, 1)):
            raise Bad(f"version in {first[:80]!r}")

    def _frame(self, m):
        te, cl = m.all("Transfer-Encoding"), m.all("Content-Length")
        if len(te) > 1 or len(cl) > 1 or te and cl:
            raise Bad(f"framing told twice: {te} {cl}")
        if te and (te[0].lower() != "chunked" or m.version < (1, 1)):
            raise Bad(f"Transfer-Encoding {te} in {m.version}")
        if cl and not re.fullmatch(r"\d{1,19}", cl[0]):
            raise Bad(f"Content-Length {cl}")
        if self.answers and m.status < 200 and (te or cl):
            raise Bad(f"framing {te} {cl} in a {m.status}")
        if self.answers and m.status == 204 and (te or cl):
            raise Bad(f"framing {te} {cl} in a 204")
        bodyless = m.status < 200 or m.status in (204, 304) or self.method == "HEAD"
        if self.answers and bodyless:
            m.framing = "none"
        elif te:
            m.framing = "chunked"
        elif cl:
            m.framing, self._left = "length", int(cl[0])
        else:
            m.framing = "close" if self.answers else "none"

    def _body(self, data):
        """Bytes of a body (length or one chunk): returns what is left over."""
        part = data[:self._left] if len(data) > self._left else data
        m = self.msg
        if m.length < self.keep:
            m.body += part[:self.keep - m.length]
        if self.hashing:
            m.sha.update(part)
        m.length += len(part)
        self.seen += len(part)
        self._left -= len(part)
        if self._left == 0:
            if m.framing == "length":
                self._end()
            else:
                self._state = "after"
        return data[len(part):] if len(part) < len(data) else b""

    def _on_data(self):
        if not self.rest:
            return False
        data = bytes(self.rest)
        self.rest.clear()
        self.rest += self._body(data)
        return self._state != "data"

    def _on_close(self):
        if self.rest:
            self._left = len(self.rest) + 1
            data = bytes(self.rest)
            self.rest.clear()
            self._body(data)
        return False

    def _on_size(self):
        line = self._line()
        if line is None:
            return False
        if not HEX.match(line):
            raise Bad(f"chunk size {line[:80]!r}")
        self._left = int(line, 16)
        self._state = "data" if self._left else "trailers"
        return True

    def _on_after(self):
        if len(self.rest) < 2:
            return False
        if self.rest[:2] != b"\r\n":
            raise Bad(f"after a chunk: {bytes(self.rest[:20])!r}")
        del self.rest[:2]
        self.seen += 2
        self._state = "size"
        return True

    def _on_trailers(self):
        line = self._line()
        if line is None:
            return False
        if line:
            self.msg.trailers += fields_of([line])
        else:
            self._end()
        return True

    def _end(self):
        self.finished = self.msg.complete = True
        self._state = "end"


def chunk(data):
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""


def chunks(data, size=1000, trailers=()):
    """A whole chunked body."""
    out = b"".join(chunk(data[i:i + size]) for i in range(0, len(data), size))
    end = "".join(f"{k}: {v}\r\n" for k, v in trailers)
    return out + b"0\r\n" + end.encode("latin-1") + b"\r\n"


def head(first, fields):
    lines = "".join(f"{k}: {v}\r\n" for k, v in fields)
    return f"{first}\r\n{lines}\r\n".encode("latin-1")


def derived(ident, length):
    """The body that belongs to an id: bytes depend on their position, a shorter one is a prefix."""
    return hashlib.shake_128(ident.encode()).digest(length)


def proxy_status(msg):
    """Proxy-Status (RFC 9209) as {"by": name, "error": ..., "details": ...}; {} when absent."""
    value = msg.get("Proxy-Status")
    if value is None:
        return {}
    parts = re.findall(r'(?:"(?:[^"\\]|\\.)*"|[^;])+', value)
    out = {"by": parts[0].strip()}
    for p in parts[1:]:
        k, eq, v = p.strip().partition("=")
        if not eq:
            raise Bad(f"Proxy-Status {value!r}")
        out[k] = v[1:-1] if v.startswith('"') else v
    return out
