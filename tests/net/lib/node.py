"""One gossamer process: its configuration, its life, and what its admin interface says.

    Node(dir, services=[service("echo", [origin])]).start() ─▶ .outbound (HOST, port)
                                                            ─▶ .api("stat")   unix socket
                                                            ─▶ .metrics()     TCP
"""
import contextlib
import fcntl
import http.client
import itertools
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from . import client, metrics
from .lateness import late
from .settings import BIN, HOST, WORKERS, child_env, sanitized, secs, until

LINE = re.compile(r"\S+Z (?:ERROR|WARN |INFO |DEBUG) (\S+) ?(.*)")
FIELD = re.compile(r'([a-z_0-9]+)=("([^"]*)"|\S*)')
REPORTS = re.compile(r"(Address|Leak|Thread|Memory)Sanitizer|runtime error:")

# Tests and nodes alike may have as many descriptors as the machine allows.
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1], ) * 2)


BLOCKS, FIRST = 8, 10000  # of ports, for as many test programs at once


def _ports():
    """Below the range that outgoing connections take theirs from; of those, a part that no other test
    program uses, for what is found free here may be bound by a node only a while later, or again
    after a restart."""
    try:
        end = int(pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    except OSError:
        end = 0
    if end < FIRST + 2000:
        return [0]
    size = (end - FIRST) // BLOCKS
    for i in range(BLOCKS):
        try:
            fd = os.open(f"{tempfile.gettempdir()}/gossamer-ports-{i}.lock", os.O_RDWR | os.O_CREAT, 0o666)
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)  # until this process ends
            return range(FIRST + i * size, FIRST + (i + 1) * size)
        except OSError:
            continue
    return range(FIRST, end)


def free_port(_ports=itertools.cycle(_ports())):
    """A port that nobody has, and that nobody was given of late: it is still free when the node that was
    told it binds it, however many connections other tests make."""
    while True:
        port = next(_ports)
        with socket.socket() as s, socket.socket(type=socket.SOCK_DGRAM) as datagrams:
            try:
                s.bind((HOST, port))
                datagrams.bind((HOST, port or s.getsockname()[1]))
            except OSError:
                continue
            return s.getsockname()[1]


def scalar(v):
    if v is True or v is False:
        return "true" if v else "false"
    if isinstance(v, (int, float)):
        return str(v)
    return v if re.fullmatch(r"[A-Za-z0-9/][A-Za-z0-9_./:@-]*", v) else json.dumps(v)


def yaml(v, indent=0):
    """Block YAML of dicts, lists and scalars."""
    pad = "  " * indent
    if isinstance(v, dict) and v:
        return "".join(f"{pad}{k}:{nested(x, indent)}" for k, x in v.items())
    if isinstance(v, list) and v:
        return "".join(item(x, indent) for x in v)
    empty = {dict: "{}", list: "[]"}
    return pad + (empty[type(v)] if type(v) in empty else scalar(v)) + "\n"


def nested(v, indent):
    block = isinstance(v, (dict, list)) and v
    return "\n" + yaml(v, indent + 1) if block else " " + yaml(v).lstrip()


def item(v, indent):
    pad = "  " * indent
    if isinstance(v, dict) and v:
        return f"{pad}- " + yaml(v, indent + 1).lstrip()
    return f"{pad}-{nested(v, indent)}"


def instance(origin, labels=None, health=None):
    out = {"address": f"{HOST}:{origin if isinstance(origin, int) else origin.port}"}
    if labels:
        out["labels"] = labels
    if health:
        out["health"] = health
    return out


def service(name, origins=(), namespace=None, port=80, health=None, **more):
    """origins: Origin objects, port numbers or ready instance() dicts."""
    out = {"name": name, "port": port, "protocol": "http", **more}
    if namespace:
        out["namespace"] = namespace
    out["instances"] = [o if isinstance(o, dict) else instance(o, health=health) for o in origins]
    return out


