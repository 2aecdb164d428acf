"""The image data sets that networks are trained on: a small registry, one file per data set."""
