"""Studies: the same networks, members and metrics on other forms of data than a shop's log."""
