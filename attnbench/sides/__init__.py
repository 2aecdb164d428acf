"""Two trees of one repository, base and head, measured against each other on one machine."""
