"""Inference runtimes for latency measurements: a registry, and one file per runtime."""
