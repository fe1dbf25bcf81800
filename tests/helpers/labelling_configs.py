"""Small labelling configs, as XML and read."""

from nextlabel.labelstudio.config import parse_label_config


def view(*tags: str) -> str:
    return f"<View>{''.join(tags)}</View>"


def text(name: str, attributes: str = "", tag: str = "Text") -> str:
    return f'<{tag} name="{name}" value="${name}" {attributes}/>'


def choices(attributes: str = 'toName="text"', labels: str = '<Choice value="pos"/><Choice value="neg"/>') -> str:
    return f'<Choices name="label" {attributes}>{labels}</Choices>'


PAIR_XML = view(text("s1"), text("s2"), choices('toName="s1"'))
SINGLE = parse_label_config(view(text("text"), choices()))
PAIR = parse_label_config(PAIR_XML)
HTML = parse_label_config(view(text("text", tag="HyperText"), choices()))
