"""Figures: feature maps, training curves, paired differences, dot plots."""
