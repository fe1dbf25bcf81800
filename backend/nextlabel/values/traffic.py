"""What goes over the wire, counted."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Traffic:
    """What has gone between us and Label Studio: requests, and the bytes of bodies sent and received."""

    requests: int = 0
    sent: int = 0
    received: int = 0

    def __add__(self, other: "Traffic") -> "Traffic":
        return Traffic(self.requests + other.requests, self.sent + other.sent, self.received + other.received)

    def __sub__(self, earlier: "Traffic") -> "Traffic":
        return Traffic(self.requests - earlier.requests, self.sent - earlier.sent, self.received - earlier.received)
