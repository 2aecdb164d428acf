"""Rules for the interval of a latency ratio, on recorded and on simulated rounds."""
