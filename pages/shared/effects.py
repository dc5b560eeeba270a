"""Effects on logits, written as words."""

from collections.abc import Sequence

from pages.shared.models import Model
from viz.tokens import visible


def effects_text(model: Model, effects: Sequence[tuple[int, float]]) -> str:
    """Tokens with what is added to the logit of each: "·Tom +1.20  ·Anna +0.31"."""
    return "  ".join(f"{visible([model.token(id)])[0]} {effect:+.2f}" for id, effect in effects)
