"""An audit of three tasks, of project 7, and what the records have against a certificate."""

import numpy as np

from nextlabel.learning.certificate import Audit, Records, verdict

AUDIT = Audit(
    project=7,
    number=1,
    version="nextlabel-5.12-20260101T000000",
    fitted_on=64,
    begun_at="2026-01-01T00:00:00+00:00",
    key_hash="ab" * 32,
    labels=("negativ 🙂", "pos"),
    risk=0.05,
    delta=0.05,
    most_labels=200,
    ids_N=np.array([30, 10, 20]),
    texts=("cd" * 32, "ef" * 32, "01" * 32),
    said=("pos", "negativ 🙂", "pos"),
    confidences_N=np.array([0.1 + 0.2, np.inf, 1e-300]),
)


def problems(found: object, records: Records) -> list[str]:
    """A sentence each."""
    return verdict(found, records).wrong
