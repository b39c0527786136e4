"""What products are: their attributes, as shops write them. No task is known here."""
