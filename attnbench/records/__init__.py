"""Records: what cases gave, one JSON line each, under the header of the run that measured them."""
