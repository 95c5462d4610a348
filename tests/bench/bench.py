#!/usr/bin/env python3
"""A small comparison for users: gossamer beside HAProxy and nginx, as far as they are installed.

    load (core 1) ─▶ proxy, one worker (core 0) ─▶ origin (core 1)

The figure to trust is CPU microseconds per request of the proxy: requests per second on two shared
cores are bounded by load and origin as well. Runs are interleaved A B C, C B A, ...; each cell is
the median of the rounds, beside it the least, because disturbance only ever adds. Standard library
only; wrk makes the load if it is there, else a Python loop does (good for CPU per request, useless
for rates)."""
import argparse
import os
import pathlib
import re
import resource
import select
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
HOST = "127.0.0.1"
BODIES = {"/64": 64, "/64k": 65536}


def free_port():
    with socket.socket() as s:
        s.bind((HOST, 0))
        return s.getsockname()[1]


def program(name):
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")


def spawn(cmd, core, log):
    """In the foreground, on one core where there are two, with as many descriptors as allowed."""

    def before():
        if len(os.sched_getaffinity(0)) > core:
            os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[core]})
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))

    env = {k: v for k, v in os.environ.items() if not k.startswith("GOSSAMER_")}
    return subprocess.Popen(cmd,
                            stdin=subprocess.DEVNULL,
                            stdout=log,
                            stderr=log,
                            preexec_fn=before,
                            env=env)


def end(p):
    if p.poll() is None:
        p.send_signal(signal.SIGTERM)
        try:
            p.wait(5)
        except subprocess.TimeoutExpired:
            p.kill()
            p.wait()


def family(pid):
    """A process and its children."""
    out = [pid]
    for p in out:
        try:
            for t in os.listdir(f"/proc/{p}/task"):
                out += [
                    int(x)
                    for x in pathlib.Path(f"/proc/{p}/task/{t}/children").read_text().split()
                ]
        except OSError:
            pass
    return out


def cpu_us(pid):
    total = 0
    for p in family(pid):
        try:
            for t in os.listdir(f"/proc/{p}/task"):
                total += int(pathlib.Path(f"/proc/{p}/task/{t}/schedstat").read_text().split()[0])
        except OSError:
            pass
    return total / 1000


def memory_kib(pid):
    """(resident, private) of a process and its children."""
    rss = private = 0
    for p in family(pid):
        try:
            for line in pathlib.Path(f"/proc/{p}/smaps_rollup").read_text().splitlines():
                f = line.split()
                rss += int(f[1]) if f[0] == "Rss:" else 0
                private += int(f[1]) if f[0] in ("Private_Dirty:", "Private_Clean:") else 0
        except OSError:
            pass
    return rss, private


def core_busy_us(core):
    """Busy time of a core so far, from /proc/stat, in steps of a clock tick."""
    cores = sorted(os.sched_getaffinity(0))
    if core >= len(cores):
        return None
    for line in open("/proc/stat"):
        if line.startswith(f"cpu{cores[core]} "):
            f = [int(x) for x in line.split()[1:]]
            return (sum(f[:8]) - f[3] - f[4]) * 1e6 / os.sysconf("SC_CLK_TCK")


# ---- what is compared: name -> command, given a scratch folder, its port and the origin's ----


def gossamer(d, port, up, binary):
    text = (HERE / "gossamer.conf.in").read_text()
    for k, v in {
            "node": "bench", "port": port, "up": up, "peer_port": free_port(), "admin": free_port(),
            "dir": d, "role": "plain"
    }.items():
        text = text.replace(f"@{k}@", str(v))
    conf = pathlib.Path(d, "gossamer.yaml")
    conf.write_text(text)
    return [binary, "run", "-c", str(conf)]


