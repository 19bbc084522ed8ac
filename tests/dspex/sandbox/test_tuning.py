"""Where the reader's numbers come from, and that they sit on flat ground there."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dspex.sandbox.associations import associate
from dspex.sandbox.explain import strongest
from dspex.sandbox.grammar import write_rules
from dspex.sandbox.model import SandboxModel
from dspex.sandbox.noise import Noise
from dspex.sandbox.reader import Tuning
from tests.dspex.sandbox.topics import accuracy, split

CHOSEN = Tuning()
NEIGHBOURS = [
    replace(CHOSEN, word_share=0.0),
    replace(CHOSEN, word_share=0.5),
    replace(CHOSEN, sharpness=1.0),
    replace(CHOSEN, sharpness=2.0),
    replace(CHOSEN, own_words=0.5),
    replace(CHOSEN, own_words=2.0),
    replace(CHOSEN, rule_weight=0.5),
    replace(CHOSEN, rule_weight=2.0),
]


def mean_score(tuning: Tuning, seeds: int = 2) -> float:
    """Return the mean accuracy at none, 16 and 160 demonstrations, and with rules beside 16."""
    model = SandboxModel(tuning=tuning)
    total = 0.0
    for seed in range(seeds):
        train, judged = split(seed)
        found = associate(train[:40], "text", "topic")
        rules = write_rules(strongest(found, Noise(0.0, None)))
        total += accuracy(model, judged)
        total += accuracy(model, judged, train[:16])
        total += accuracy(model, judged, train)
        total += accuracy(model, judged, train[:16], rules)

    return total / (4 * seeds)


@pytest.mark.slow
def test_no_neighbouring_choice_is_clearly_better() -> None:
    """Halving or doubling any one number gains less than three points on the tuning task."""
    chosen = mean_score(CHOSEN)
    gains = {tuning: mean_score(tuning) - chosen for tuning in NEIGHBOURS}
    assert max(gains.values()) < 0.03, gains
