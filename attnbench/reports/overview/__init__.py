"""Overview of several runs: the cost, latency and accuracy of every module at each place."""
