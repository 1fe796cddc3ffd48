"""`python -m bench`: the launch path, start-up and memory, each beside its floor.

As an unprivileged user over a real sshd on loopback, with a warm multiplexed connection.
`--rounds N` (default 15) and `--without-packages` (skip the row that installs pandas).
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile

from tests import sshd as sshd_module

from bench import repos, timing

PACKAGES = "pandas\nnumpy\nsqlalchemy\nrequests\n"
DOBBY = [os.path.join(os.path.dirname(sys.executable), "dobby")]


class Bench:
    """One laptop (a temporary HOME), one host, one repository."""

    def __init__(self, folder: str, sshd: sshd_module.Sshd) -> None:
        self.sshd = sshd
        self.repo = f"{folder}/project"
        self.number = 0
        home = f"{folder}/home"
        os.makedirs(home)
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("DOBBY_", "GIT_", "XDG_"))}
        self.env = {
            **kept,
            "HOME": home,
            "XDG_RUNTIME_DIR": f"{folder}/run",
            "PATH": _plain_path(),
            "GIT_AUTHOR_NAME": "b",
            "GIT_AUTHOR_EMAIL": "b@example.org",
            "GIT_COMMITTER_NAME": "b",
            "GIT_COMMITTER_EMAIL": "b@example.org",
            **sshd.env,
        }
        os.makedirs(f"{folder}/run", 0o700)
        os.environ.update(self.env)
        repos.make_repository(repos.fetch_source(f"{tempfile.gettempdir()}/dobby-bench"), self.repo)
        self.ssh = [self.env["DOBBY_SSH"], "-o", f"ControlPath={folder}/mux", "-T", "--", sshd.destination]
        subprocess.run([*self.ssh[:3], "-M", "-N", "-f", *self.ssh[3:]], env=self.env, check=True)

    # --- dobby --------------------------------------------------------------------------

    def launch(self, revision: str, *options: str) -> float:
        """Seconds from Enter to the command's first line."""
        argv = [*DOBBY, "run", revision, "echo first", "-f", "-H", self.sshd.destination, *options]
        return timing.first_line(argv, self.env, self.repo, b"first")

    def new_label(self, revision: str = "main", *options: str) -> float:
        self.number += 1
        return self.launch(revision, "-l", f"label{self.number}", *options)

    def verb(self, *words: str) -> float:
        return timing.whole([*DOBBY, *words], self.env, self.repo)

    # --- floors -------------------------------------------------------------------------

    def on_host(self, command: str) -> float:
        return timing.first_line([*self.ssh, command], self.env, "/", b"first")

    def clone_shared(self, cache: str) -> float:
        self.number += 1
        there = f"floor/clone{self.number}"
        return self.on_host(f"git clone -q --shared {cache} {there} -b main && cd {there} && echo first")

    def uv_floor(self, uv: str) -> float:
        self.number += 1
        there = f"floor/venv{self.number}"
        install = (
            f"{uv} venv -q {there} && VIRTUAL_ENV={there} {uv} pip install -q -r floor/requirements.txt"
        )
        return self.on_host(f"export {_certificates()}; {install} && echo first")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--without-packages", action="store_true")
    args = parser.parse_args()
    folder = tempfile.mkdtemp(prefix="bench-")
    os.chmod(folder, 0o755)
    try:
        with sshd_module.serve("bench") as sshd:
            bench = Bench(folder, sshd)
            _launch_path(bench, args.rounds)
            if not args.without_packages:
                _with_packages(bench, args.rounds)
            _start_up(bench, args.rounds)
            _memory(bench)
            subprocess.run(
                [*bench.ssh[:3], "-O", "exit", *bench.ssh[3:]],
                env=bench.env,
                capture_output=True,
                check=False,
            )
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _launch_path(bench: Bench, rounds: int) -> None:
    bench.launch("main", "-l", "same", "--environment", "none")
    bench.sshd.run(["mkdir", "-p", "floor"])
    cache = ".dobby/projects/project/cache.git"
    head = repos.git(bench.repo, "rev-parse", "main").strip()
    bench.sshd.run(["git", "-C", cache, "update-ref", "refs/heads/main", head])
    sandbox = ".dobby/projects/project/jobs/same/sandbox"
    edited = f"{bench.repo}/README.rst"

    def one_change() -> float:
        with open(edited, "a") as file:
            file.write("one more line\n")
        return bench.launch(".", "-l", "change", "--environment", "none")

    one_change()
    count = repos.git(bench.repo, "ls-files").count("\n")
    print(
        f"\n{repos.PACKAGE}: {count} files, {repos.COMMITS} commits; "
        f"Enter to first line, ms, median of {rounds}"
    )
    _report(
        timing.interleaved(
            {
                "F ssh: git clone --shared && echo": lambda: bench.clone_shared(cache),
                "(a) new label, no environment": lambda: bench.new_label("main", "--environment", "none"),
                "F ssh: cd sandbox && echo": lambda: bench.on_host(f"cd {sandbox} && echo first"),
                "(b) same label, nothing changed": lambda: bench.launch(
                    "main", "-l", "same", "--environment", "none"
                ),
                "    same label, one changed line under .": one_change,
            },
            rounds,
        ),
        {
            "(a) new label, no environment": "F ssh: git clone --shared && echo",
            "(b) same label, nothing changed": "F ssh: cd sandbox && echo",
        },
    )


