"""Command line: a file for each command, a thin layer over the library."""
