"""Answers one customer at a time, within a page's load, over HTTP."""
