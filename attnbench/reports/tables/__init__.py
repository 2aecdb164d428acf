"""Tables: reports built from a planned suite and its records, rendered without importing torch."""
