#!/usr/bin/env python3
"""One node of a pair for the proxy harness, joined by hand (tests/mesh/mesh_node.c):

    run.py compare --cmd "mux=python3 tests/bench/mesh_pair.py build/tests/mesh_node {role} {port} {up}" \\
        --proxies haproxy,haproxy:h2 --scenarios pair-c32

    load ─▶ out :port ══ plain HTTP/2 ══▶ in :port ─▶ origin

The transport is plain: until there are certificates the figure stands beside, not against, those of
pairs that speak mutual TLS. Once two real nodes can join, theirs replace this one.
"""
import signal
import socket
import subprocess
import sys

ORIGIN = 18080  # run.py's PORT_O: what the owner publishes, and the other asks for
HOST = "127.0.0.1"


def main():
    binary, role, port, up = sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4]
    origin = up if role == "in" else str(ORIGIN)
    outbound, inbound = (HOST + ":0", f"{HOST}:{port}") if role == "in" else (f"{HOST}:{port}",
                                                                              HOST + ":0")
    at = "local -" if role == "in" else f"in - {HOST}:{up}"
    ours, theirs = socket.socketpair()
    node = subprocess.Popen([binary, f"node/{role}", "1", outbound, inbound],
                            stdin=theirs,
                            stdout=subprocess.DEVNULL)
    theirs.close()
    ours.sendall(f"service default echo 80\nendpoint {HOST}:{origin} {at}\npublish\n".encode())
    for s in (signal.SIGTERM, signal.SIGINT):
        signal.signal(s, lambda *_: node.terminate())
    sys.exit(node.wait())


main()
