"""How messages begin and end, and whose they are.

    raw client ─▶ gossamer ─▶ origin "echo"      (service echo.default:80)
                          ├─▶ origin "tools"     (service tools.ai:8080)
                          └─▶ nobody             (service empty.default:80, never passed a check)
"""
import json

import pytest

from lib import client, wire
from lib.client import Cut, request
from lib.node import free_port, service
from lib.origin import pattern, pattern_sha
from lib.settings import until


@pytest.fixture(scope="module")
def net(module_bench):
    b = module_bench
    o, t = b.origin("echo", hashing=True), b.origin("tools")
    n = b.node([
        service("echo", [o]),
        service("tools", [t], namespace="ai", port=8080),
        service("empty", [free_port()])
    ],
               healthy=False)
    n.wait_states("echo", ["healthy"])
    n.wait_states("tools", ["healthy"])
    return n, o, t


def refusal(m, status, error):
    ps = wire.proxy_status(m)
    assert (m.status, ps.get("by"), ps.get("error")) == (status, "gossamer", error), m


# ---- names ----

SPELLINGS = [
    "echo", "echo:80", "echo.default", "echo.default:80", "echo.default.svc.cluster.local",
    "echo.default.svc.cluster.local:80", "echo.mesh", "ECHO", "Echo.Default",
    "eChO.DEFAULT.svc.CLUSTER.local:80", "ECHO.MESH"
]


@pytest.mark.parametrize("host", SPELLINGS)
def test_host_spellings(net, host):
    n, o, _ = net
    assert n.ask(target="/who", host=host).get("X-Origin") == "echo"
    assert n.ask(target=f"http://{host}/who", host=host).get("X-Origin") == "echo"


@pytest.mark.parametrize("host",
                         ["tools.ai:8080", "tools.ai.svc.cluster.local:8080", "TOOLS.ai:8080"])
def test_other_namespace_and_port(net, host):
    n, _, t = net
    assert n.ask(target="/who", host=host).get("X-Origin") == "tools"


@pytest.mark.parametrize("host", [
    "nobody", "echo.other", "echo.default.svc.example.org", "default.echo", "127.0.0.1",
    "localhost", "example.com", "xecho", "echo.default.extra", "echo:81", "echo.default:8080",
    "tools.ai", "tools.ai:80", "tools:8080"
])
def test_unknown_service_or_port_is_404(net, host):
    n, o, t = net
    before = len(o.seen) + len(t.seen)
    refusal(n.ask(target="/x", host=host), 404, "destination_not_found")
    refusal(n.ask(target=f"http://{host}/x", host=host), 404, "destination_not_found")
    assert len(o.seen) + len(t.seen) == before


def test_the_origin_sees_origin_form_and_the_callers_host(net):
    n, o, _ = net
    for target, want in (("http://echo.default/echo?a=b&c=%2F", "/echo?a=b&c=%2F"),
                         ("http://echo.default:80", "/"), ("http://echo.default?q=1", "/?q=1"),
                         ("/echo//a/../b?x", "/echo//a/../b?x")):
        m = n.ask(target=target, host="echo.default")
        assert m.status == 200 and o.seen[-1].target == want, (target, o.seen[-1])
        assert o.seen[-1].get("Host") in ("echo.default", "echo.default:80")


def test_the_absolute_target_beats_host(net):
    """RFC 9112 3.2.2: the authority of an absolute target replaces Host."""
    n, o, t = net
    assert n.ask(target="http://tools.ai:8080/who", host="echo").get("X-Origin") == "tools"
    assert t.seen[-1].get("Host") == "tools.ai:8080"


def test_no_healthy_endpoint_is_503(net):
    n, *_ = net
    refusal(n.ask(host="empty"), 503, "destination_unavailable")
    until("flag UH in stat", lambda: n.stat("empty", "outbound")["flags"].get("UH", 0) >= 1)


def test_connect_refused_is_503(bench):
    """The instance passed its check, then it went: the next check is a minute away."""
    n, o = bench.echo(health={"tcp": True, "interval": "60s"})
    assert n.ask().status == 200
    o.refuse()
    refusal(n.ask("POST", body=b"x"), 503, "connection_refused")
    refusal(n.ask(), 503, "connection_refused")
    o.resume()
    until("served again", lambda: n.ask().status == 200)


# ---- methods that are not forwarded as they are ----


def test_connect_is_501(net):
    n, *_ = net
    for target in ("echo:80", "127.0.0.1:22", "echo.default:443"):
        with n.conn() as c:
            c.send(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode())
            refusal(c.answer("GET"), 501, "http_request_error")
            assert c.until_closed() == b""


