"""The one exception a user is meant to read: what is wrong, where, and how to mend it."""


class TriadError(Exception):
    """Bad input or a refused request.

    Args:
        what: what was found, beside what was expected.
        where: the table, column, file or params key it was found in.
        mend: what the reader can do about it.
    """

    def __init__(self, what: str, *, where: str, mend: str) -> None:
        super().__init__(f"{where}: {what}\n  to mend it: {mend}")
        self.what, self.where, self.mend = what, where, mend
