"""Exact costs of a model: MACs, bytes, activations, peak memory; other counters reconciled."""
