"""Every path under ~/.dobby on the host, once. `home` is an absolute path; all are strings."""

from __future__ import annotations

from dobby.core.names import check_name, is_name
from dobby.core.record import Record


class Project(Record):
    """Paths of one project."""

    home: str
    project: str

    @property
    def root(self) -> str:
        return f"{self.home}/projects/{check_name(self.project, 'project')}"

    @property
    def cache(self) -> str:
        """The object cache: a bare repository."""
        return f"{self.root}/cache.git"

    @property
    def identity(self) -> str:
        """JSON: `roots` (ids of root commits) and `origins` (URLs) admitted."""
        return f"{self.root}/identity.json"

    @property
    def lock(self) -> str:
        return f"{self.root}/lock"

    @property
    def jobs(self) -> str:
        return f"{self.root}/jobs"

    @property
    def blobs(self) -> str:
        """Contents that git does not carry (agent/blobs.py): of Git LFS, and what is included."""
        return f"{self.root}/blobs"

    @property
    def module_caches(self) -> str:
        """Where the submodules' caches lie."""
        return f"{self.root}/submodules"

    def spare(self, umask: int) -> str:
        """A sandbox that no job has used, made under that umask (agent/spare.py)."""
        return f"{self.root}/spare.{umask:03o}"

    @property
    def spare_lock(self) -> str:
        """flocked while a spare is made."""
        return f"{self.root}/spare.lock"

    def module_cache(self, name: str) -> str:
        """The object cache of a submodule. `name` may hold '/', never '..' (checked on parse);
        '%2F' keeps one cache from lying inside another."""
        return f"{self.module_caches}/{name.replace('%', '%25').replace('/', '%2F')}.git"


class Job(Record):
    """Paths of one job (one label within a project)."""

    home: str
    project: str
    label: str

    @property
    def of_project(self) -> Project:
        return Project(home=self.home, project=self.project)

    @property
    def root(self) -> str:
        return f"{self.of_project.jobs}/{check_name(self.label, 'label')}"

    @property
    def lock(self) -> str:
        """flocked while anything of a run of this job may live."""
        return f"{self.root}/lock"

    @property
    def accepting(self) -> str:
        """flocked for an instant while a run is accepted; holds the last sequence number."""
        return f"{self.root}/accepting"

    @property
    def holder(self) -> str:
        """The id of the run that took the label's lock last."""
        return f"{self.root}/holder"

    @property
    def sandbox(self) -> str:
        return f"{self.root}/sandbox"

    @property
    def environment(self) -> str:
        """Holds one directory for each kind of environment (agent/environment.py)."""
        return f"{self.root}/environment"

    @property
    def needs(self) -> str:
        """Holds a file for each run that needs contents of the project's `blobs`."""
        return f"{self.root}/needs"

    @property
    def included(self) -> str:
        """What of the sandbox was included, as it was written there (agent/included.py)."""
        return f"{self.root}/included.json"

    @property
    def trash(self) -> str:
        """What is being removed (agent/trash.py)."""
        return f"{self.root}/trash"

    @property
    def runs(self) -> str:
        return f"{self.root}/runs"

    def run(self, run_id: str) -> Run:
        return Run(home=self.home, project=self.project, label=self.label, run_id=run_id)


class Run(Record):
    """Paths of one run: its directory is the database."""

    home: str
    project: str
    label: str
    run_id: str

    @property
    def job(self) -> Job:
        return Job(home=self.home, project=self.project, label=self.label)

    @property
    def root(self) -> str:
        return f"{self.job.runs}/{check_name(self.run_id, 'run id')}"

    @property
    def request(self) -> str:
        return f"{self.root}/request.json"

    @property
    def events(self) -> str:
        return f"{self.root}/events.jsonl"

    @property
    def exit(self) -> str:
        """Written by the wrapper: how the command ended."""
        return f"{self.root}/exit.json"

    @property
    def final(self) -> str:
        """Created once, by link."""
        return f"{self.root}/final.json"

    @property
    def stop(self) -> str:
        """Created once: who asked for the stop, and when."""
        return f"{self.root}/stop.json"

    @property
    def lock(self) -> str:
        """flocked by the supervisor alone, from acceptance on."""
        return f"{self.root}/lock"

    @property
    def log(self) -> str:
        return f"{self.root}/output.log"

    @property
    def trouble(self) -> str:
        """What the supervisor itself said on stderr: empty unless dobby is wrong."""
        return f"{self.root}/supervisor.err"

    @property
    def excerpt(self) -> str:
        """The log's last lines and the line that looks like the error, masked."""
        return f"{self.root}/excerpt.json"

    @property
    def notices(self) -> str:
        """What became of the run's notices, an attempt a line (core/delivered.py)."""
        return f"{self.root}/notices.jsonl"

    @property
    def marker(self) -> str:
        """There while somebody is still to be told of the run. No name of ours holds a '%'."""
        return f"{outbox(self.home)}/{self.project}%2F{self.label}%2F{self.run_id}"

    @property
    def container(self) -> str:
        """There while an engine may know a container of this run (agent/containers.py)."""
        return f"{self.root}/container.json"

    @property
    def outputs(self) -> str:
        return f"{self.root}/outputs"

    @property
    def left(self) -> str:
        return f"{self.root}/left"


def agent(home: str, digest: str) -> str:
    """Where the agent of this SHA-256 lies."""
    return f"{home}/agent/{digest}"


def settings(home: str) -> str:
    return f"{home}/config.toml"


def settings_lock(home: str) -> str:
    """flocked for an instant while dobby itself changes the settings."""
    return f"{home}/config.toml.lock"


def watch(home: str) -> str:
    """The script that cron runs (`dobby host add --watch`)."""
    return f"{home}/watch"


def tool(home: str, name: str) -> str:
    """A program that dobby installed for itself, such as Apprise's venv."""
    return f"{home}/tools/{check_name(name, 'tool')}"


def outbox(home: str) -> str:
    """A marker for each run that is not final, or of which not everyone has been told."""
    return f"{home}/outbox"


def parse_marker(home: str, name: str) -> Run | None:
    """The run that a name in the outbox stands for, None where it is none of ours."""
    parts = name.split("%2F")
    if len(parts) != 3 or not all(map(is_name, parts)):
        return None
    return Run(home=home, project=parts[0], label=parts[1], run_id=parts[2])


def steward_lock(home: str, machine: str) -> str:
    """flocked by the one steward of this machine: a home may be shared by several."""
    return f"{home}/steward.{machine.replace('/', '-')}.lock"


def slots(home: str, machine: str) -> str:
    """Who runs and who waits for a slot on this machine (agent/slots.py)."""
    return f"{home}/slots.{machine.replace('/', '-')}"


def house(home: str) -> str:
    """flocked by who tidies up the whole of it; its date says when that was done last."""
    return f"{home}/house"


def index(home: str, digest: str) -> str:
    """What the agent of that digest knows of jobs that are over (agent/index.py)."""
    return f"{home}/index/{digest}"


def steward_trouble(home: str, machine: str) -> str:
    """What the steward said on stderr: empty unless dobby is wrong."""
    return f"{home}/steward.{machine.replace('/', '-')}.err"