def haproxy(d, port, up, _):
    conf = pathlib.Path(d, "haproxy.cfg")
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    conf.write_text(f"""global
  nbthread 1
  maxconn {min(24000, limit // 2 - 50)}
defaults
  mode http
  timeout connect 5s
  timeout client 600s
  timeout server 600s
  option forwardfor
  http-reuse always
frontend f
  bind {HOST}:{port}
  default_backend b
backend b
  server s {HOST}:{up}
""")
    return [program("haproxy"), "-db", "-f", str(conf)]


def nginx_conf(d, name, port, body, origin):
    w = pathlib.Path(d, name)
    w.mkdir(exist_ok=True)
    conf = w / "nginx.conf"
    temp = " ".join(f"{x}_temp_path {w}/{x[0]};"
                    for x in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    user = "user root;" if os.geteuid() == 0 else ""
    conf.write_text(
        f"""{user} daemon off; worker_processes 1; worker_rlimit_nofile 20000;
pid {w}/pid; error_log {w}/err crit;
events {{ worker_connections 19000; }}
http {{ access_log off; {temp} keepalive_requests 1000000000; keepalive_timeout 600s;
 {origin}
 server {{ listen {HOST}:{port} backlog=4096; {body} }} }}
""")
    return [program("nginx"), "-c", str(conf), "-p", str(w), "-e", f"{w}/err"]


def nginx(d, port, up, _):
    server = ('location / { proxy_pass http://b; proxy_http_version 1.1; '
              'proxy_set_header Connection ""; proxy_buffering off; }')
    pool = (f"upstream b {{ server {HOST}:{up}; keepalive 2048; "
            "keepalive_requests 1000000000; keepalive_timeout 600s; }")
    return nginx_conf(d, "nginx", port, server, pool)


PROXIES = {"gossamer": gossamer, "haproxy": haproxy, "nginx": nginx}


def start_proxy(name, d, up, binary, log):
    """(process, port): started and answering 200 through to the origin."""
    port = free_port()
    p = spawn(PROXIES[name](d, port, up, binary), 0, log)
    try:
        wait_answer(p, port, name)
    except BaseException:
        end(p)
        raise
    return p, port


def start_origin(d, log):
    """nginx serving files where it is installed, else a loop of our own; (process, port)."""
    port = free_port()
    if program("nginx"):
        for path, n in BODIES.items():
            pathlib.Path(d, path[1:]).write_bytes(b"x" * n)
        os.chmod(d, 0o755)
        cmd = nginx_conf(d, "origin", port, f"root {d}; open_file_cache max=10; tcp_nopush off;",
                         "")
    else:
        cmd = [sys.executable, __file__, "--serve", str(port)]
    p = spawn(cmd, 1, log)
    wait_answer(p, port, "origin")
    return p, port


def wait_answer(p, port, name, timeout=10):
    deadline = time.monotonic() + timeout
    last = "nothing"
    while time.monotonic() < deadline:
        if p.poll() is not None:
            raise SystemExit(
                f"{name} exited with {p.returncode}; its output is above or in the log")
        try:
            with socket.create_connection((HOST, port), timeout=2) as s:
                s.sendall(b"GET /64 HTTP/1.1\r\nHost: echo.default\r\n\r\n")
                last = s.recv(65536)[:60]
                if last.startswith(b"HTTP/1.1 200"):
                    return
        except OSError as e:
            last = repr(e)
        select.select([], [], [], 0.02)
    raise SystemExit(f"{name} did not answer 200 within {timeout} s, last: {last}")


# ---- load and origin without other programs ----


def serve(port):
    """An origin: epoll, one thread, whole answers from memory."""
    answers = {
        p.encode(): b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % n + b"x" * n
        for p, n in BODIES.items()
    }
    ls = socket.socket()
    ls.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    ls.bind((HOST, port))
    ls.listen(4096)
    ep = select.epoll()
    ep.register(ls, select.EPOLLIN)
    conns = {}
    while True:
        for fd, _ in ep.poll():
            if fd == ls.fileno():
                c, _ = ls.accept()
                c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                conns[c.fileno()] = c
                ep.register(c, select.EPOLLIN)
                continue
            try:
                data = conns[fd].recv(65536)
                for head in data.split(b"\r\n\r\n")[:-1]:
                    conns[fd].sendall(
                        answers.get(
                            head.split(b" ", 2)[1], b"HTTP/1.1 404 N\r\nContent-Length: 0\r\n\r\n"))
            except OSError:
                data = b""
            if not data:
                ep.unregister(fd)
                conns.pop(fd).close()


def python_load(port, conns, seconds, path):
    """A closed loop over `conns` connections; prints its results in the words of wrk."""
    ask = f"GET {path} HTTP/1.1\r\nHost: echo.default\r\n\r\n".encode()
    ep, state, laps, errors = select.epoll(), {}, [], 0
    for _ in range(conns):
        s = socket.create_connection((HOST, port))
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        ep.register(s, select.EPOLLIN)
        state[s.fileno()] = [s, time.monotonic(), b"", None]
        s.sendall(ask)
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        for fd, _ in ep.poll(0.2):
            c = state[fd]
            data = c[0].recv(262144)
            if not data:
                errors += 1
                ep.unregister(fd)
                continue
            c[2] += data
            if c[3] is None and (k := c[2].find(b"\r\n\r\n")) >= 0:
                errors += not c[2].startswith(b"HTTP/1.1 200")
                c[3] = k + 4 + int(re.search(rb"(?i)content-length: (\d+)", c[2])[1])
            if c[3] is not None and len(c[2]) >= c[3]:
                now = time.monotonic()
                laps.append(now - c[1])
                c[1], c[2], c[3] = now, b"", None
                c[0].sendall(ask)
    took = time.monotonic() - began
    laps.sort()
    print(f"{len(laps)} requests in {took:.2f}s\nerrors {errors}")
    for percent in (50, 99):
        print(f"{percent}% {laps[len(laps) * percent // 100] * 1e6:.0f}us")


def load(port, conns, seconds, path, log):
    """Requests done, per second, median and 99th latency in us, errors."""
    wrk = program("wrk")
    url = f"http://{HOST}:{port}{path}"
    cmd = ([
        wrk, "-t1", f"-c{conns}", f"-d{seconds}s", "--latency", "-H", "Host: echo.default", url
    ] if wrk else [sys.executable, __file__, "--load",
                   str(port),
                   str(conns),
                   str(seconds), path])
    out = tempfile.TemporaryFile()
    p = spawn(cmd, 1, out)
    p.wait(seconds + 60)
    out.seek(0)
    text = out.read().decode()
    if p.returncode:
        raise SystemExit(f"load: {text[-500:]}")
    requests = int(re.search(r"(\d+) requests in", text)[1])
    lat = {}
    for q, v, unit in re.findall(r"(50|99)%\s+([\d.]+)(us|ms|s)\b", text):
        lat[q] = float(v) * {"us": 1, "ms": 1e3, "s": 1e6}[unit]
    errors = sum(
        int(x) for x in re.findall(r"Non-2xx or 3xx responses: (\d+)|errors (\d+)", text) for x in x
        if x)
    m = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
    errors += sum(map(int, m.groups())) if m else 0
    return requests, requests / seconds, lat.get("50", 0), lat.get("99", 0), errors


def measure(name, conns, path, a, d, up, log):
    p = None
    try:
        if name == "direct":
            port = up
        else:
            p, port = start_proxy(name, d, up, a.bin, log)
        load(port, conns, 1, path, log)  # warm
        busy0, cpu0 = core_busy_us(0), cpu_us(p.pid) if p else 0
        requests, rps, p50, p99, errors = load(port, conns, a.seconds, path, log)
        used = cpu_us(p.pid) - cpu0 if p else 0
        busy = core_busy_us(0)
        foreign = max(0.0,
                      (busy - busy0 - used) / (a.seconds * 1e6)) if busy is not None and p else 0.0
        return {
            "cpu": used / max(1, requests), "rps": rps, "p50": p50, "p99": p99, "errors": errors,
            "rss": memory_kib(p.pid)[0] / 1024 if p else 0, "foreign": foreign
        }
    finally:
        if p:
            end(p)


def main():
    if sys.argv[1:2] == ["--serve"]:
        return serve(int(sys.argv[2]))
    if sys.argv[1:2] == ["--load"]:
        return python_load(int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]), sys.argv[5])
    ap = argparse.ArgumentParser(description=__doc__,
                                 formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--bin",
                    default=os.environ.get("GOSSAMER_BIN",
                                           str(HERE.parents[1] / "build" / "gossamer")))
    ap.add_argument("--proxies", default="direct,gossamer,haproxy,nginx")
    ap.add_argument("--conns", default="32,256", help="connections, one table for each")
    ap.add_argument("--path", default="/64", choices=sorted(BODIES))
    ap.add_argument("--rounds", type=int, default=3)
    ap.add_argument("--seconds", type=int, default=3)
    a = ap.parse_args()
    a.bin = os.path.abspath(a.bin)
    names, missing = [], []
    for n in a.proxies.split(","):
        there = n == "direct" or (os.access(a.bin, os.X_OK) if n == "gossamer" else program(n))
        (names if there else missing).append(n)
    if missing:
        print(f"not measured, because not here: {', '.join(missing)}")
    if "gossamer" in missing:
        raise SystemExit(f"no binary at {a.bin}: ./run build first")
    made = "wrk" if program("wrk") else "a Python loop (install wrk for rates that mean something)"
    print(f"load: {made}; origin: {'nginx' if program('nginx') else 'a Python loop'}; "
          f"{os.cpu_count()} processors, proxy on the first; "
          f"{a.rounds} rounds of {a.seconds} s, GET {a.path}")
    with tempfile.TemporaryDirectory(prefix="gossamer-bench-") as d, open(
            os.path.join(d, "log"), "ab") as log:
        origin, up = start_origin(d, log)
        try:
            for conns in map(int, a.conns.split(",")):
                rows = {n: [] for n in names}
                for r in range(a.rounds):
                    for n in names if r % 2 == 0 else names[::-1]:
                        rows[n].append(measure(n, conns, a.path, a, d, up, log))
                table(conns, rows)
        finally:
            end(origin)
    print("""
On a shared machine these figures move by 10-20 % within an hour; compare only within one table,
and a difference under 5 % not at all. 'other' is the share of the proxy's core that something
else used: above 6 % do not trust the row.""")


