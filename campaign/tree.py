"""A job that will not be stopped, made by chance: `python3 -I -S tree.py SEED`.

Each process of it notes its pid and start time (field 22 of proc_pid_stat(5)) in $DOBBY_OUTPUTS/pids
and sleeps. By then it may have left its session, its parent, its descriptors, its environment; it may
be deaf, or stopped. The first one says in `made` that all the others stand."""

import os
import random
import signal
import sys

DEPTH, WIDTH = 3, 3
DEAF_TO = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


def grow(chance: random.Random, depth: int, notes: int, stands: int) -> None:
    """This process, with those below it. Never returns."""
    if chance.random() < 0.4 and os.getpgrp() != os.getpid():
        os.setsid()
    if chance.random() < 0.6:
        for number in DEAF_TO:
            signal.signal(number, signal.SIG_IGN)
    for _ in range(chance.randint(0, WIDTH) if depth else 0):
        below = random.Random(chance.random())
        orphaned = below.random() < 0.4
        pid = os.fork()
        if pid == 0:
            if not orphaned or os.fork() == 0:
                grow(below, depth - 1, notes, stands)
            os._exit(0)
        if orphaned:
            os.waitpid(pid, 0)
    note(notes)
    os.close(stands)  # the first process reads its end once all have
    if depth < DEPTH:
        stay(chance)


def note(notes: int) -> None:
    with open("/proc/self/stat") as file:
        start = file.read().rpartition(")")[2].split()[19]
    os.write(notes, f"{os.getpid()} {start}\n".encode())


def stay(chance: random.Random) -> None:
    how = chance.choice(["plainly", "plainly", "stopped", "closed", "nameless", "nameless"])
    if how in ("closed", "nameless"):
        os.closerange(0, 256)
    if how == "nameless":
        os.execve("/bin/sleep", ["sleep", "300"], {})
    if how == "stopped":
        os.kill(os.getpid(), signal.SIGSTOP)
    while True:
        signal.pause()


def main() -> None:
    chance = random.Random(sys.argv[1])
    outputs = os.environ["DOBBY_OUTPUTS"]
    notes = os.open(f"{outputs}/pids", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    all_stand, stands = os.pipe()
    grow(chance, DEPTH, notes, stands)
    os.read(all_stand, 1)
    with open(f"{outputs}/made", "w"):
        stay(chance)


if __name__ == "__main__":
    main()
