"""Data that the stages did not make, read into a `Dataset`: each form is a module, or a package, of its own."""
