"""Checks that prove an attention module: what holds of it, what does not, and the way out."""
