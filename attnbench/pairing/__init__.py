"""Accuracy compared over paired seeds: intervals, verdicts, and what could have been seen."""
