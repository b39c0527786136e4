"""Formulas on arrays: metrics, resampling, calibration, convex weights. Nothing here knows a task or a file."""
