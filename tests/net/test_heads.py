"""The head policy, all 23 rows of it (reference/reliability.md 3.4), in both directions.

    request rows   raw client ──bytes──▶ gossamer ─╳    origin sees nothing of it
                               ◀─ status, Connection: close, Proxy-Status, end of connection
    answer rows    client ─▶ gossamer ─▶ origin, which answers ──bytes──▶ gossamer ─╳
                          ◀─ 502, Proxy-Status          and is asked on another connection next

Every request row is sent whole, byte by byte, and cut in two at each position (at LIGHT positions,
spread evenly, unless GOSSAMER_HEAVY): a verdict may not depend on how the bytes were read.
"""
import collections
import itertools

import pytest

from lib import client, wire
from lib.node import service
from lib.settings import HEAVY, until

LIGHT = 24
Case = collections.namedtuple("Case", "row name data status reached")
#   status   an int, or a tuple where the table leaves a choice
#   reached  "no" nothing reaches the origin · "cut" its head may, whole never · "yes" it is served
REQUESTS = []
GET, POST = "GET /h/@ HTTP/1.1", "POST /h/@ HTTP/1.1"
number = itertools.count()


def row(n, name, status, first, *lines, body=b"", reached=None, host=True, end="\r\n"):
    """@ stands for an id that each try has anew."""
    head = (first + "\r\n" if first is not None else
            "") + ("Host: echo\r\n" if host else "") + "".join(x + "\r\n" for x in lines) + end
    raw(n, name, status, head.encode("latin-1") + body, reached)


def raw(n, name, status, data, reached=None):
    reached = reached or ("yes" if status == 200 else "no")
    REQUESTS.append(
        Case(n, name, data, status if isinstance(status, tuple) else (status, ), reached))


CL5 = "Content-Length: 5"
TE = "Transfer-Encoding: "
CHUNKED = TE + "chunked"
LAST = b"0\r\n\r\n"

row(1, "te then cl", 400, POST, CHUNKED, CL5, body=LAST)
row(1, "cl then te", 400, POST, CL5, CHUNKED, body=LAST)
row(2, "two te lines", 400, POST, CHUNKED, CHUNKED, body=LAST)
row(2, "two te lines, one identity", 400, POST, TE + "identity", CHUNKED, body=LAST)
row(2, "empty te", 400, POST, TE, body=LAST)
row(2, "te of a comma", 400, POST, TE + ",chunked", body=LAST)
row(2, "chunked, identity", 400, POST, TE + "chunked, identity", body=LAST)
row(2, "final coding gzip", 400, POST, TE + "gzip", body=b"hello")
row(2, "chunked, gzip", 400, POST, TE + "chunked, gzip", body=LAST)
row(3, "gzip, chunked", 501, POST, TE + "gzip, chunked", body=LAST)
row(3, "unknown, chunked", 501, POST, TE + "foo, chunked", body=LAST)
row(3, "unknown alone", (400, 501), POST, TE + "xchunked", body=LAST)
row(3, "chunked twice", (400, 501), POST, TE + "chunked, chunked", body=LAST)
row(4, "te in 1.0", 400, "POST /h/@ HTTP/1.0", CHUNKED, body=LAST)
row(5, "cl empty", 400, POST, "Content-Length:", body=b"hello")
for v in ("+5", "-5", "5x", "0x5", "5 5", "1e1", "5_0", "9223372036854775808",
          "99999999999999999999", "3, 5", "5, 5", "5,"):
    row(5, f"cl {v}", 400, POST, f"Content-Length: {v}", body=b"hello")
