"""Reports of runs: tables, overview, module pages and figures. Imports no torch."""
