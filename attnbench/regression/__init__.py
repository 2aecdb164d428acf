"""Regressions: runs compared, revisions measured against each other, histories of runs."""
