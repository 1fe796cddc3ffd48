"""The words on the wire: one command, one call, framed replies.

The remote command is constant, so that no shell, of whatever kind, ever sees a user's text:
POSIX sh in single quotes, on one line, without ' \\ or !, which fish, tcsh and bash all pass
on untouched. It reads one line, says `here`, and runs the agent of that digest. Where there is
none it answers `need`, and the caller sends a loader and the archive on the same stream; the
call, sent before, is kept meanwhile; what was said ahead of it is not.

    caller  header line; frame(ahead) frame(call)     frame = decimal length, newline, bytes
    host    reply…                           reply = MARKER SPACE kind SPACE length, newline, bytes
    caller  only when answered `need`: frame(loader) archive; when answered `ask`: a frame

The header line is `exit 64 #dobby1 DIGEST MARKER [anew]`: where a login file puts another shell
in our sh's place, that shell reads the stream as a script, and ends before the call's words.
With `anew` an agent that is there is not used: it has failed.

What is ahead (`dump_ahead`) may be said before the call is known, or not at all: then it is empty.
A call is a JSON line `{"verb", "args", "more"}`, then any bytes that the verb takes (a pack). Where
`more` is true, and `done` was answered, the agent stays for frame(ahead) frame(call) once more, and
leaves when that has not begun within WAITING_S, or the stream ends.
Whatever stands before a marker was printed by login files and is passed over. Results come
only from the `done` or `fail` reply, never from an exit code.
"""

from __future__ import annotations

from dobby.core import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

OLDEST_PYTHON = (3, 9)

# What a host may make its caller hold in memory: a line, and a reply (every run of a host in one).
MOST_LINE, MOST_REPLY = 1 << 16, 1 << 28
GARBLED = "another program answers there, or the agent is damaged: remove ~/.dobby/agent there"

WAITING_S = 5.0  # that an agent stays for a further call
# Verbs that, asked twice, do more or answer otherwise than asked once. They are sent to no agent that has
# waited, which may have gone just then: nobody could tell whether it took them.
ONCE = ("channel", "clean", "cron", "purge")

READ_AS_SCRIPT = 64  # the exit code of another shell that read the header

# kinds of reply
HERE = "here"  # the first reply: our sh runs, whatever login files did
NEED = "need"  # the agent is absent: send it
ASK = "ask"  # a question about objects; answered by one frame
SAY = "say"  # progress, for a person
ACK = "ack"  # a launch is acknowledged, JSON; its log follows in the same session
RUN = "run"  # which run is followed, JSON: `project label run`
AT = "at"  # the byte offset at which the log's bytes begin, decimal
SETUP = "setup"  # bytes of a log that the set-up wrote
DATA = "data"  # bytes of a log that the job wrote, or of an archive
CLOCK = "clock"  # the host's time as the check begins, JSON: `now`, seconds since 1970
DONE = "done"  # the result, JSON; the last reply
FAIL = "fail"  # the error, JSON; the last reply

