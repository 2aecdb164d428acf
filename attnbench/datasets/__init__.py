"""Image data sets: a registry, and one file per data set."""
