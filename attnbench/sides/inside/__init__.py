"""What runs in the process of one side: given by path, it imports that side's own attnbench.

Nothing here may import attnbench before :mod:`guard` is in place, and as little of it as can be
afterwards: base may have an older one.
"""
