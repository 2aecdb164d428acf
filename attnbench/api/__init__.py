"""Functions that do from Python what the commands do."""