class UnixHTTP(http.client.HTTPConnection):

    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Node:

    def __init__(self,
                 dir,
                 services=(),
                 name="n1",
                 timeouts=None,
                 workers=None,
                 extra=None,
                 join=(),
                 key_file=None,
                 proxy=True,
                 group=None,
                 space=None,
                 env=None,
                 args=(),
                 limits=None):
        """join: (host, port) of other nodes' gossip; proxy: False is proxy.mode: off; group: number
        of the group that its process runs as (needs root); space: the network namespace that it
        lives in (lib/netns.py), where others find it by the address of that; env: more of its
        environment; args: more of `run`; limits: of resource.setrlimit."""
        self.dir = pathlib.Path(dir)
        self.dir.mkdir(parents=True, exist_ok=True)
        self.name, self.services, self.timeouts = name, list(services), timeouts or {}
        self.workers, self.extra = workers or WORKERS, extra or {}
        self.join, self.key_file, self.proxy = list(join), key_file, proxy
        self.bin, self.user, self.group, self.space, self.env = BIN, None, group, space, env or {}
        self.args, self.limits = list(args), limits or {}
        self.outbound, self.admin = ((HOST, free_port()) for _ in range(2))
        self.inbound, self.gossip = ((space.ip if space else HOST, free_port()) for _ in range(2))
        self.state_dir = self.dir / "state"
        self.short = None
        self.socket_path = str(self.dir / "admin.sock")
        if len(self.socket_path) > 100:  # sun_path ends at 107
            self.short = tempfile.mkdtemp(prefix="gossamer-")
            self.socket_path = self.short + "/admin.sock"
        self.config_path = self.dir / "gossamer.yaml"
        self.proc = None
        self.exit_wanted = 0  # what stop() demands; None: anything

    def config(self):
        c = {
            "node": self.name,
            "gossip": {"bind": "%s:%d" % self.gossip},
            "proxy": {
                "outbound": "%s:%d" % self.outbound,
                "inbound": "%s:%d" % self.inbound,
                "workers": self.workers,
            },
            "admin": {"listen": "%s:%d" % self.admin, "socket": self.socket_path},
            "state_dir": str(self.state_dir),
            "identity": {"mode": "off"},
        }
        if self.join:
            c["gossip"]["join"] = ["%s:%d" % a for a in self.join]
        if self.key_file:
            c["gossip"]["key_file"] = str(self.key_file)
        if not self.proxy:
            c["proxy"] = {"mode": "off"}
        if self.timeouts:
            c["timeouts"] = self.timeouts
        if self.services:
            c["services"] = self.services
        c.update(self.extra)
        return c

    # ---- life ----
    def write(self):
        """The configuration alone, for those who only look at it."""
        self.config_path.write_text(yaml(self.config()))
        return self

    def spawn(self):
        """Start without waiting. Output goes to files in the node's directory."""
        assert os.access(self.bin, os.X_OK), f"no binary at {self.bin}: build it or set GOSSAMER_BIN"
        self.write()
        self.log_path = self.dir / "stderr.log"
        with (self.inside(), open(self.dir / "stdout.log", "ab") as out,
              open(self.log_path, "ab") as err):
            cmd = [self.bin, "run", "-c", str(self.config_path), *self.args]
            self.proc = subprocess.Popen(cmd,
                                         stdin=subprocess.DEVNULL,
                                         stdout=out,
                                         stderr=err,
                                         cwd=self.dir,
                                         user=self.user,
                                         group=self.group,
                                         env={**child_env(), **self.env},
                                         preexec_fn=self.limit if self.limits else None)
        return self

    def limit(self):
        for what, most in self.limits.items():
            resource.setrlimit(what, (most, most))

    def inside(self):
        """What the thread opens or starts within is where the node is."""
        return self.space or contextlib.nullcontext()

    def start(self, healthy=True):
        """Start and wait for /ready; with `healthy` also until every instance passed its check."""
        self.spawn()
        until(f"{self.name} ready", self.is_ready, 15)
        if healthy:
            for s in self.services:
                self.wait_states(s["name"], ["healthy"] * len(s["instances"]))
        return self

    def is_ready(self):
        if self.proc.poll() is not None:
            raise AssertionError(self.said(f"exited with {self.proc.returncode}"))
        try:
            return self.admin_request("GET", "/ready")[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    def alive(self):
        return self.proc is not None and self.proc.poll() is None

    def term(self):
        self.proc.send_signal(signal.SIGTERM)

    def wait(self, timeout=40):
        began = time.monotonic()
        try:
            return self.proc.wait(secs(timeout))
        except subprocess.TimeoutExpired:
            return self.proc.wait(late(began))

    def stop(self, timeout=40):
        """SIGTERM; a node that was asked to stop must exit 0 and have nothing to report."""
        if self.alive():
            self.term()
            try:
                self.wait(timeout)
            except subprocess.TimeoutExpired:
                self.kill()
                why = f"did not stop within {secs(timeout)} s of SIGTERM"
                raise AssertionError(self.said(why)) from None
        self.clean()
        if self.proc is not None and self.proc.returncode != -signal.SIGKILL:  # by a test
            code = self.proc.returncode
            assert self.exit_wanted in (None, code), self.said(f"exited with {code}")
            assert not REPORTS.search(self.log()), self.said("reported")

    def crash(self):
        """SIGKILL; it may be started again."""
        self.proc.kill()
        self.proc.wait()

    def kill(self):
        if self.alive():
            self.exit_wanted = None
            self.crash()
        self.clean()

    def clean(self):
        if self.short and not self.alive():
            shutil.rmtree(self.short, ignore_errors=True)

    def said(self, what, tail=8000):
        return f"{self.name} {what}:\n{self.log()[-tail:]}"

    def log(self):
        return self.log_path.read_text(errors="replace")

    def lines(self, event, **fields):
        """What the log has said so far of an event, as dicts; only lines with these fields."""
        out = []
        for line in self.log().splitlines():
            m = LINE.match(line)
            if m and m[1] == event:
                f = {k: q if v.startswith('"') else v for k, v, q in FIELD.findall(m[2])}
                if all(f.get(k) == v for k, v in fields.items()):
                    out.append(f)
        return out

    # ---- what the kernel says of it ----
    def rss_kib(self, what="VmRSS"):
        """Also "RssAnon": without the pages of code, which come when they are first run, or when the
        kernel reads around a fault, and are no growth."""
        for line in pathlib.Path(f"/proc/{self.proc.pid}/status").read_text().splitlines():
            if line.startswith(f"{what}:"):
                return int(line.split()[1])
        raise AssertionError(f"no {what}")

    def is_stopped(self):
        """By SIGSTOP."""
        stat = pathlib.Path(f"/proc/{self.proc.pid}/stat").read_text()
        return stat.rpartition(")")[2].split()[0] == "T"

    def fds(self):
        return len(os.listdir(f"/proc/{self.proc.pid}/fd"))

    def listening(self):
        """The TCP addresses that the process listens on."""
        mine = set()
        for fd in os.listdir(f"/proc/{self.proc.pid}/fd"):
            try:
                mine.add(os.readlink(f"/proc/{self.proc.pid}/fd/{fd}"))
            except OSError:
                pass
        out = []
        for line in pathlib.Path(f"/proc/{self.proc.pid}/net/tcp").read_text().splitlines()[1:]:
            f = line.split()
            if f[3] == "0A" and f"socket:[{f[9]}]" in mine:
                ip, port = f[1].split(":")
                out.append((socket.inet_ntoa(bytes.fromhex(ip)[::-1]), int(port, 16)))
        return sorted(set(out))

    # ---- what it says of itself ----
    def admin_request(self, method, path, body=None, headers=None, tcp=False, timeout=5):
        """(status, body) over the unix socket, or over TCP."""
        c = UnixHTTP(self.socket_path, secs(timeout))
        if tcp:
            c = http.client.HTTPConnection(*self.admin, timeout=secs(timeout))
        try:
            with self.inside():
                c.connect()
            c.request(method, path, body, headers or {})
            r = c.getresponse()
            return r.status, r.read()
        finally:
            c.close()

    def api(self, what):
        """GET /api/v1/WHAT over the unix socket, as the list named after the verb."""
        status, body = self.admin_request("GET", "/api/v1/" + what)
        assert status == 200, (what, status, body[:500])
        doc = json.loads(body)
        return doc[what.partition("?")[0].partition("/")[0]], doc

    def metrics(self):
        status, body = self.admin_request("GET", "/metrics", tcp=True)
        assert status == 200, (status, body[:500])
        return metrics.parse(body.decode())

    def refused(self):
        """gossamer_refused_total by reason."""
        out = {}
        for s in self.metrics().get("gossamer_refused_total", ()):
            out[s.labels["reason"]] = out.get(s.labels["reason"], 0) + int(s.value)
        return out

    def states(self, name):
        return {e["address"]: e["state"] for e in self.api("endpoints")[0] if e["service"] == name}

    def wait_states(self, name, states, timeout=10):
        """Until the endpoints of a service are in these states (in any order)."""
        last = []

        def there():
            last[:] = sorted(self.states(name).values())
            return last == sorted(states)

        try:
            until(f"{name} in {sorted(states)}", there, timeout)
        except AssertionError as e:
            raise AssertionError(f"{e}; last seen {last}") from None

    def stat(self, name, direction):
        """The sum of the rows of a service in one direction (subsets and callers folded)."""
        kinds = ("codes", "flags", "retries_by")
        out = {"requests": 0, "failed": 0, "rows": 0, **{k: {} for k in kinds}}
        for row in self.api("stat")[0]:
            if row["service"] == name and row["direction"] == direction:
                out["rows"] += 1
                out["requests"] += row["requests"]
                out["failed"] += row["failed"]
                for kind in kinds:
                    for k, v in (row.get(kind) or {}).items():
                        out[kind][str(k)] = out[kind].get(str(k), 0) + v
        return out

    # ---- traffic ----
    def conn(self, **kw):
        with self.inside():
            return client.Conn(self.outbound, **kw)

    def ask(self, *args, **kw):
        with self.inside():
            return client.ask(self.outbound, *args, **kw)


def memory_counts():
    """Is resident memory of this binary a figure at all?"""
    return not sanitized()


def cli(*args, timeout=30, env=None, cwd=None):
    """Run the command line; (exit status, stdout, stderr)."""
    p = subprocess.run([BIN, *args],
                       stdin=subprocess.DEVNULL,
                       capture_output=True,
                       text=True,
                       timeout=secs(timeout),
                       env=env or child_env(),
                       cwd=cwd)
    return p.returncode, p.stdout, p.stderr