row(5, "cl that differ", 400, POST, CL5, "Content-Length: 6", body=b"hello!")
row(5, "cl twice the same", 400, POST, CL5, CL5, body=b"hello")
row(6, "twin of cl", 400, POST, "Content_Length: 5", body=b"hello")
row(6, "twin of te", 400, POST, "Transfer_Encoding: chunked", body=LAST)
row(6, "twin beside the real one", 400, POST, CL5, "content_length: 0", body=b"hello")
row(7, "connection names cl", 400, POST, CL5, "Connection: Content-Length", body=b"hello")
row(7, "connection names te", 400, POST, CHUNKED, "Connection: close, transfer-encoding", body=LAST)
row(7, "connection names host", 400, GET, "Connection: host")
row(8, "no host", 400, GET, host=False)
row(8, "no host, absolute target", 400, "GET http://echo/h/@ HTTP/1.1", host=False)
row(8, "two hosts", 400, GET, "Host: other")
row(8, "two equal hosts", 400, GET, "Host: echo")
for v in ("user@echo", "echo/path", "echo, other", "echo other", "echo:port", "echo:99999",
          "echo:80:80", "echo:-1", "http://echo", "ec\"ho", "echo?x", "[::1"):
    row(8, f"host {v}", 400, GET, f"Host: {v}", host=False)
row(9, "folded line", 400, GET, "X-A: b", " folded")
row(9, "folded by a tab", 400, GET, "X-A: b", "\tfolded")
row(9, "first line starts with blank", 400, GET, " X-A: b", host=False)
row(9, "folded length", 400, POST, "X-A: b", " Content-Length: 5", body=b"hello")
row(10, "empty name", 400, GET, ": x")
row(10, "name with space", 400, GET, "X A: b")
row(10, "space before colon", 400, GET, "X-A : b")
row(10, "tab before colon", 400, GET, "X-A\t: b")
row(10, "space before colon of cl", 400, POST, "Content-Length : 5", body=b"hello")
row(10, "no colon", 400, GET, "X-A")
row(10, "name with a bracket", 400, GET, "X(A): b")
row(10, "name with a control byte", 400, GET, "X\x01A: b")
row(10, "name with a high byte", 400, GET, "X\xe9: b")
row(10, "name with NUL", 400, GET, "X\x00A: b")
row(11, "CR in a value", 400, GET, "X-A: b\rc")
row(11, "CR that starts a smuggled line", 400, POST, "X-A: b\rContent-Length: 5", body=b"hello")
raw(11, "bare LF after the request line", 400, b"GET /h/@ HTTP/1.1\nHost: echo\r\n\r\n")
raw(11, "bare LF after a field", 400, b"GET /h/@ HTTP/1.1\r\nHost: echo\nX: y\r\n\r\n")
raw(11, "bare LF at the end", 400,
    b"GET /h/@ HTTP/1.1\r\nHost: echo\r\n\nGET /h/@2 HTTP/1.1\r\nHost: echo\r\n\r\n")
raw(11, "CR CR LF", 400, b"GET /h/@ HTTP/1.1\r\nHost: echo\r\r\n\r\n")
raw(11, "CR, then another byte at the end", 400, b"GET /h/@ HTTP/1.1\r\nHost: echo\r\n\rX")
for c in (0x00, 0x01, 0x08, 0x0b, 0x0c, 0x1b, 0x1f, 0x7f):
    row(11, f"byte {c:02x} in a value", 400, GET, f"X-A: b{chr(c)}c")
row(11, "a tab and a high byte in a value are legal", 200, GET, "X-A: b\tc\xe9")
row(12, "two spaces before the target", 400, "GET  /h/@ HTTP/1.1")
row(12, "two spaces before the version", 400, "GET /h/@  HTTP/1.1")
row(12, "tab", 400, "GET\t/h/@ HTTP/1.1")
row(12, "tab before the version", 400, "GET /h/@\tHTTP/1.1")
row(12, "space before the method", 400, " GET /h/@ HTTP/1.1")
row(12, "space after the version", 400, "GET /h/@ HTTP/1.1 ")
raw(12, "one blank line before", 200, b"\r\nGET /h/@ HTTP/1.1\r\nHost: echo\r\n\r\n")
raw(12, "two blank lines before", 400, b"\r\n\r\nGET /h/@ HTTP/1.1\r\nHost: echo\r\n\r\n")
row(13, "fragment", 400, "GET /h/@#x HTTP/1.1")
row(13, "control byte in the target", 400, "GET /h/@\x01x HTTP/1.1")
row(13, "DEL in the target", 400, "GET /h/@\x7fx HTTP/1.1")
row(13, "NUL in the target", 400, "GET /h/@\x00x HTTP/1.1")
row(13, "UTF-8 in the target", 400, "GET /h/@\xc3\xa9 HTTP/1.1")
row(13, "fragment in an absolute target", 400, "GET http://echo/h/@#x HTTP/1.1")
row(14, "GET *", 400, "GET * HTTP/1.1", "X-Id: @")
row(14, "OPTIONS *", 501, "OPTIONS * HTTP/1.1", "X-Id: @")
row(14, "target without a slash", 400, "GET h/@ HTTP/1.1")
row(15, "0.9 in the line", 505, "GET /h/@ HTTP/0.9")
row(15, "2.0 in the line", 505, "GET /h/@ HTTP/2.0")
row(15, "3.1 in the line", 505, "GET /h/@ HTTP/3.1")
row(15, "1.2 is 1.1", 200, "GET /h/@ HTTP/1.2")
row(15, "1.9 is 1.1", 200, "GET /h/@ HTTP/1.9")
for v in ("HTTP/1.10", "HTTP/1.", "HTTP/1", "HTTP/1,1", "http/1.1", "HTTP /1.1", "HTTPS/1.1",
          "XTTP/1.1"):
    row(15, f"version {v}", (400, 505), f"GET /h/@ {v}")
