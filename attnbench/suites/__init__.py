"""Suites: schema of the TOML files, cases, planner and serialization."""
