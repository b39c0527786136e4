"""Searches the dials of a night or a study for the smallest validation loss."""
