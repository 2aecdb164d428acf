"""Measurement of one case: cost, latency or accuracy."""
