"""What formulas say of a convolution or a pooling: what differs from the usual, in the words of the functions that made it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_CONVOLUTIONS = {"convolution", "transposed_convolution", "filter_gradient"}
_POOLS = {"max_pool", "share_of_windows", "mean_of_ties", "window_sum", "window_spread", "unfold", "fold"}
_RESAMPLED = {"resample", "resample_back"}


def settings_shown(head: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that a formula shows; those of other operations as they are.

    >>> from tinygrad_edu.show.notation_windows import settings_shown
    >>> settings_shown("convolution", {"stride": (2, 2), "before": (0, 0), "dilation": (1, 1), "groups": 1, "size": (3, 3)})
    {'stride': (2, 2)}
    """
    if head in _RESAMPLED and "axis" in settings:
        return {"axis": settings["axis"]}
    if head not in _CONVOLUTIONS | _POOLS or "stride" not in settings:
        return dict(settings)
    ones, shown = (1,) * len(settings["stride"]), {}
    if head in _POOLS:
        shown["kernel"] = settings["kernel"]
    usual = {"stride": ones if head in _CONVOLUTIONS | {"unfold", "fold"} else settings["kernel"],
             "before": (0,) * len(ones), "dilation": ones, "groups": 1}
    for key, default in usual.items():
        if settings.get(key, default) != default:
            shown["padding" if key == "before" else key] = settings[key]
    return shown
