"""Data that the pipeline did not make, read into a `Dataset`. A form of data is a module, or a package, of its own."""
