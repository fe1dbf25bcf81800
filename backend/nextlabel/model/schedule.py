"""The learning rate from step to step, and where a fit that has converged ends. Pure; knows no weights."""

COOL_DOWN = (
    0.2  # of the steps made: so much is enough (Hägele et al. 2024, "Scaling Laws and Compute-Optimal Training")
)


class Schedule:
    """Linear warm-up, then linear decay to 0 after `last` steps; `converged` brings that end nearer."""

    def __init__(self, steps: int, warmup: float):
        self.last = steps
        self._steps, self._rising = steps, int(steps * warmup)
        self._converged: tuple[int, float] | None = None  # after which step, and the share there

    def share(self, step: int) -> float:
        """Of the full learning rate, after so many steps; in [0, 1]."""
        if step < self._rising:
            return step / self._rising
        planned = max(0.0, (self._steps - step) / max(1, self._steps - self._rising))
        if self._converged is None:
            return planned
        since, share = self._converged
        return min(planned, share * (self.last - step) / (self.last - since))

    def converged(self, step: int) -> None:
        """After `step` steps nothing more is to be learnt: go down to 0 in a fifth of them, if that ends sooner.

        Nothing has converged while the rate still rises.
        """
        last = step + max(1, round(COOL_DOWN * step))
        if self._converged is None and self._rising <= step and last < self.last:
            self._converged, self.last = (step, self.share(step)), last
