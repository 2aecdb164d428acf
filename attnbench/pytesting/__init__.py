"""What the pytest plugin does once a suite is named or its fixture is used."""
