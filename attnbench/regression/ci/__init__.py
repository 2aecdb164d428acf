"""Base and head of one repository, measured against each other on one machine.

Each side runs in a process of its own: :mod:`launcher` (head's copy, standard library only) sets
the process up and hands over to :mod:`bridge` of the attnbench that the side itself imports. All
else here runs in head's own process and reaches a side through the bridge's JSON protocol alone.
"""
