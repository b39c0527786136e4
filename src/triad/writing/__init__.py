"""Titles, descriptions and promotion lines from what is known of a product, and from nothing else."""
