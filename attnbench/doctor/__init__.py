"""Diagnosis of this machine: conditions that disturb timing, and its noise floor."""
