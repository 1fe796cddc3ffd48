"""What the command line, the page and Python users all call."""

from dobby.client.client import Client, Listing, Run
from dobby.client.following import Follower

__all__ = ["Client", "Follower", "Listing", "Run"]
