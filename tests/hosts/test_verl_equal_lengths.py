"""verl's nested position ids when all sequences of a batch have one length."""

import pickle

import pytest
import torch

pytest.importorskip("verl")

from tensordict import TensorDict
from verl.utils import tensordict_utils

ROWS = 3


def batch(lengths) -> tuple[list[torch.Tensor], TensorDict]:
    """Position ids [4, length] per row, packed the way verl's TransferQueue packs them."""
    rows = [torch.arange(4 * n).view(4, n) + 100 * i for i, n in enumerate(lengths)]
    nested = torch.nested.as_nested_tensor(rows, layout=torch.jagged)
    return rows, TensorDict({"position_ids": nested}, batch_size=[ROWS])


@pytest.mark.parametrize("travels", [False, True])
@pytest.mark.parametrize("lengths", [(7, 7, 7), (12, 12, 12), (4, 4, 4), (5, 7, 6), (1, 1, 1)])
def test_rows_survive_selection(lengths, travels):
    rows, data = batch(lengths)
    if travels:  # as from Ray
        data = pickle.loads(pickle.dumps(data.consolidate()))
    tensordict_utils.maybe_fix_3d_position_ids(data)
    picked = tensordict_utils.index_select_tensor_dict(data, [2, 0])["position_ids"].unbind()
    assert torch.equal(picked[0], rows[2]) and torch.equal(picked[1], rows[0])


def test_one_row():
    rows = [torch.arange(24).view(4, 6)]
    nested = torch.nested.as_nested_tensor(rows, layout=torch.jagged)
    data = TensorDict({"position_ids": nested}, batch_size=[1])
    tensordict_utils.maybe_fix_3d_position_ids(data)
    found = tensordict_utils.index_select_tensor_dict(data, [0])["position_ids"].unbind()
    assert torch.equal(found[0], rows[0])


def test_text_positions_are_left_alone():
    dense = torch.arange(6).view(3, 2)
    data = TensorDict({"position_ids": dense}, batch_size=[ROWS])
    tensordict_utils.maybe_fix_3d_position_ids(data)
    assert torch.equal(data["position_ids"], dense)
    tensordict_utils.maybe_fix_3d_position_ids(TensorDict({}, batch_size=[ROWS]))


def test_upstream_still_needs_the_fix():
    _, data = batch((7, 7, 7))
    tensordict_utils.maybe_fix_3d_position_ids.__wrapped__(data)
    with pytest.raises(RuntimeError):  # torch's message differs from call to call
        tensordict_utils.index_select_tensor_dict(data, [2, 0])