# `python` of the host's settings is read by hand ($y is its quote); then come the usual names,
# newest first. The agent's own note of its interpreter saves that search, unless the settings
# are newer. "anew" is $w.
BOOTSTRAP = (
    "exec /bin/sh -c '"
    'IFS=" " read -r x y v a m w || exit 65; '
    '[ "$v" = "#dobby1" ] || exit 65; '
    'echo; echo "$m here 0"; '
    'd=${DOBBY_HOME:-$HOME/.dobby}; n="$d/agent/$a/python"; '
    'if [ "$w" = anew ] || [ "$d/config.toml" -nt "$n" ]; then :; '
    'elif [ -r "$n" ] && IFS= read -r p <"$n" && [ -x "$p" ]; '
    'then exec "$p" -I -S "$d/agent/$a/main.py" "$d" "$m"; fi; '
    's=; if [ -r "$d/config.toml" ]; then while IFS=" =" read -r k x; do '
    'case "$k" in python) y=${x%"${x#?}"}; s=${x#?}; s=${s%%"$y"*}; '
    'case "$s" in "~/"*) s=$HOME/${s#??};; esac;; "["*) break;; esac; done <"$d/config.toml"; fi; '
    'o=; for p in "$s" python3 python3.14 python3.13 python3.12 python3.11 python3.10 python3.9; do '
    'if [ -n "$p" ] && command -v "$p" >/dev/null 2>&1; then '
    'if "$p" -I -S -c "import sys;sys.exit(sys.version_info<(3,9))" >/dev/null 2>&1; then '
    'echo "$m need 0"; '
    'exec "$p" -I -S -c "import sys;f=sys.stdin.buffer;r=lambda:f.read(int(f.readline()));r();q=r();'
    'exec(r())" "$d" "$m" "$a"; fi; '
    'o="$o $p"; fi; done; '
    'o=${o:-none}; echo "$m need ${#o}"; printf %s "$o"; exit 66'
    "'"
)


class Garbled(Exception):
    """What a host sent is nothing that an agent says; the text says what it was."""


def header(digest: str, marker: str, anew: bool = False) -> bytes:
    return f"exit {READ_AS_SCRIPT} #dobby1 {digest} {marker}{' anew' if anew else ''}\n".encode()


def frame(data: bytes) -> bytes:
    return b"%d\n%b" % (len(data), data)


def parse_length(line: bytes) -> int | None:
    """The length that begins a frame; None for what begins none, and for more than fits in memory."""
    digits = line.strip()
    if not digits.isdigit() or len(digits) > len(str(MOST_REPLY)):
        return None
    length = int(digits)
    return length if length <= MOST_REPLY else None


def dump_ahead(project: str, label: str, origin: str, object_format: str) -> bytes:
    """What a launch is likely to be for, said as soon as it is known: the host looks there meanwhile."""
    told = {"project": project, "label": label, "origin": origin, "object_format": object_format}
    return json.dumps(told).encode()


def alone(call: bytes) -> bytes:
    """The frames of a call of which nothing was said ahead."""
    return frame(b"") + frame(call)


def dump_call(verb: str, args: dict[str, Any], attached: bytes = b"", more: bool = False) -> bytes:
    return json.dumps({"verb": verb, "args": args, "more": more}).encode() + b"\n" + attached


def parse_call(data: bytes) -> tuple[str, dict[str, Any], bytes, bool]:
    """Verb, arguments, attached bytes, whether another call may follow. Raises ValueError when cut or
    no call."""
    line, _, attached = data.partition(b"\n")
    call = json.loads(line)
    if not isinstance(call, dict) or not isinstance(call.get("args"), dict):
        raise ValueError("it is no call")
    return str(call["verb"]), call["args"], attached, call.get("more") is True


def dump_reply(marker: str, kind: str, payload: bytes) -> bytes:
    return b"%b %b %d\n%b" % (marker.encode(), kind.encode(), len(payload), payload)


def parse_reply_line(marker: bytes, line: bytes) -> tuple[str, int] | None:
    """Kind and length of the payload that follows; None when the line is no reply. Raises Garbled.

    Login files may print without a newline, so the marker may stand inside the line."""
    at = line.rfind(marker + b" ")
    if at < 0 or not line.endswith(b"\n"):
        return None
    words = line[at + len(marker) + 1 :].split()
    if len(words) != 2 or not words[1].isdigit():
        return None
    if len(words[1]) > len(str(MOST_REPLY)) or int(words[1]) > MOST_REPLY:
        raise Garbled(f"a reply longer than {MOST_REPLY} bytes")
    return words[0].decode("ascii", "replace"), int(words[1])


def parse_answer(payload: bytes) -> dict[str, Any]:
    """The object of a last reply. Raises Garbled."""
    try:
        answer = json.loads(payload)
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict):
        raise Garbled("an answer that is no object of JSON")
    return answer
