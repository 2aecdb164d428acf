"""Statistics: every estimator, interval and verdict rule. Imports no torch."""
