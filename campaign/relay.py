"""ssh's ProxyCommand (ssh_config(5)) that is cut after so many bytes: `relay.py DIRECTORY HOST PORT`.

Takes the next line of DIRECTORY/plan: `up N` or `down N`, N bytes in that direction and the
connection is gone, both ways. Without a line all passes, and DIRECTORY/passed then holds how many
bytes went up and down.
"""

import fcntl
import os
import select
import socket
import sys


def next_step(directory: str) -> "list[str]":
    with open(f"{directory}/plan", "r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        lines = file.read().splitlines()
        file.seek(0)
        file.truncate()
        file.writelines(f"{line}\n" for line in lines[1:])
    return lines[0].split() if lines else []


def main() -> None:
    directory, host, port = sys.argv[1:]
    step = next_step(directory)
    rest = {"up": float("inf"), "down": float("inf")}
    if step:
        rest[step[0]] = int(step[1])
    far = socket.create_connection((host, int(port)))
    far.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    ways = {0: ("up", far.fileno()), far.fileno(): ("down", 1)}
    passed = {"up": 0, "down": 0}
    while min(rest.values()) > 0:
        for source in select.select(list(ways), [], [])[0]:
            way, sink = ways[source]
            data = os.read(source, int(min(rest[way], 65536)))
            if not data:
                rest[way] = 0
                break
            while data:
                sent = os.write(sink, data)
                data = data[sent:]
                passed[way] += sent
                rest[way] -= sent
    if not step:
        with open(f"{directory}/passed.new", "w") as file:
            file.write(f"{passed['up']} {passed['down']}")
        os.rename(f"{directory}/passed.new", f"{directory}/passed")


if __name__ == "__main__":
    main()
