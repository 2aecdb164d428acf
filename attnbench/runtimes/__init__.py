"""The runtimes that models are timed in: a small registry, one file per runtime."""
