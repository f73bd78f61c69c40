"""A task that kills its own process at steps that the run names; shared by the files beside this one, and itself without any."""

from __future__ import annotations

import json
import os
import signal
from collections import Counter
from pathlib import Path
from typing import Any

__all__ = ["Dying"]


class Dying:
    """Kills its own process, once for each line of a plan; use it before the operator.

    An operator has ``kills`` and ``scars`` as attributes, and as template fields.
    """

    kills: str
    """JSON list of ``"<moment> <step> <nth>"``: the first is where the process dies first, and so on."""
    scars: str
    """File with a line for each kill; it outlives the processes."""

    _reached: Counter[str]

    def at_step(self, step: Any, moment: str) -> None:
        """Die here if the plan says so.

        :param step: the step.
        :param moment: ``before`` or ``after``.
        """
        here = f"{moment} {step}"
        self._reached = getattr(self, "_reached", None) or Counter()
        self._reached[here] += 1
        scars = Path(self.scars)
        suffered = scars.read_text().splitlines() if scars.exists() else []
        if json.loads(self.kills)[len(suffered) :][:1] == [f"{here} {self._reached[here]}"]:
            scars.write_text("\n".join([*suffered, f"{here} {self._reached[here]}"]))
            os.kill(os.getpid(), signal.SIGKILL)
