"""Searching a catalogue: words, spelling, BM25 by field, and what earlier judgements say of a query's words."""
