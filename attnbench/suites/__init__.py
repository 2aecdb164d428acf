"""Suites: the cases of a table, its layout, and the printed figures of its source."""
