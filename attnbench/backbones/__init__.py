"""The CNNs that attention modules are put into."""
