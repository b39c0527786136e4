"""Studies: compare the ways of learning with their absence, on a shop's data or on public data.

A study (`spec`) names data (a form of `triad.datasets`), tasks, variants and seeds. A unit, one variant with one seed,
is fitted and asked about the test split (`run`); `compare` and `results` judge the claims; `page` shows them; `plan`
lists the units for DVC.
"""
