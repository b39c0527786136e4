"""Inputs of the networks, one a file: its arrays, its Keras layer, its warm start."""