raw(15, "no version", (400, 505), b"GET /h/@\r\n\r\n")
row(16, "method with @", 400, "G@T /h/@ HTTP/1.1")
row(16, "method with a bracket", 400, "G(T /h/@ HTTP/1.1")
row(16, "method with NUL", 400, "G\x00T /h/@ HTTP/1.1")
row(16, "no method", 400, " /h/@ HTTP/1.1")
row(16, "unknown method", 501, "FOO /h/@ HTTP/1.1")
row(16, "method in lower case", 501, "get /h/@ HTTP/1.1")
row(16, "a known one with a tail", 501, "GETX /h/@ HTTP/1.1")
row(16, "PROPFIND is known", 200, "PROPFIND /h/@ HTTP/1.1")
row(16, "PATCH is known", 200, "PATCH /h/@ HTTP/1.1", CL5, body=b"hello")
for name, body in {
        "17 digits": b"00000000000000005\r\nhello\r\n0\r\n\r\n",
        "17 digits of f": b"fffffffffffffffff\r\nhello\r\n", "not hex": b"5g\r\nhello\r\n0\r\n\r\n",
        "0x": b"0x5\r\nhello\r\n0\r\n\r\n", "plus": b"+5\r\nhello\r\n0\r\n\r\n",
        "minus": b"-5\r\nhello\r\n0\r\n\r\n", "blank before": b" 5\r\nhello\r\n0\r\n\r\n",
        "no digits": b"\r\nhello\r\n0\r\n\r\n",
        "bytes after chunk data": b"5\r\nhelloX\r\n0\r\n\r\n",
        "no CRLF after chunk data": b"5\r\nhello0\r\n\r\n",
        "size line ended by LF": b"5\nhello\r\n0\r\n\r\n",
        "data ended by LF": b"5\r\nhello\n0\r\n\r\n",
        "last line ended by LF": b"5\r\nhello\r\n0\n\r\n",
        "end ended by LF": b"5\r\nhello\r\n0\r\n\n",
        "CR without LF after size": b"5\rhello\r\n0\r\n\r\n"
}.items():
    row(17, f"chunk: {name}", 400, POST, CHUNKED, body=body, reached="cut")
row(17, "16 digits", 200, POST, CHUNKED, body=b"0000000000000005\r\nhello\r\n0\r\n\r\n")
row(18, "legal extensions", 200, POST, CHUNKED, body=b"5;a=b;c=\"d;e\"\r\nhello\r\n0;f\r\n\r\n")
row(18,
    "extension ended by LF",
    400,
    POST,
    CHUNKED,
    body=b"5;a=b\nhello\r\n0\r\n\r\n",
    reached="cut")
row(18,
    "extension with a control byte",
    400,
    POST,
    CHUNKED,
    body=b"5;a=\x01\r\nhello\r\n0\r\n\r\n",
    reached="cut")
row(18,
    "one extension over 4 KiB",
    400,
    POST,
    CHUNKED,
    body=b"5;a=" + b"b" * 5000 + b"\r\nhello\r\n0\r\n\r\n",
    reached="cut")
