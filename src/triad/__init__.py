"""Triad retrains an e-commerce shop's models every night. `dvc.yaml` defines the order of the work."""
