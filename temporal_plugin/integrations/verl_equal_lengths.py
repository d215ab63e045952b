"""Keeps verl alive when all answers of a batch have the same length.

verl keeps the position ids of vision-language models, [4, length] each, in a nested tensor and
takes for granted that its ragged dimension is the length. torch picks the first dimension instead
when all shapes are equal: a batch of equal lengths (one sample per worker is enough) then stops
the run with "split_with_sizes expects split_sizes to sum exactly to ...".
"""

from functools import wraps
from types import ModuleType

import torch


def fix_equal_lengths(tensordict_utils: ModuleType) -> None:
    """Replace `verl.utils.tensordict_utils.maybe_fix_3d_position_ids`; safe to call twice.

    The replacement rebuilds the nested position ids of equal lengths and leaves the rest to verl.
    """
    upstream = tensordict_utils.maybe_fix_3d_position_ids
    if hasattr(upstream, "__wrapped__"):
        return

    @wraps(upstream)
    def maybe_fix_3d_position_ids(data) -> None:
        positions = data.get("position_ids", None)
        if isinstance(positions, torch.Tensor) and positions.is_nested and positions.dim() == 3:
            values, rows = positions.values(), len(positions)
            # [rows * 4, length] where torch picked dimension 0; [4, sum of lengths] otherwise
            if values.shape[0] == int(positions.offsets()[-1]):
                parts = values.unflatten(0, (rows, -1)).unbind()
                rebuilt = tensordict_utils.nested_tensor_from_tensor_list(parts, ragged_idx=2)
                data["position_ids"] = rebuilt
        upstream(data)

    tensordict_utils.maybe_fix_3d_position_ids = maybe_fix_3d_position_ids