row(18,
    "many that sum to over 4 KiB",
    400,
    POST,
    CHUNKED,
    body=(b"1;a=" + b"b" * 100 + b"\r\nx\r\n") * 50 + LAST,
    reached="cut")
row(18,
    "many that sum to less",
    200,
    POST,
    CHUNKED,
    body=(b"1;a=" + b"b" * 30 + b"\r\nx\r\n") * 50 + LAST)
for name, line in {
        "no colon": b"X", "space before colon": b"X : y", "folded": b"X: y\r\n z",
        "empty name": b": y", "NUL": b"X: \x00", "bare CR": b"X: a\rb"
}.items():
    row(19,
        f"trailer: {name}",
        400,
        POST,
        CHUNKED,
        body=b"5\r\nhello\r\n0\r\n" + line + b"\r\n\r\n",
        reached="cut")
row(19,
    "trailer line ended by LF",
    400,
    POST,
    CHUNKED,
    body=b"5\r\nhello\r\n0\r\nX: y\n\r\n",
    reached="cut")
row(19,
    "trailers over 8 KiB", (400, 431),
    POST,
    CHUNKED,
    body=b"5\r\nhello\r\n0\r\n" + b"".join(b"X-%d: %b\r\n" % (i, b"y" * 900)
                                           for i in range(12)) + b"\r\n",
    reached="cut")
row(19,
    "forbidden trailers are dropped",
    200,
    POST,
    CHUNKED,
    body=
    b"5\r\nhello\r\n0\r\nContent-Length: 7\r\nTransfer-Encoding: gzip\r\nHost: other\r\n"
    b"Connection: close\r\nX-Sum: ok\r\n\r\n"
    )
row(20, "head over 64 KiB", 431, GET, *[f"X-{i}: {'y' * 1000}" for i in range(70)])
row(20, "one field over 64 KiB", 431, GET, "X-A: " + "y" * 70000)
row(20, "a head that never ends", 431, GET, *[f"X-{i}: {'y' * 1000}" for i in range(80)], end="")
row(20, "101 fields", 431, GET, *[f"X-{i}: y" for i in range(100)])
row(20, "100 fields", 200, GET, *[f"X-{i}: y" for i in range(99)])
row(20, "request line of 17,000", 414, "GET /h/@" + "x" * 17000 + " HTTP/1.1")
row(20, "request line that never ends", 414, None, host=False, end="GET /h/@" + "x" * 30000)
row(20, "request line of 16,000", 200, "GET /h/@?" + "x" * 15980 + " HTTP/1.1")
row(21, "h2c upgrade is stripped", 200, GET, "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c",
    "HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA")
row(21,
    "h2c upgrade with a body",
    200,
    POST,
    "Connection: Upgrade, HTTP2-Settings",
    "Upgrade: h2c",
    "HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA",
    CL5,
    body=b"hello")
row(21, "settings alone", 200, GET, "HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA")
row(22,
    "upgrade with a body",
    400,
    POST,
    "Connection: Upgrade",
    "Upgrade: websocket",
    CL5,
    body=b"hello")
row(22,
    "upgrade with a chunked body",
    400,
    POST,
    "Connection: Upgrade",
    "Upgrade: websocket",
    CHUNKED,
    body=LAST)


@pytest.fixture(scope="module")
def pair(module_bench):
    o = module_bench.origin("echo")

    async def h(c, req, seg, q):  # /h/ID: what came, or nothing of it
        if await c.body():
            await c.answer(200, f"{req.length}".encode(),
                           [("X-Trailers", ",".join(k for k, _ in req.trailers))], req.method)

    o.scripts["h"] = h
    return module_bench.node([service("echo", [o])]), o