COLUMNS = (("CPU us/req", 12), ("least", 8), ("ratio", 8), ("req/s", 9), ("p50 us", 8),
           ("p99 us", 9), ("RSS MiB", 9), ("errors", 8), ("other", 7))


def table(conns, rows):
    base = next(n for n in ("haproxy", "nginx", "gossamer", "direct") if rows.get(n))
    least = {n: min(x["cpu"] for x in rs) for n, rs in rows.items()}
    print(f"\n{conns} connections\n{'':10}" + "".join(f"{name:>{w}}" for name, w in COLUMNS))
    for n, rs in rows.items():
        med = {k: statistics.median(x[k] for x in rs) for k in rs[0]}
        ratio = f"{least[n] / least[base]:.2f}" if n != "direct" and least[base] else "-"
        cells = (f"{med['cpu']:.2f}", f"{least[n]:.2f}", ratio, f"{med['rps']:.0f}",
                 f"{med['p50']:.0f}", f"{med['p99']:.0f}", f"{med['rss']:.1f}",
                 sum(x["errors"] for x in rs), f"{max(x['foreign'] for x in rs):.0%}")
        print(f"{n:10}" + "".join(f"{c:>{w}}" for c, (_, w) in zip(cells, COLUMNS)))
    if base != "direct":
        print(f"ratio: least CPU per request, against {base}")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
