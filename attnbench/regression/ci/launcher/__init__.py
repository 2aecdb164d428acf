"""Launcher of a side's process: standard library only, loaded by path, shared by both sides."""
