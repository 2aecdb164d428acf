"""Start a side's process: standard library only, loaded by path, the same files on both sides."""
