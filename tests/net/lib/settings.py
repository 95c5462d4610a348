"""How much and how long: everything the environment may change, in one place.

    GOSSAMER_BIN        the binary under test           build/gossamer
    GOSSAMER_HEAVY=1    the full figures (CI)           smaller ones
    GOSSAMER_SLOW=F     multiplies every deadline       1   (sanitizer builds: 4 to 10)
    GOSSAMER_PYVENV     a python with requests, httpx, aiohttp; without it those tests are skipped
    GOSSAMER_EXCHANGES  of test_crossed                 5,000, heavy 100,000
    GOSSAMER_JUNK       of test_junk, each round        1,000, heavy 10,000
    GOSSAMER_REQUESTS   of each client of test_clients  2,000
    GOSSAMER_SEED       of everything random            printed by each test that uses it
    GOSSAMER_WORKERS    proxy.workers of every node     1
"""
import os
import pathlib
import time

from lib.lateness import late

ROOT = pathlib.Path(__file__).resolve().parents[3]
BIN = str((ROOT / os.environ.get("GOSSAMER_BIN", "build/gossamer")).absolute())
HEAVY = os.environ.get("GOSSAMER_HEAVY", "") not in ("", "0")
SLOW = float(os.environ.get("GOSSAMER_SLOW", "1"))
PYVENV = os.environ.get("GOSSAMER_PYVENV", "")
SEED = int(os.environ.get("GOSSAMER_SEED", "20240923"))
WORKERS = int(os.environ.get("GOSSAMER_WORKERS", "1"))
HOST = "127.0.0.1"
MIB = 1 << 20


def scaled(name, light, heavy):
    """A count: from the environment, else by GOSSAMER_HEAVY."""
    return int(os.environ.get(name) or (heavy if HEAVY else light))


def secs(x):
    """A deadline, stretched for slow builds. Never used for what must not be faster."""
    return x * SLOW


def child_env():
    """GOSSAMER_* would be read as configuration by the binary: it gets none of ours."""
    return {k: v for k, v in os.environ.items() if not k.startswith("GOSSAMER_")}


def until(what, condition, timeout=5.0):
    """Poll until condition() is true and return its value; fail with `what` at the deadline, which moves
    by as much as the machine stood still."""
    begun = time.monotonic()
    while True:
        value = condition()
        if value:
            return value
        over = time.monotonic() - begun - secs(timeout)
        if over > 0 and over > late(begun):
            raise AssertionError(f"not within {secs(timeout):.1f} s: {what}")
        time.sleep(0.004)


class Idle:
    """Called again and again: have these processes, or threads of this one, been idle for a while?
    Idle is less than a tenth of a processor: what gossips is never quite. Several times in a row:
    on a busy machine they may just not have come to run."""

    def __init__(self, processes, threads=(), seconds=0.2, times=4):
        self.files = [pathlib.Path(f"/proc/{p}/stat") for p in processes]
        self.files += [pathlib.Path(f"/proc/self/task/{t}/stat") for t in threads]
        self.seconds, self.times, self.quiet = secs(seconds), times, 0
        self.since, self.was = time.monotonic(), self.used()

    def used(self):
        """Seconds of a processor, of all."""
        fields = [f.read_text().rpartition(")")[2].split() for f in self.files]
        return sum(int(f[11]) + int(f[12]) for f in fields) / os.sysconf("SC_CLK_TCK")

    def __call__(self):
        now = time.monotonic()
        if now - self.since < self.seconds:
            return False
        used = self.used()
        self.quiet = self.quiet + 1 if used - self.was < 0.1 * (now - self.since) else 0
        self.since, self.was = now, used
        return self.quiet >= self.times


def sanitized(path=BIN, _known={}):
    """Which sanitizer the binary carries, or "": resident memory means nothing under one."""
    if path not in _known:
        try:
            data = pathlib.Path(path).read_bytes()
        except OSError:
            data = b""
        _known[path] = next((n for n in ("asan", "tsan", "msan") if f"__{n}_init".encode() in data),
                            "")
    return _known[path]
