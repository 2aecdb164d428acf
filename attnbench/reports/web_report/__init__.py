"""The interactive report of runs: one HTML file that works without a network."""
