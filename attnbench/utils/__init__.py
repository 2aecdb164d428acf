"""Utilities without any knowledge of attention: files, git, text."""
