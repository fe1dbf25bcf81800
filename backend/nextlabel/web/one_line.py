"""What of an error goes into an answer and into the log."""

LONGEST_ERROR = 600  # characters: an error may quote what was sent


def one_line(text: str) -> str:
    """For answer and log: what was sent could otherwise fill both, or pass for lines of the log."""
    printable = "".join(c if c.isprintable() else "\ufffd" for c in " ".join(text[: 4 * LONGEST_ERROR].split()))
    return printable if len(printable) <= LONGEST_ERROR else f"{printable[:LONGEST_ERROR]} …"
