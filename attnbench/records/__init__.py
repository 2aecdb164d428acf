"""Record format, store, merge and cache key of the results of cases."""
