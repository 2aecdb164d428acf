"""Many runs of the same cases, one for each commit: what changed, and with which commit."""
