"""Regression detection: comparison of runs and of revisions, histories of runs."""
