"""Timing that holds on a shared machine: paired, interleaved, with an interval and a control."""