def test_websocket_upgrade_is_stripped(net):
    n, o, _ = net
    fields = [("Connection", "Upgrade"), ("Upgrade", "websocket"),
              ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="), ("Sec-WebSocket-Version", "13")]
    m = n.ask(target="/echo", fields=fields)
    names = {k.lower() for k, _ in json.loads(m.body)["fields"]}
    assert m.status == 200 and "upgrade" not in names and "sec-websocket-key" in names


def test_h2c_upgrade_is_stripped(net):
    n, *_ = net
    m = n.ask("POST",
              "/echo",
              body=b"body",
              fields=[("Connection", "Upgrade, HTTP2-Settings"), ("Upgrade", "h2c"),
                      ("HTTP2-Settings", "AAMAAABkAAQCAAAAAAIAAAAA")])
    seen = json.loads(m.body)
    assert m.status == 200 and seen["body"] == "body" and not {"upgrade", "http2-settings"} & {
        k.lower()
        for k, _ in seen["fields"]
    }


def test_unasked_101_is_502(net):
    n, o, _ = net
    o.raw["101"] = (
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nraw",
        "hold")
    refusal(n.ask(target="/raw/101"), 502, "http_protocol_error")
    # asking does not help while an upgrade is stripped
    refusal(n.ask(target="/raw/101", fields=[("Connection", "Upgrade"), ("Upgrade", "websocket")]),
            502, "http_protocol_error")


def test_hop_by_hop_fields_do_not_pass(net):
    n, o, _ = net
    m = n.ask(target="/echo",
              fields=[("Connection", "X-Mine, keep-alive"), ("X-Mine", "1"),
                      ("Keep-Alive", "timeout=9"), ("Proxy-Connection", "keep-alive"),
                      ("TE", "gzip"), ("gossamer-caller", "ns/evil"), ("X-Kept", "a"),
                      ("X-Kept", "b")])
    seen = json.loads(m.body)["fields"]
    assert [v for k, v in seen if k == "X-Kept"] == ["a", "b"]
    assert not {"x-mine", "keep-alive", "proxy-connection", "te", "gossamer-caller"
                } & {k.lower()
                     for k, _ in seen}
    m = n.ask(target="/hop")
    assert m.body == b"hop" and m.get("X-Public") == "1"
    assert not {"x-private", "keep-alive", "upgrade"} & {k.lower() for k, _ in m.fields}


# ---- bodies ----


@pytest.mark.parametrize("version", ["1.1", "1.0"])
@pytest.mark.parametrize("target", [
    "/bytes/0", "/bytes/1", "/bytes/300000", "/chunked/0", "/chunked/1", "/chunked/300000",
    "/chunked/300000?size=1000", "/http10/70000", "/http10-open/70000", "/http10-open/0",
    "/until-close/70000"
])
def test_answer_bodies(net, target, version):
    n, *_ = net
    length = int(target.partition("?")[0].rpartition("/")[2])
    for _ in range(2):
        m = n.ask(target=target, version=version)
        assert m.status == 200 and m.complete and m.length == length and m.body == b"".join(
            pattern(length)), m
        assert version == "1.1" or not m.all("Transfer-Encoding")


@pytest.mark.parametrize("size", [0, 1, 100, 65536, 300000])
@pytest.mark.parametrize("chunked", [False, True])
def test_request_bodies(net, size, chunked):
    n, *_ = net
    body = b"".join(pattern(size))
    for method in ("POST", "PUT", "DELETE"):
        got = json.loads(n.ask(method, "/sink", body=body, chunked=chunked).body)
        assert got["length"] == size and got["sha256"] == pattern_sha(size)
        assert got["framing"] == ("chunked" if chunked else "length") or size == 0


def test_a_get_may_have_a_body(net):
    n, *_ = net
    with n.conn() as c:
        assert json.loads(c.ask("GET", "/echo", body=b"query").body)["body"] == "query"
        assert c.ask(target="/id/after").body == b"after\n"


def test_no_body_by_method_and_status(net):
    """HEAD, 204 and 304 end with their head: the next answer on the connection is the next one."""
    n, *_ = net
    with n.conn() as c:
        for method, target, status in (("HEAD", "/bytes/5000", 200), ("HEAD", "/chunked/5000", 200),
                                       ("GET", "/status/204", 204), ("GET", "/status/304", 304),
                                       ("HEAD", "/id/x", 200), ("DELETE", "/status/204", 204)):
            m = c.ask(method, target)
            assert (m.status, m.length) == (status, 0)
            assert c.ask(target="/id/next").body == b"next\n", (method, target)
        assert c.ask("HEAD", "/bytes/5000").get("Content-Length") == "5000"
        assert c.ask(target="/status/304").get("ETag") == '"x"'


def test_trailers_pass(net):
    n, o, _ = net
    m = n.ask(target="/chunked/5000?trailers=1", fields=[("TE", "trailers"), ("Connection", "TE")])
    assert dict(m.trailers) == {"X-Length": "5000", "X-Sha256": pattern_sha(5000)}
    with n.conn() as c:
        c.send(
            wire.head("POST /echo HTTP/1.1", [("Host", "echo"), ("Transfer-Encoding", "chunked"),
                                              ("Trailer", "X-Sum")]) +
            wire.chunks(b"hello", 2, [("X-Sum", "5"), ("Content-Length", "9")]))
        got = json.loads(c.answer().body)
    assert got["body"] == "hello" and got["trailers"] == [["X-Sum", "5"]]


def test_interim_answers_pass(net):
    n, *_ = net
    m = n.ask(target="/interim?codes=102,103,103")
    assert [i.status for i in m.interim] == [102, 103, 103
                                             ] and m.body == b"final" and m.interim[1].get("Link")
    m = n.ask(target="/interim?codes=103", version="1.0")
    assert m.interim == [] and m.body == b"final"  # RFC 9110 15.2: not to a client of HTTP/1.0


# ---- HTTP/1.0 clients ----


def test_http10_without_keep_alive(net):
    n, *_ = net
    for target in ("/bytes/5000", "/chunked/5000", "/until-close/5000"):
        with n.conn() as c:
            c.send(request(target=target, version="1.0"))
            m = c.answer()
            assert m.complete and m.length == 5000 and "keep-alive" not in m.tokens("Connection")
            assert c.until_closed() == b""


def test_http10_with_keep_alive(net):
    n, *_ = net
    with n.conn() as c:
        for i in range(3):
            m = c.ask(target=f"/id/{i}", version="1.0", fields=[("Connection", "keep-alive")])
            assert m.body == f"{i}\n".encode() and "keep-alive" in m.tokens("Connection")
        # an answer of unknown length can only end with the connection
        m = c.ask(target="/chunked/5000", version="1.0", fields=[("Connection", "keep-alive")])
        assert m.length == 5000 and m.framing == "close" and "keep-alive" not in m.tokens(
            "Connection")
    # Host is not required in 1.0, but a mesh cannot route without a name
    assert n.ask(target="/x", version="1.0", host=None).status in (400, 404)


def test_connection_close_is_honoured(net):
    n, o, _ = net
    with n.conn() as c:
        m = c.ask(target="/id/1", fields=[("Connection", "close")])
        assert m.body == b"1\n" and "close" in m.tokens("Connection")
        assert c.until_closed() == b""
    # the close of one side is not the close of the other
    with n.conn() as c:
        for _ in range(3):
            m = c.ask(target="/until-close/100")
            if not m.keeps:
                break
            assert m.length == 100
        assert n.ask(target="/id/2").body == b"2\n"


# ---- ends that are no ends ----


@pytest.mark.parametrize("version", ["1.1", "1.0"])
@pytest.mark.parametrize("how", ["length", "chunked", "length?reset=1", "chunked?reset=1"])
def test_a_cut_answer_is_seen_as_cut(net, how, version):
    """Also by a client of HTTP/1.0, which was told no length: only a reset can tell it."""
    n, *_ = net
    with pytest.raises(Cut) as e:
        n.ask(target=f"/cut/{how}", version=version)
    assert e.value.msg is None or e.value.msg.status == 200


def test_a_reset_is_not_the_end_of_an_until_close_body(net):
    n, o, _ = net
    with n.conn() as c:
        c.send(request(target="/until-reset/3000?gate=ur"))
        assert c.head().status == 200
        o.open_gate("ur")
        with pytest.raises(Cut):
            c.answer()


@pytest.mark.parametrize("how", ["zero", "head", "zero?reset=1", "head?reset=1"])
def test_closed_before_the_head(net, how):
    n, o, _ = net
    before = len(o.seen)
    refusal(n.ask("POST", f"/cut/{how}", body=b"x"), 503, "connection_terminated")
    assert len(o.seen) == before + 1, "a POST that was sent is not sent again"
    refusal(n.ask("GET", f"/cut/{how}"), 503, "connection_terminated")
    assert len(o.seen) <= before + 1 + 3


def test_a_cut_request_is_seen_as_cut(net):
    """A client that leaves in its body: the origin must not take what came for all of it."""
    n, o, _ = net
    for data in (wire.head("POST /sink?cut HTTP/1.1", [("Host", "echo"),
                                                       ("Content-Length", 5000)]) + b"x" * 1000,
                 wire.head("POST /sink?cut HTTP/1.1", [("Host", "echo"),
                                                       ("Transfer-Encoding", "chunked")]) +
                 wire.chunk(b"x" * 1000)):
        for leave in ("close", "abort"):
            before = len(o.seen)
            c = n.conn()
            c.send(data)
            until("the origin has the head",
                  lambda: len(o.seen) == before + 1 and o.seen[-1].length == 1000)
            getattr(c, leave)()
            mine = o.seen[-1]
            until("the origin's connection ends", lambda: o.conns[mine.conn].closed_at is not None,
                  3)
            assert not mine.complete
    assert n.ask(target="/id/good").body == b"good\n"


# ---- early answers, expectations, pipelines ----


@pytest.mark.parametrize("how", ["keep", "close"])
def test_early_answer(net, how):
    """Answered before the body was sent: the answer comes at once, and what follows it on the
    connection, if it goes on, is the answer to the next request."""
    n, *_ = net
    with n.conn() as c:
        c.send(
            wire.head(f"POST /early/{how} HTTP/1.1", [("Host", "echo"), ("Content-Length",
                                                                         100000)]) + b"x" * 10)
        m = c.answer()
        assert m.status == 200 and m.body == b"early"
        c.send(b"x" * 99990)
        if m.keeps:
            assert c.ask(target="/id/next").body == b"next\n"
        else:
            assert c.until_closed() == b""
    for _ in range(5):
        assert n.ask(target="/id/good").body == b"good\n"


def test_expect_100_continue(net):
    n, *_ = net
    head = lambda t: wire.head(f"POST {t} HTTP/1.1", [("Host", "echo"), ("Content-Length", 5),
                                                      ("Expect", "100-continue")])
    with n.conn() as c:  # the origin says yes: the body goes after the 100
        c.send(head("/expect/yes"))
        until("100 Continue",
              lambda: c.reader.interim or not c.reader.feed(c.recv()) and c.reader.interim)
        assert c.reader.interim[0].status == 100
        c.send(b"hello")
        m = c.answer()
        assert (m.status, m.body) == (200, b"5")
        assert c.ask(target="/id/next").body == b"next\n"
    with n.conn() as c:  # no: the final answer comes instead
        c.send(head("/expect/no"))
        assert c.answer().status == 417
    with n.conn() as c:  # a client that does not wait
        c.send(head("/expect/yes") + b"hello")
        m = c.answer()
        assert (m.status, m.body) == (200, b"5")
        assert c.ask(target="/id/next").body == b"next\n"


def test_pipelined_requests_are_answered_in_order(net):
    n, o, _ = net
    with n.conn() as c:
        data = b""
        for i in range(50):
            data += request(target=f"/id/{i}") if i % 3 else request(
                "POST", f"/id/{i}", body=b"b" * i, chunked=i % 2 == 0)
        c.send(data, at=range(7, len(data), 211))
        for i in range(50):
            assert c.answer().body == f"{i}\n".encode()
        assert c.quiet()
    with n.conn() as c:  # the first is slow: the others wait for it
        c.send(
            request(target="/hold/pipe") + request(target="/id/second") +
            request("HEAD", "/bytes/9") + request(target="/id/third"))
        until("the first one came", lambda: "/hold/pipe" in o.targets())
        assert c.quiet()
        o.open_gate("pipe")
        assert [c.answer().body, c.answer().body] == [b"held", b"second\n"]
        assert c.answer("HEAD").get("Content-Length") == "9"
        assert c.answer().body == b"third\n"


def test_a_refusal_in_a_pipeline_comes_in_its_turn(net):
    n, o, _ = net
    with n.conn() as c:
        c.send(
            request(target="/hold/turn") +
            b"GET /bad HTTP/1.1\r\nHost: echo\r\nHost: echo\r\n\r\n" + request(target="/id/never"))
        until("the first one came", lambda: "/hold/turn" in o.targets())
        o.open_gate("turn")
        assert c.answer().body == b"held"
        m = c.answer()
        refusal(m, 400, "http_request_error")
        assert c.until_closed() == b"" and "/id/never" not in o.targets()


def test_a_slow_answer_comes_as_it_is_made(net):
    """Byte by byte from the origin; the head must not wait for the body, nor that for its end."""
    n, o, _ = net
    assert n.ask(target="/slow/300").body == b"".join(pattern(300))
    with n.conn() as c:
        c.send(request(target="/half/flush"))
        assert c.head().status == 200
        until(
            "half of the body", lambda: c.reader.msg.length == 1000 or not c.reader.feed(
                c.recv(timeout=2)) and c.reader.msg.length == 1000)
        o.open_gate("flush")
        assert c.answer().length == 2000


def test_half_close_after_the_request(net):
    """shutdown(SHUT_WR) after a whole request may be taken for leaving; then the answer is cut so
    that it is seen, and nobody else gets the rest of it."""
    n, *_ = net
    for _ in range(20):
        with n.conn() as c:
            c.send(request(target="/bytes/5000"))
            c.half_close()
            try:
                assert c.answer(timeout=5).length == 5000
            except Cut as e:
                assert e.msg is None or not e.msg.complete
    for i in range(20):
        assert n.ask(target=f"/id/{i}").body == f"{i}\n".encode()
