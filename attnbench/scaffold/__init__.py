"""Scaffold of a plugin package, ``attnbench new``, written from templates."""
