"""Who may see what people wrote, and who may press a button."""


def may_see_texts() -> bool:
    """Whether the request may see texts of tasks."""
    return True


def may_press() -> bool:
    """Whether the request may change anything."""
    return True


def form_token() -> str:
    """What a form of the page must send, so that no page of others can press its buttons."""
    return ""
