"""Two runs of one suite, compared case by case and metric by metric."""
