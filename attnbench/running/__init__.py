"""Running the cases of suites, in a worker process, into record files and tables."""
