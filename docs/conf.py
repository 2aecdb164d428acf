"""Configuration of sphinx; ``docs/build_site.py`` collects the sources and calls it."""

project = "attnbench"
author = "attnbench developers"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "furo"
html_title = "attnbench"
html_copy_source = False
html_show_sourcelink = False
myst_heading_anchors = 4
napoleon_use_ivar = True
autodoc_typehints = "description"
autodoc_member_order = "bysource"
# a card's formulas and the values of torch are no texts for a page
autodoc_preserve_defaults = True
suppress_warnings = ["myst.header"]
