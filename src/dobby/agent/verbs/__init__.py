"""A file a verb: `run(call)` answers with JSON values or raises DobbyError."""
