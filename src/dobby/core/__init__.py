"""Pure and shipped: the words, shapes and rules that laptop and host share.

Imports the standard library only, and neither os, subprocess, time nor open: time and
files are arguments. Runs under Python 3.9 and later.
"""
