"""How long the machine kept this process from running: no processor for the virtual machine, too many others.

A bound on what a node does is seen on this machine. Where that stood still for a second, what takes half of
one was seen after one and a half, and nobody was slow:

    since = time.monotonic()
    ...
    assert time.monotonic() - since <= 1.0 + late(since)

A process of its own on each processor (a virtual machine may be without one of them alone) wants to wake up every
10 ms and notes when it could not; this one's threads and their one interpreter lock are not its business. It notes
little on a machine with nothing else to do, so a bound loses nothing. What counts is the worst of them.
"""
import ctypes
import mmap
import os
import struct
import subprocess
import sys
import time

STEP = 0.01  # s between two looks
NOTED = 0.02  # s of delay worth a note; below it is the scheduler's grain
NOTES = 1 << 16  # kept; what came before has been asked for long ago
HEAD, NOTE = struct.Struct("Qd"), struct.Struct("dd")  # how many, last look; when each was over, sum of all with it
LOOK_S = 1.0  # as long the next look is waited for: a watcher that was stopped has none
SIZE = HEAD.size + NOTES * NOTE.size
PROCESSORS = 4  # at most, that are watched
PR_SET_PDEATHSIG, SIGKILL = 1, 9


def _watch(table):
    count, total, was = 0, 0.0, time.monotonic()
    while True:
        time.sleep(STEP)
        now = time.monotonic()
        delay = now - was - STEP
        was = now
        if delay >= NOTED:
            total += delay
            NOTE.pack_into(table, HEAD.size + count % NOTES * NOTE.size, now, total)
            count += 1
        HEAD.pack_into(table, 0, count, now)


def _start(processor):
    fd = os.memfd_create("lateness", 0)
    os.ftruncate(fd, SIZE)
    process = subprocess.Popen([sys.executable, "-S", "-E", __file__, str(fd), str(processor)],
                               pass_fds=[fd],
                               stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL)
    table = mmap.mmap(fd, SIZE, prot=mmap.PROT_READ)
    os.close(fd)
    return process, table


def _notes(table):
    """(over, sum) of each note, oldest first."""
    count, _ = HEAD.unpack_from(table, 0)
    return [
        NOTE.unpack_from(table, HEAD.size + i % NOTES * NOTE.size)
        for i in range(max(0, count - NOTES + 1), count)
    ]


def late(since, until=None):
    """Seconds the machine stood still between two times of time.monotonic(); until: or now. A delay counts
    where it ends: whole if it began before `since`. One that has just ended may not be noted yet, so the watcher's
    next look is waited for."""
    if until is None:
        until = time.monotonic()
        while any(HEAD.unpack_from(t, 0)[1] < until for t in _tables) and time.monotonic() - until < LOOK_S:
            time.sleep(STEP / 5)
    return max(_late(t, since, until) for t in _tables)


def _late(table, since, until):
    before, total = 0.0, 0.0
    for over, up_to in _notes(table):
        if over < since:
            before = up_to
        if over <= until + STEP:
            total = up_to
    return max(0.0, total - before)


def longest(since):
    """The longest single delay that ended after `since`."""
    most = 0.0
    for table in _tables:
        before = 0.0
        for over, up_to in _notes(table):
            if over >= since:
                most = max(most, up_to - before)
            before = up_to
    return most


def undisturbed(case, most):
    """What becomes of case(), which depends on the machine not standing still for more than `most` seconds
    meanwhile: where it did, and the case failed, it is tried again."""
    for _ in range(20):
        began = time.monotonic()
        try:
            return case()
        except AssertionError:
            if late(began) <= most:
                raise
    raise AssertionError(f"this machine stands still for {most} s whenever it is looked at")


if __name__ == "__main__":
    parent = os.getppid()
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, SIGKILL)  # it ends with the tests, however they end
    os.sched_setaffinity(0, {int(sys.argv[2])})
    if os.getppid() == parent:
        _watch(mmap.mmap(int(sys.argv[1]), SIZE))
else:
    watchers, _tables = zip(*[_start(p) for p in sorted(os.sched_getaffinity(0))[:PROCESSORS]])
