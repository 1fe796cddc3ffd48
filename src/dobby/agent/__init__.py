"""Effects on the host. Shipped; standard library only, Python 3.9 and later, run with -I -S."""
