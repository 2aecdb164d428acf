"""Counting: what a model costs on paper, by our rules and by three other counters."""
