"""How --memory, --cpus and --nice are read, and that they are part of what is asked."""

from __future__ import annotations

from typing import Any

import pytest
from tests.core.examples import REQUEST
from tests.core.told import notice

from dobby.core import container, wording
from dobby.core import request as rq
from dobby.core.errors import UsageError
from dobby.core.settings import parse_cpus, parse_size_bytes, read_nice
from dobby.core.status import Queued, fold
from dobby.views.table import status_text
from dobby.views.units import ordinal, used_text


@pytest.mark.parametrize(
    ("text", "size"),
    [
        *(("4G", 4 << 30), ("512M", 512 << 20), ("1.5g", 3 << 29), ("2GiB", 2 << 30), ("1T", 1 << 40)),
        *(("2048K", 2 << 20), ("1048576", 1 << 20), (1 << 30, 1 << 30), (" 4GB ", 4 << 30)),
    ],
)
def test_sizes(text: object, size: int) -> None:
    assert parse_size_bytes(text) == size


@pytest.mark.parametrize(
    "text", ["", "G", "4X", "-4G", "4 G 2", "1K", "9999T", "4Gi4", True, 1.5, None, "٤G"]
)
def test_no_sizes(text: object) -> None:
    with pytest.raises(ValueError, match="must be a size"):
        parse_size_bytes(text)


def test_processors_and_niceness() -> None:
    assert [parse_cpus(value) for value in (2, "0.5", 1.25)] == [2.0, 0.5, 1.25]
    for value in (0, "0", "-1", "two", True, float("nan"), None):
        with pytest.raises(ValueError, match="must be a number of processors"):
            parse_cpus(value)
    assert [read_nice(value) for value in (0, "19", 7)] == [0, 19, 7]
    for nice in (-1, 20, "-5", "low", 1.5):
        with pytest.raises(ValueError, match="from 0 to 19"):
            read_nice(nice)


@pytest.mark.parametrize("limit", [{"memory_bytes": 1 << 30}, {"cpus": 2.0}, {"nice": 5}])
def test_a_limit_is_part_of_what_is_asked(limit: dict[str, float]) -> None:
    asked = REQUEST.replace(**limit)
    assert asked.digest() != REQUEST.digest()
    assert rq.parse_request(rq.to_dict(asked)) == asked


@pytest.mark.parametrize("limit", [{"memory_bytes": 5}, {"cpus": 0}, {"nice": -3}, {"memory_bytes": "4G"}])
def test_a_wrong_limit_is_refused(limit: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="must be"):
        rq.parse_request(rq.to_dict(REQUEST.replace(**limit)))


def test_a_place_in_line() -> None:
    events: list[dict[str, Any]] = [
        {"kind": "queued", "at": "", "behind": "r0"},
        {"kind": "queued", "at": "", "number": 7, "max_running": 4},
    ]
    assert fold(events[:1]) == Queued(behind="r0")
    assert fold(events) == Queued(number=7, max_running=4)
    row = {"status": "queued", "queue_position": 3, "max_running": 4, "behind": ""}
    assert status_text(row) == "queued (3rd, max_running = 4)"
    assert [ordinal(n) for n in (1, 2, 3, 4, 11, 12, 13, 21, 101, 112)] == (
        ["1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "101st", "112th"]
    )


def test_what_was_used() -> None:
    usage = {"peak_memory_bytes": 1_234_000_000, "cpu_s": 185.2, "disk_bytes": 12}
    assert used_text(usage) == "1.2 GB, CPU 3m05s, disk 12 B"
    assert used_text({"cpu_s": 0.31, "peak_memory_bytes": None}) == "CPU 0.3s"
    assert used_text(None) == used_text({}) == ""


def test_what_was_used_is_told_in_the_notice() -> None:
    used = {"peak_memory_bytes": 1_234_000_000, "cpu_s": 185.2, "disk_bytes": 12_000_000}
    told = dict(wording.facts(notice("failed", {"usage": used})))
    assert told["Used"] == "1.2 GB of memory at most, 3 min 5 s of CPU, 12 MB of disk"
    assert "Used" not in dict(wording.facts(notice("failed", {"usage": dict.fromkeys(used)})))


def test_an_engine_is_told_the_limits() -> None:
    assert container.bounds(1 << 30, 1.5) == (
        *("--memory=1073741824", "--memory-swap=1073741824", "--cpus=1.5"),
    )
    assert container.bounds(None, 2.0) == ("--cpus=2",)
    assert container.bounds(None, None) == ()
