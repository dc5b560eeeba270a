"""Interventions on a forward pass: ablation, patching, and switching off positions, mask or residual connections.

They are an explicit argument of the forward pass. Nothing is written on the model, so any number of visitors share it.
"""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

SITES = ("resid_pre", "q", "k", "v", "pattern", "z", "out", "resid_mid", "mlp_pre", "mlp_out")
EditSite = Callable[[str, Tensor], Tensor]  # the name of a site and its activation in, the edited activation out


@dataclass(frozen=True)
class Edit:
    """Replaces one activation during the forward pass: at one layer, for all heads and positions or a single one."""

    site: str  # one of SITES, named as in the record
    layer: int
    value: Tensor | float  # of the shape that it replaces, or one that broadcasts to it
    head: int | None = None  # at k and v, a key/value head
    position: int | None = None

    def __post_init__(self) -> None:
        if self.site not in SITES:
            raise ValueError(f"site is {self.site!r}; it must be one of {', '.join(SITES)}")

    def apply(self, activation: Tensor) -> Tensor:
        """A copy of the activation, (B, H, T, …) or (B, T, …), with the value in its place."""
        head = slice(None) if self.head is None else self.head
        position = slice(None) if self.position is None else self.position
        edited = activation.clone()
        edited[(slice(None), head, position) if edited.dim() == 4 else (slice(None), position)] = self.value
        return edited


def no_edit(site: str, activation: Tensor) -> Tensor:
    """The activation itself."""
    return activation


@dataclass(frozen=True)
class Interventions:
    """What is changed during a forward pass; by default nothing."""

    positions: bool = True  # False: no position vectors (GPT-2), no rotation of q and k (Llama)
    mask: bool = True  # False: tokens also see those after them
    residual: bool = True  # False: attention and the MLP replace the residual stream instead of adding to it
    edits: tuple[Edit, ...] = ()  # applied in this order; everything after them is computed from the edited activations

    def at(self, layer: int) -> EditSite:
        """The function that applies this layer's edits to an activation."""
        edits = [edit for edit in self.edits if edit.layer == layer]
        if not edits:
            return no_edit

        def edit_site(site: str, activation: Tensor) -> Tensor:
            for edit in edits:
                if edit.site == site:
                    activation = edit.apply(activation)
            return activation

        return edit_site


NO_INTERVENTIONS = Interventions()
