"""Other people's counters, each behind one file, each run on a fresh copy of the model."""
