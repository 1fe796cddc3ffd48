"""Run any branch, or the working tree as it stands, on another machine with one command."""
