"""A user's Python program, by library: python_client.py requests|httpx|aiohttp JSON

    {"proxy": URL, "base": URL, "n": REQUESTS, "body": BYTES, "events": N, "gap_ms": G} ─▶ JSON

Everything goes through the proxy by the library's own proxy setting, over one kept connection.
"""
import asyncio
import hashlib
import io
import json
import sys
import time

LIB, ARG = sys.argv[1], json.loads(sys.argv[2])
PROXY, BASE, N, BODY = ARG["proxy"], ARG["base"], ARG["n"], ARG["body"]
SSE = f"{BASE}/sse?n={ARG['events']}&gap_ms={ARG['gap_ms']}"
PIECE = b"0123456789abcdef" * 4096


def upload(total):
    for _ in range(total // len(PIECE)):
        yield PIECE
    if total % len(PIECE):
        yield PIECE[:total % len(PIECE)]


def upload_sha(total):
    h = hashlib.sha256()
    for p in upload(total):
        h.update(p)
    return h.hexdigest()


class Sse:
    """Event lines as they arrive: when each was here (CLOCK_MONOTONIC, ns), and its stamp."""

    def __init__(self):
        self.rest, self.events = b"", []

    def feed(self, data):
        now = time.monotonic_ns()
        self.rest += data
        while b"\n\n" in self.rest:
            event, _, self.rest = self.rest.partition(b"\n\n")
            stamp = int(event.rpartition(b"data: ")[2])
            self.events.append((now, stamp))


def result(**kw):
    print(json.dumps(kw))


def synchronous(get, post, stream):
    """get(url) -> bytes; post(url, data, headers) -> bytes; stream(url) -> (headers, pieces)."""
    good = sum(get(f"{BASE}/id/{i}") == f"{i}\n".encode() for i in range(N))
    sums = {}
    for name, url in (("down", f"{BASE}/bytes/{BODY}"), ("chunked_down",
                                                         f"{BASE}/chunked/{BODY}?trailers=1")):
        h, size = hashlib.sha256(), 0
        for piece in stream(url):
            h.update(piece)
            size += len(piece)
        sums[name] = [size, h.hexdigest()]
    up = json.loads(
        post(f"{BASE}/sink", io.BytesIO(b"".join(upload(BODY))), {"Content-Length": str(BODY)}))
    chunked_up = json.loads(post(f"{BASE}/sink", upload(BODY), {}))
    sse = Sse()
    for piece in stream(SSE):
        sse.feed(piece)
    result(good=good,
           sums=sums,
           up=up,
           chunked_up=chunked_up,
           up_sha=upload_sha(BODY),
           events=sse.events)


def with_requests():
    import requests
    s = requests.Session()
    s.trust_env = False
    s.proxies = {"http": PROXY}

    def stream(url):
        with s.get(url, stream=True, timeout=120) as r:
            r.raise_for_status()
            # raw.stream with a size would wait for it to fill: chunked answers come chunk by chunk
            yield from r.iter_content(None if "sse" in url or "chunked" in url else 262144)

    synchronous(lambda u: s.get(u, timeout=30).content,
                lambda u, d, h: s.post(u, data=d, headers=h, timeout=120).content, stream)


def with_httpx():
    import httpx
    with httpx.Client(proxy=PROXY, trust_env=False, timeout=120) as s:

        def stream(url):
            with s.stream("GET", url) as r:
                r.raise_for_status()
                yield from r.iter_raw()

        synchronous(lambda u: s.get(u).content,
                    lambda u, d, h: s.post(u, content=d, headers=h).content, stream)


async def with_aiohttp():
    import aiohttp
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1),
                                     timeout=aiohttp.ClientTimeout(total=300)) as s:
        good = 0
        for i in range(N):
            async with s.get(f"{BASE}/id/{i}", proxy=PROXY) as r:
                good += await r.read() == f"{i}\n".encode()
        sums, sse = {}, Sse()
        for name, url in (("down", f"{BASE}/bytes/{BODY}"), ("chunked_down",
                                                             f"{BASE}/chunked/{BODY}?trailers=1")):
            h, size = hashlib.sha256(), 0
            async with s.get(url, proxy=PROXY) as r:
                async for piece in r.content.iter_any():
                    h.update(piece)
                    size += len(piece)
            sums[name] = [size, h.hexdigest()]

        async def pieces():
            for p in upload(BODY):
                yield p

        async with s.post(f"{BASE}/sink", proxy=PROXY,
                          data=io.BytesIO(b"".join(upload(BODY)))) as r:
            up = json.loads(await r.read())
        async with s.post(f"{BASE}/sink", proxy=PROXY, data=pieces()) as r:
            chunked_up = json.loads(await r.read())
        async with s.get(SSE, proxy=PROXY) as r:
            async for piece in r.content.iter_any():
                sse.feed(piece)
        result(good=good,
               sums=sums,
               up=up,
               chunked_up=chunked_up,
               up_sha=upload_sha(BODY),
               events=sse.events)


if LIB == "aiohttp":
    asyncio.run(with_aiohttp())
else:
    {"requests": with_requests, "httpx": with_httpx}[LIB]()
