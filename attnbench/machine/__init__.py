"""The machine that measures: what it is, and what on it hurts timing."""
