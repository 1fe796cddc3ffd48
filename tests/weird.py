"""Strings that break programs which take text for granted: for labels, commands, directories.

Text that is not UTF-8 is written with surrogate escapes, as Python gets it from argv."""

from __future__ import annotations

NOT_UTF8 = b"caf\xe9-\xff\xfe".decode("utf-8", "surrogateescape")

# Names that a file may have and a shell, a terminal or a parser may take for something else.
NAMES = {
    "space": "a b",
    "leading space": " a",
    "single quote": "it's",
    "double quote": 'say "hi"',
    "backslash": "a\\nb",
    "newline": "a\nb",
    "trailing newline": "a\n",
    "carriage return": "a\rb",
    "tab": "a\tb",
    "semicolon": "; echo foo",
    "substitution": "$(touch x)",
    "backquotes": "`touch x`",
    "variable": "$HOME ${IFS}",
    "pipe": "a | b > c & d",
    "glob": "*.py [a-z] ?",
    "brace": "{a,b}",
    "exclamation": "!! !$",
    "tilde": "~root",
    "hash": "# no comment",
    "percent": "%s %n %00 100%",
    "option": "--upload-pack=touch x",
    "short option": "-rf",
    "at": "@{upstream}",
    "colon": "a:b",
    "escape": "\x1b[2J\x1b]52;c;eA==\x07",
    "c1": "\x9b2J",
    "bell and backspace": "a\x07\x08b",
    "not utf-8": NOT_UTF8,
    "accents": "grün-日本",
    "lookalike": "mаin",  # the second letter is Cyrillic
    "right to left": "a\u202etxt.exe",
    "zero width": "ma\u200bin",
    "line separator": "a\u2028b",
    "markup": "<!channel> <script>alert(1)</script>",
    "300 bytes": "x" * 300,
}

FILE_NAMES = {what: name for what, name in NAMES.items() if "/" not in name and len(name) < 256}

# Never a label, project or run id: refused before any connection.
NOT_NAMES = [
    *NAMES.values(),
    "",
    ".",
    "..",
    "../x",
    "a/b",
    "/etc",
    "a..b",
    "a.",
    "a.lock",
    ".hidden",
    "_x",
    "-oProxyCommand=touch x",
    "x\0y",
    "x" * 65,
]

# Never a directory inside the checkout.
NOT_INSIDE = ["/etc", "../../etc", "..", "a/../..", "a/..", "~", "~root/x", "//", "x\0y"]

# A command must arrive byte for byte; NUL alone cannot be given to a program.
COMMANDS = [*NAMES.values(), "printf '%s' \"a'b\"", "echo é; exit 3", "true #" + "é" * 5000]
