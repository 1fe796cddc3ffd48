"""The command line: a file per verb, argv -> one client call -> one view."""
