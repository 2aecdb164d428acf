"""Runtimes that execute a model for latency: a registry, and one file per runtime."""
