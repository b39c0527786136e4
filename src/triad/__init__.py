"""Triad retrains an e-commerce shop's models every night. The order of the work stands in `dvc.yaml`."""
