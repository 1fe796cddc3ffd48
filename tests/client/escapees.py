"""Not a test: a job that will not be stopped. `python3 escapees.py KIND`; each process of it
writes its pid into $DOBBY_OUTPUTS/pids."""

import os
import select
import signal
import sys


def note() -> None:
    with open(os.environ["DOBBY_OUTPUTS"] + "/pids", "a") as file:
        file.write(f"{os.getpid()}\n")


def sleep() -> None:
    while True:
        signal.pause()


def deaf() -> None:
    """Ignores what can be ignored."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)
    note()
    sleep()


def halted() -> None:
    """Stopped: it takes no signal but SIGKILL until it is continued."""
    note()
    os.kill(os.getpid(), signal.SIGSTOP)
    sleep()


def daemon() -> None:
    """Double fork, setsid, all descriptors closed; the command itself goes on too."""
    if os.fork() == 0:
        os.setsid()
        if os.fork():
            os._exit(0)
        note()
        os.closerange(0, 256)
        deaf_daemon()
    os.wait()
    note()
    sleep()


def deaf_daemon() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sleep()


def anonymous() -> None:
    """A daemon with an empty environment, so that only its descent tells whose it is."""
    if os.fork() == 0:
        os.setsid()
        if os.fork():
            os._exit(0)
        note()
        os.closerange(0, 256)
        os.execve("/bin/sleep", ["sleep", "300"], {})
    os.wait()
    note()
    sleep()


def parent() -> None:
    """Forks for ever; the children stay."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    note()
    while True:
        if os.fork() == 0:
            sleep()
        select.select([], [], [], 0.002)


def chain() -> None:
    """Is never the same process for long: each forks its successor and ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    note()
    if os.fork():
        sleep()
    while True:
        if os.fork():
            os._exit(0)


def hydra() -> None:
    """As `chain`, and each successor in a session of its own, nameless: no group to kill, no
    environment to find, never there when one looks."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    note()
    if os.fork():
        sleep()
    os.environ.clear()
    while True:
        if os.fork():
            os._exit(0)
        os.setsid()


def nameless() -> None:
    """One process, with an empty environment and no descriptors."""
    note()
    os.closerange(0, 256)
    os.execve("/bin/sleep", ["sleep", "300"], {})


def jailer() -> None:
    """Stops its own wrapper, which then can tell nobody of anything."""
    note()
    os.kill(os.getppid(), signal.SIGSTOP)
    sleep()


globals()[sys.argv[1]]()
