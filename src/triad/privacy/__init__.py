"""Persons in the data: pseudonyms, requests to be forgotten, and the places that still hold a person's data."""
