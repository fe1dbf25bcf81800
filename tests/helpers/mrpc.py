"""Files as those of MRPC."""

from pathlib import Path

from nextlabel.simulation.datasets.corpora import MRPC_DEV_IDS, MRPC_SIZES, MRPC_TRAIN

HEADER = "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String"


def row(number: int, quality: str = "1") -> str:
    """A pair with stray marks in it."""
    return f"{quality}\t{number}\t{number + 1}\tHe said \"{number}.\tIt's\u2028{number}, he said."


def mrpc(directory: Path, rows: list[str], dev_ids: list[str], header: str = HEADER) -> Path:
    """MRPC's two files, as Microsoft and GLUE serve them: UTF-8 with BOM, Windows line ends, stray marks."""
    (directory / MRPC_TRAIN).write_text("\r\n".join([header, *rows, ""]), encoding="utf-8-sig", newline="")
    (directory / MRPC_DEV_IDS).write_text("\n".join([*dev_ids, ""]), encoding="utf-8", newline="")
    return directory


def whole_mrpc(directory: Path) -> Path:
    """Two files of MRPC's sizes."""
    rows = [row(n, quality="01"[n % 2]) for n in range(sum(MRPC_SIZES))]
    dev = range(5, sum(MRPC_SIZES), 9)[: MRPC_SIZES[1]]
    return mrpc(directory, rows, [f"{n}\t{n + 1}" for n in dev])
