"""Many runs of the same cases, one per commit: series, change points and their commits."""
