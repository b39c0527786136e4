"""Products in the wrong class, for the merchant to look at."""
