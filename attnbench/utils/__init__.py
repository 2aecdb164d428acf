"""Utilities independent of attention: bit masks, escaping, git, text."""
