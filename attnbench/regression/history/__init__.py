"""Histories: runs of the same cases, one per commit; series, change points, their commits."""
