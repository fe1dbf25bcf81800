"""Who may see what people wrote, and who may press a button."""


def may_see_texts() -> bool:
    """Whether the request may see texts of tasks."""
    return True


def may_press() -> bool:
    """Whether the request may change anything."""
    return True


def form_token(project: int, action: str) -> str:
    """What the form of a button must send, so that no page of others can press it."""
    return f"{project} {action}"