def _with_packages(bench: Bench, rounds: int) -> None:
    uv = shutil.which("uv", path=f"{os.path.dirname(sys.executable)}:{bench.env['PATH']}")
    if uv is None:
        print("\n(c) left out: there is no uv")
        return
    there = f"{bench.sshd.home}/.local/bin"
    bench.sshd.run(["mkdir", "-p", there])
    bench.sshd.run(["sh", "-c", f"cat >{there}/uv && chmod 755 {there}/uv"], input=_read(uv))
    bench.sshd.run(["sh", "-c", "cat >floor/requirements.txt"], input=PACKAGES.encode())
    settings = "[variables]\n" + "".join(
        f'{p.split("=")[0]} = "{p.split("=")[1]}"\n' for p in _certificates().split()
    )
    bench.sshd.run(["sh", "-c", "cat >.dobby/config.toml"], input=settings.encode())
    repos.git(bench.repo, "checkout", "-q", "-f", "-B", "packages", "main")
    with open(f"{bench.repo}/requirements.txt", "w") as file:
        file.write(PACKAGES)
    repos.git(bench.repo, "add", "-A")
    repos.git(bench.repo, "commit", "-q", "-m", "packages")
    bench.new_label("packages")
    _report(
        timing.interleaved(
            {
                "F ssh: uv venv && uv pip install": lambda: bench.uv_floor(f"{there}/uv"),
                "(c) new label, pandas numpy sqlalchemy requests": lambda: bench.new_label("packages"),
            },
            rounds,
        ),
        {"(c) new label, pandas numpy sqlalchemy requests": "F ssh: uv venv && uv pip install"},
    )


def _start_up(bench: Bench, rounds: int) -> None:
    print("\nStart-up, ms, whole commands")
    floor = "F python -c pass (the client's interpreter)"
    _report(
        timing.interleaved(
            {
                floor: lambda: timing.whole([sys.executable, "-I", "-c", "pass"], bench.env, "/"),
                "dobby --version": lambda: bench.verb("--version"),
                "dobby --help": lambda: bench.verb("--help"),
                "F ssh: true": lambda: bench.on_host("echo first"),
                "dobby ps, one host over ssh": lambda: bench.verb("ps", "-H", bench.sshd.destination),
            },
            rounds,
        ),
        {"dobby --version": floor, "dobby --help": floor, "dobby ps, one host over ssh": "F ssh: true"},
    )


def _memory(bench: Bench) -> None:
    """PSS of a live run's supervisor and wrapper (proc_pid_smaps_rollup(5)): needs root."""
    label = ["-l", "memory", "-H", bench.sshd.destination]
    bench.verb("run", "main", "sleep 60", "--environment", "none", *label)
    print("\nMemory of a live run")
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            name = _read(f"/proc/{pid}/comm").decode().strip()
            if name not in ("dobby-run", "dobby-wrap") or os.stat(f"/proc/{pid}").st_uid != bench.sshd.uid:
                continue
            lines = _read(f"/proc/{pid}/smaps_rollup").decode().splitlines()
        except OSError:
            continue
        found = {line.split()[0]: int(line.split()[1]) / 1024 for line in lines[1:]}
        print(f"  {name:12} {found['Pss:']:5.1f} MB PSS, {found['Rss:']:5.1f} MB RSS")
    bench.verb("stop", "memory", "-H", bench.sshd.destination)


def _report(found: dict[str, list[float]], floors: dict[str, str]) -> None:
    for name, values in found.items():
        ratio = ""
        if name in floors:
            ratio = f"{statistics.median(values) / statistics.median(found[floors[name]]):6.2f} F"
        print(f"  {name:52} {timing.milliseconds(values):24} {ratio}", flush=True)


def _plain_path() -> str:
    """PATH without version managers' shims, which cost 60 ms a start."""
    return os.pathsep.join(
        d for d in os.environ["PATH"].split(os.pathsep) if os.path.basename(d) != "shims"
    )


def _certificates() -> str:
    """Where a company's certificates are only in the system's store, uv must be told."""
    path = os.environ.get("SSL_CERT_FILE", "")
    return f"SSL_CERT_FILE={path}" if path else ""


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


if __name__ == "__main__":
    main()
