"""An application of a process of its own, that takes its time, keeps a journal and can fall ill.

    backend = Backend(path, "v1", delay=0.1)     .port, .held(), .journal(), .say("half-close")

    GET|POST /r/ID    noted in the journal when its head is there; after the delay its name is the
                      answer (a body of the request is read and forgotten)
    GET /stream/S     an event every 100 ms for S seconds, in chunks
    GET /healthz      at once, and not noted

Said to it: "half-close": what is open gets no further byte from it and stays open; "dribble":
answers leave at a byte a second from now on, "hang": they never leave; "well": no more of that.
The test runs the class, the process the rest of this file.
"""
import collections
import heapq
import os
import pathlib
import re
import select
import signal
import socket
import subprocess
import sys
import time

LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.I)


class Backend:

    def __init__(self, path, name, delay=0.1, space=None, host="127.0.0.1"):
        self.name, self.delay, self.space, self.host = name, delay, space, host
        self.path, self.port = pathlib.Path(path) / f"backend-{name}.journal", 0
        self.proc = None
        self.start()

    def start(self):
        """Again on the same port, if it ran before."""
        args = [sys.executable, "-S", "-E", "-B", __file__, self.name, self.host, str(self.port),
                str(self.delay), str(self.path)]
        if self.space:
            with self.space:
                self._spawn(args)
        else:
            self._spawn(args)
        self.port = int(self._line())

    def _spawn(self, args):
        self.proc = subprocess.Popen(args, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def _line(self):
        line = self.proc.stdout.readline()
        assert line, f"backend {self.name} ended"
        return line

    def say(self, word):
        self.proc.stdin.write(word + "\n")
        self.proc.stdin.flush()
        return self._line().strip()

    def held(self):
        """How many requests it has not answered yet."""
        return int(self.say("held"))

    def journal(self):
        """Times that each request was executed, by "METHOD ID"; `begun`: of those a byte left."""
        lines = self.path.read_text().splitlines()
        counted = collections.Counter(line for line in lines if not line.startswith("begun "))
        counted.begun = {line.partition(" ")[2] for line in lines if line.startswith("begun ")}
        return counted

    def send_signal(self, number):
        self.proc.send_signal(number)

    def kill(self):
        """SIGKILL: a stopped one ends, too."""
        self.proc.kill()
        self.proc.wait()
        self.proc.stdin.close()
        self.proc.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        if self.proc.poll() is None:
            self.kill()


# ---- the process ----


class Conn:
    __slots__ = ("sock", "data", "mute")

    def __init__(self, sock):
        self.sock, self.data, self.mute = sock, b"", False


class Server:

    def __init__(self, name, host, port, delay, journal):
        self.name, self.delay = name, delay
        self.answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(name), name.encode())
        self.journal = os.open(journal, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self.listener = socket.create_server((host, port), backlog=1024)
        self.listener.setblocking(False)
        self.poll, self.conns, self.due, self.mode, self.count = select.epoll(), {}, [], "well", 0
        self.held = 0
        self.poll.register(self.listener, select.EPOLLIN)
        self.poll.register(0, select.EPOLLIN)
        print(self.listener.getsockname()[1], flush=True)

    def run(self):
        while True:
            pause = self.due[0][0] - time.monotonic() if self.due else 60
            for fd, _ in self.poll.poll(max(pause, 0)):
                if fd == self.listener.fileno():
                    self.accept()
                elif fd == 0:
                    if not self.told():
                        return
                elif fd in self.conns:
                    self.read(self.conns[fd])
            now = time.monotonic()
            while self.due and self.due[0][0] <= now:
                _, _, conn, what, args = heapq.heappop(self.due)
                what(conn, *args)

    def later(self, delay, conn, what, *args):
        self.count += 1
        heapq.heappush(self.due, (time.monotonic() + delay, self.count, conn, what, args))

    def told(self):
        words = os.read(0, 4096).decode().split()
        for w in words:
            if w == "held":
                print(self.held, flush=True)
                continue
            if w == "half-close":
                for c in self.conns.values():
                    self.half_close(c)
            else:
                self.mode = w
            print("done", flush=True)
        return bool(words)

    @staticmethod
    def half_close(c):
        c.mute = True
        try:
            c.sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def accept(self):
        while True:
            try:
                s = self.listener.accept()[0]
            except BlockingIOError:
                return
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            s.setblocking(False)
            self.conns[s.fileno()] = Conn(s)
            self.poll.register(s, select.EPOLLIN)

    def drop(self, c):
        if self.conns.pop(c.sock.fileno(), None):
            self.poll.unregister(c.sock)
            c.sock.close()

    def read(self, c):
        try:
            data = c.sock.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.drop(c)
            return
        c.data += data
        while True:
            head, blank, rest = c.data.partition(b"\r\n\r\n")
            length = LENGTH.search(head)
            length = int(length[1]) if length else 0
            if not blank or len(rest) < length:
                return
            c.data = rest[length:]
            method, target, _ = head.split(b" ", 2)
            self.request(c, method.decode(), target.decode())

    def request(self, c, method, target):
        if target == "/healthz":
            self.send(c, self.answer)
            return
        what = f"{method} {target.rpartition('/')[2]}"
        os.write(self.journal, (what + "\n").encode())
        self.held += 1
        if target.startswith("/stream/"):
            self.send(c, b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                      b"Transfer-Encoding: chunked\r\n\r\n")
            self.event(c, int(float(what.split()[1]) * 10))
        elif self.mode != "hang":
            self.later(self.delay, c, self.whole, what)

    def whole(self, c, what):
        self.held -= 1
        if self.mode == "dribble":
            self.dribble(c, what, 0)
        else:
            self.send(c, self.answer)

    def dribble(self, c, what, at):
        if at == 0 and not c.mute and c.sock.fileno() in self.conns:
            os.write(self.journal, f"begun {what}\n".encode())
        self.send(c, self.answer[at:at + 1])
        if at + 1 < len(self.answer) and c.sock.fileno() in self.conns:
            self.later(1.0, c, self.dribble, what, at + 1)

    def event(self, c, left):
        if left == 0:
            self.held -= 1
            self.send(c, b"0\r\n\r\n")
            return
        event = b"data: %d %s\n\n" % (left, self.name.encode())
        self.send(c, b"%x\r\n%s\r\n" % (len(event), event))
        if c.sock.fileno() in self.conns:
            self.later(0.1, c, self.event, left - 1)
        else:
            self.held -= 1

    def send(self, c, data):
        if c.mute or c.sock.fileno() not in self.conns:
            return
        try:
            c.sock.sendall(data)
        except OSError:
            self.drop(c)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Server(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4]), sys.argv[5]).run()