def spread(length, n):
    """Cut positions: all of them, or n spread evenly, the ends included."""
    if length - 1 <= n:
        return list(range(1, length))
    return sorted({1 + i * (length - 2) // (n - 1) for i in range(n)})


def ways(data):
    """The lists of cuts that a request is sent with."""
    yield ()
    if len(data) <= 600:
        yield range(1, len(data))
    n = len(data) if HEAVY and len(data) <= 2000 else 200 if HEAVY else LIGHT if len(
        data) <= 2000 else 6
    for k in spread(len(data), n):
        yield (k, )


def refused(m, case):
    assert m.status in case.status, f"{m!r}, wanted {case.status}"
    assert "close" in m.tokens("Connection"), f"no Connection: close in {m!r}"
    ps = wire.proxy_status(m)
    assert ps.get("by") == "gossamer" and ps.get("error") == "http_request_error", m


@pytest.mark.parametrize("case", REQUESTS, ids=lambda c: f"{c.row}-{c.name}")
def test_request(pair, case):
    node, origin = pair
    tries = []
    assert b"@" in case.data
    for cuts in ways(case.data):
        ident = f"{next(number):06d}"  # always as long: positions mean the same in every try
        data = case.data.replace(b"/h/@",
                                 b"/h/" + ident.encode()).replace(b"Id: @",
                                                                  b"Id: " + ident.encode())
        tries.append(ident)
        with node.conn(timeout=5) as c:
            c.send(data, cuts)
            try:
                m = c.answer(data.split(b" ")[0].decode("latin-1").strip())
            except (client.Cut, TimeoutError) as e:
                raise AssertionError(f"cuts {list(cuts)[:3]}: {e!r}") from e
            if case.reached == "yes":
                assert m.status == 200, f"cuts {list(cuts)[:3]}: {m!r}"
                assert c.ask(target="/id/next").body == b"next\n"  # and the connection goes on
            else:
                refused(m, case)
                assert c.until_closed() == b"", f"cuts {list(cuts)[:3]}: bytes after the refusal"
    # a good request afterwards: whatever was on its way to the origin is there by now
    assert node.ask(target="/id/after").body == b"after\n"
    mine = [
        r for r in origin.seen if any(t in r.target or t in (r.get("X-Id") or "") for t in tries)
    ]
    if case.reached == "no":
        assert not mine, f"the origin saw {mine[:3]}"
    elif case.reached == "cut":
        assert not [r for r in mine if r.complete], f"the origin took {mine[:3]} for whole"
    else:
        assert len(mine) == len(tries) and all(r.complete for r in mine)
        for r in mine:
            assert not r.all("Upgrade") and not r.all("HTTP2-Settings") and {
                k
                for k, _ in r.trailers
            } <= {"X-Sum"}, r
    if case.name.startswith("forbidden trailers"):
        assert all(r.trailers == [("X-Sum", "ok")] for r in mine)
    assert not origin.violations and origin.cut_heads == 0


def test_every_row_is_there():
    rows = {c.row for c in REQUESTS} | {a.row for a in ANSWERS}
    assert rows == set(range(1, 24))


# ---- answers ----

Answer = collections.namedtuple("Answer", "row name data want")
#   want   "502" · "large" 502 for its size · "cut" 502, or an answer seen to be cut
#          "extra" the part before the fault passes, or 502; never anything of what follows
ANSWERS = []
OK = "HTTP/1.1 200 OK"


def ans(n, name, want, first, *lines, body=b""):
    ANSWERS.append(
        Answer(n, name,
               (first + "\r\n" + "".join(x + "\r\n"
                                         for x in lines) + "\r\n").encode("latin-1") + body, want))


ans(1, "te then cl", "502", OK, CHUNKED, CL5, body=LAST)
ans(1, "cl then te", "502", OK, CL5, CHUNKED, body=LAST)
ans(2, "two te lines", "502", OK, CHUNKED, CHUNKED, body=LAST)
ans(2, "empty te", "502", OK, TE, body=b"hello")
ans(2, "te of a comma", "502", OK, TE + ",chunked", body=LAST)
ans(2, "chunked, identity", "502", OK, TE + "chunked, identity", body=LAST)
ans(2, "final coding gzip", "502", OK, TE + "gzip", body=b"hello")
ans(3, "gzip, chunked", "502", OK, TE + "gzip, chunked", body=LAST)
ans(3, "unknown coding", "502", OK, TE + "foo, chunked", body=LAST)
ans(4, "te in 1.0", "502", "HTTP/1.0 200 OK", CHUNKED, body=LAST)
for v in ("", "+5", "-5", "5x", "9223372036854775808", "3, 5", "5, 5"):
    ans(5, f"cl {v or 'empty'}", "502", OK, f"Content-Length: {v}", body=b"hello")
ans(5, "cl that differ", "502", OK, CL5, "Content-Length: 6", body=b"hello!")
ans(5, "cl twice the same", "502", OK, CL5, CL5, body=b"hello")
ans(6, "twin of cl", "502", OK, "Content_Length: 5", body=b"hello")
ans(6, "twin of te", "502", OK, "Transfer_Encoding: chunked", body=LAST)
ans(7, "connection names cl", "502", OK, CL5, "Connection: content-length", body=b"hello")
ans(9, "folded line", "502", OK, "X-A: b", " folded", CL5, body=b"hello")
ans(9, "first line starts with blank", "502", OK, " X-A: b", CL5, body=b"hello")
for name, line in {
        "empty name": ": x", "name with space": "X A: b", "space before colon": "X-A : b",
        "no colon": "X-A", "NUL in the name": "X\x00: b"
}.items():
    ans(10, name, "502", OK, line, CL5, body=b"hello")
ans(11, "CR in a value", "502", OK, "X-A: b\rc", CL5, body=b"hello")
ans(11, "NUL in a value", "502", OK, "X-A: b\x00c", CL5, body=b"hello")
ans(11, "control byte in a value", "502", OK, "X-A: b\x1bc", CL5, body=b"hello")
ANSWERS += [
    Answer(11, "bare LF", b"HTTP/1.1 200 OK\nContent-Length: 5\r\n\r\nhello", "502"),
    Answer(11, "bare LF after a field", b"HTTP/1.1 200 OK\r\nContent-Length: 5\n\r\nhello", "502"),
    Answer(11, "CR without LF at the end", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\rXhello",
           "502"),
    Answer(23, "no HTTP at all", b"SSH-2.0-OpenSSH_9.2p1 Debian\r\n\r\n", "502"),
    Answer(23, "random bytes", wire.derived("garbage", 300), "502"),
    Answer(23, "only a body", b"<html>hello</html>\r\n\r\n", "502"),
    Answer(23, "an empty line", b"\r\n\r\n\r\n", "502")
]
ans(12, "two spaces in the status line", "502", "HTTP/1.1  200 OK", CL5, body=b"hello")
ans(12, "tab in the status line", "502", "HTTP/1.1\t200 OK", CL5, body=b"hello")
for v in ("HTTP/2.0", "HTTP/0.9", "HTTP/3.1", "http/1.1", "HTTP/11"):
    ans(15, f"version {v}", "502", f"{v} 200 OK", CL5, body=b"hello")
for name, body in {
        "not hex": b"5g\r\nhello\r\n0\r\n\r\n",
        "17 digits": b"00000000000000005\r\nhello\r\n0\r\n\r\n",
        "bytes after chunk data": b"5\r\nhelloX\r\n0\r\n\r\n",
        "size line ended by LF": b"5\nhello\r\n0\r\n\r\n",
        "data ended by LF": b"5\r\nhello\n0\r\n\r\n", "end ended by LF": b"5\r\nhello\r\n0\r\n\n"
}.items():
    ans(17, f"chunk: {name}", "cut", OK, CHUNKED, body=body)
ans(18,
    "extensions over 4 KiB",
    "cut",
    OK,
    CHUNKED,
    body=b"5;a=" + b"b" * 5000 + b"\r\nhello\r\n0\r\n\r\n")
ans(19, "trailer without colon", "cut", OK, CHUNKED, body=b"5\r\nhello\r\n0\r\nX\r\n\r\n")
ans(19,
    "trailer with space before colon",
    "cut",
    OK,
    CHUNKED,
    body=b"5\r\nhello\r\n0\r\nX : y\r\n\r\n")
ans(20,
    "head over 64 KiB",
    "large",
    OK,
    *[f"X-{i}: {'y' * 1000}" for i in range(70)],
    CL5,
    body=b"hello")
ans(20, "101 fields", "large", OK, *[f"X-{i}: y" for i in range(100)], CL5, body=b"hello")
ans(22, "101 that nobody asked for", "502", "HTTP/1.1 101 Switching Protocols",
    "Connection: Upgrade", "Upgrade: websocket")
ans(22, "101 bare", "502", "HTTP/1.1 101 Switching Protocols")
for v in ("20", "2000", "2x0", "099", "000", "-20", "+200", "0x1f4"):
    ans(23, f"status {v}", "502", f"HTTP/1.1 {v} OK", CL5, body=b"hello")
ans(23, "bytes after the end", "extra", OK, CL5, body=b"helloWORLD")
ans(23,
    "two heads",
    "extra",
    OK,
    CL5,
    body=b"hello" + wire.head("HTTP/1.1 200 OK", [("Content-Length", 4),
                                                  ("X-Smuggled", 1)]) + b"evil")
ans(23, "bytes after the last chunk", "extra", OK, CHUNKED, body=b"5\r\nhello\r\n0\r\n\r\nWORLD")
ans(23, "204 with a body", "extra", "HTTP/1.1 204 No Content", body=b"hello")
ans(23, "204 with a length and a body", "extra", "HTTP/1.1 204 No Content", CL5, body=b"hello")
ans(23, "304 with a body", "extra", "HTTP/1.1 304 Not Modified", CL5, body=b"hello")
ans(23,
    "1xx with a length and a body",
    "502",
    "HTTP/1.1 103 Early Hints",
    CL5,
    body=b"hello" + wire.head(OK, [("Content-Length", 5)]) + b"hello")
ans(23,
    "1xx with a chunked body",
    "502",
    "HTTP/1.1 103 Early Hints",
    CHUNKED,
    body=LAST + wire.head(OK, [("Content-Length", 5)]) + b"hello")
ans(23,
    "1xx with a body",
    "502",
    "HTTP/1.1 103 Early Hints",
    body=b"hello\r\n" + wire.head(OK, [("Content-Length", 5)]) + b"hello")
ANSWERS.append(
    Answer(
        23, "17 interim answers", b"HTTP/1.1 103 Early Hints\r\n\r\n" * 17 +
        wire.head(OK, [("Content-Length", 5)]) + b"hello", "502"))


@pytest.mark.parametrize("then", ["keep", "close"])
@pytest.mark.parametrize("case", ANSWERS, ids=lambda c: f"{c.row}-{c.name}")
def test_answer(pair, case, then):
    node, origin = pair
    key = f"{next(number):06d}"
    origin.raw[key] = (case.data, "hold" if then == "keep" else "close")
    n = 40 if HEAVY else 5
    # what comes after the end comes with it: sent a moment later it could meet the next request
    upto = case.data.index(b"\r\n\r\n") if case.want == "extra" else len(case.data)
    for at in [0] + (spread(upto, n if upto < 2000 else 2) if then == "keep" else []):
        before = len(origin.seen)
        with node.conn(timeout=5) as c:
            c.send(client.request(target=f"/raw/{key}?at={at}"))
            try:
                m = c.answer()
            except client.Cut as e:
                assert case.want == "cut", f"at {at}: {e}"
                m = None
            if m is not None:
                judge_answer(m, case, at)
                if m.keeps:  # nothing of the rest may come with the next answer
                    assert c.ask(target="/id/same").body == b"same\n"
        mine = [r for r in origin.seen[before:] if r.target.startswith(f"/raw/{key}")]
        assert len(mine) == 1, f"at {at}: asked {len(mine)} times"
        used = origin.conns[mine[0].conn]
        until("the faulty connection is closed by the proxy", lambda: used.closed_at is not None, 3)
        for _ in range(2):
            assert node.ask(target="/id/other").body == b"other\n"
        later = origin.seen[origin.seen.index(mine[0]) + 1:]
        assert not [r
                    for r in later if r.conn == used.number], "the faulty connection was used again"


def judge_answer(m, case, at):
    if m.status == 502:
        error = {"large": "http_response_header_section_size"}.get(case.want, "http_protocol_error")
        ps = wire.proxy_status(m)
        assert ps.get("by") == "gossamer" and ps.get("error") == error, f"at {at}: {m!r}"
        return
    assert case.want == "extra", f"at {at}: {m!r}"
    status = int(case.data.split(b" ")[1])
    assert m.status == status and bytes(
        m.body) == (b"hello" if status == 200 else b""), f"at {at}: {m!r}"
