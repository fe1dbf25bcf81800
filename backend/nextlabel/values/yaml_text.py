"""Texts in YAML that every reader takes for what they are, whatever is in them."""


def quoted(text: str) -> str:
    """In double quotes, on one line: `no`, `007`, `1e5` and a date stay texts, in YAML 1.1 as in 1.2."""
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(char: str) -> str:
    if char in '"\\':
        return f"\\{char}"
    return char if char.isprintable() else f"\\U{ord(char):08X}"
