"""Record format, store, merge and cache key of what cases gave."""
