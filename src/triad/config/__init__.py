"""Typed parameters: one frozen model for each section of `params.yaml`, in a module with the section's name.

A section a module, so that a change to one stage's dials makes only that stage stale.
"""
