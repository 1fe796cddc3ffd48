"""Where notices go: a file a kind, found by its name.

Each has

    KEYS      what its table may hold beside what every channel has
    SECRETS   those of KEYS that are shown nowhere, and never taken from a command line
    asks(settings)                               the secrets that these settings still need
    check(settings)                              raises UsageError; quotes no secret
    send(settings, notice, delivery, memory)     what the service answered, as one line

`memory` is a dict of JSON values, kept for this run and channel; `send` may change it. Raises
`core.notices.Later` or `Refused`; neither holds a secret. May take a minute, and imports what is
large only then: it is called in a process of its own. A kind that needs something installed has
`prepare(home, env)` too, which returns what it found in one line, or raises DobbyError.
"""
