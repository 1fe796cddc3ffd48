"""What the command line, the page and Python users all call."""

from dobby.client.client import Client, Listing, Run

__all__ = ["Client", "Listing", "Run"]
