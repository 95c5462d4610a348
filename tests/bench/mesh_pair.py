#!/usr/bin/env python3
"""One node of a pair for the larger harness: two ordinary nodes joined by gossip.

    run.py compare --scenarios pair-c32,pair-c256 --proxies haproxy,haproxy:h2 --base haproxy --rounds 3 \\
        --cmd "gossamer=python3 tests/bench/mesh_pair.py build/gossamer {role} {port} {up} {node} {gossip} {peer_gossip} {admin} {dir}"

    load ─▶ n2 :port ══ plain HTTP/2 ══▶ n1 :port ─▶ origin :up        echo.default is n1's

The transport is plain until there are certificates: the figure stands beside, not against, those of
pairs that speak mutual TLS.
"""
import base64
import json
import os
import pathlib
import sys

HOST = "127.0.0.1"
INSIDE_UP = 5  # the port a role does not use is its gossip's plus this and the role's number


def config(role, port, up, node, gossip, peer_gossip, admin, dir):
    key = pathlib.Path(dir) / f"gossip-{role}.key"
    key.write_text(base64.b64encode(b"of two nodes on one machine only"[:32]).decode() + "\n")
    key.chmod(0o600)
    spare = f"{HOST}:{int(gossip) + INSIDE_UP}"
    here = f"{HOST}:{port}"
    out = {
        "node": node,
        "gossip": {"bind": f"{HOST}:{gossip}", "key_file": str(key)},
        "proxy": {
            "outbound": spare if role == "in" else here,
            "inbound": here if role == "in" else spare,
            "workers": 1
        },
        "admin": {"listen": f"{HOST}:{admin}", "socket": f"{dir}/admin-{role}.sock"},
        "state_dir": f"{dir}/state-{role}",
        "identity": {"mode": "off"},
        "timeouts": {"idle": "600s"},
    }
    if role == "in":
        check = {"tcp": True, "interval": "60s"}
        instances = [{"address": f"{HOST}:{up}", "health": check}]
        out["services"] = [{"name": "echo", "port": 80, "protocol": "http", "instances": instances}]
    else:
        out["gossip"]["join"] = [f"{HOST}:{peer_gossip}"]
    path = pathlib.Path(dir) / f"node-{role}.yaml"
    path.write_text(json.dumps(out))  # JSON is YAML
    return str(path)


def main():
    binary = sys.argv[1]
    os.execv(binary, [binary, "run", "-c", config(*sys.argv[2:10])])


main()
