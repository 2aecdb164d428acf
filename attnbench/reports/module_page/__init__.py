"""The page of one module, written by ``attnbench show module``."""
