"""Runner: plan, select and measure the cases of suites, into records."""
