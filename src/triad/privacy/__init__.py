"""Persons behind the data: pseudonyms, who asked to be forgotten, and where a person still lies."""
