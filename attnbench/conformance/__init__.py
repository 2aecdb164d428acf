"""Conformance checks of an attention module, their runner and their reports."""
