"""Figures: what a module does to an image's feature maps, training curves, paired differences."""
