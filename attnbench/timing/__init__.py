"""Timing on a shared machine: paired, interleaved sampling, clocks, isolation."""
