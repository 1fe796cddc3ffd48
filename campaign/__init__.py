"""`make campaign`: faults by the thousand, with figures to reach. Real sshd, real processes, real files.

A file holds the experiments of one subject (`EXPERIMENTS`); `frame.py` says what one is.
"""
