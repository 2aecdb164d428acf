"""``attnbench new``: a small plugin package, written from templates."""
