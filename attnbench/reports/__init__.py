"""Reports of runs: tables, overview, module pages and figures, without importing torch."""
