"""Where the weights that come with Vitrine lie."""

from pathlib import Path

CHECKPOINTS = Path(__file__).parents[1] / "checkpoints"
BUILT_IN = CHECKPOINTS / "vitrine"  # the model that every page opens with
GROWING = CHECKPOINTS / "growing"  # the small model, whose weights during training are in its folder `steps`
