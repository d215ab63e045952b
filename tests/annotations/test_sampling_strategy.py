import pytest
from hypothesis import given
from hypothesis import strategies as st

from temporal_plugin.annotations.sampling_strategy import parse_strategy, select

ROWS = list(range(200))


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        ("all", ROWS),
        ("first:3", [0, 1, 2]),
        ("end:3", [197, 198, 199]),
        ("last:3", [197, 198, 199]),
        ("first:1%", [0, 1]),
        ("end:0.5%", [199]),
        ("first:0.1%", [0]),
        ("first:100%", ROWS),
        ("first:7%", ROWS[:14]),
        ("first:999", ROWS),
        ("last:999", ROWS),
    ],
)
def test_selected_rows(strategy, expected):
    assert select(ROWS, strategy) == expected


def test_random_is_seeded_and_the_same_everywhere():
    assert select(ROWS, "random:5", seed=1) == [13, 91, 124, 125, 179]  # pinned: must not drift
    assert select(ROWS, "random:5", seed=1) != select(ROWS, "random:5", seed=2)
    assert len(select(ROWS, "random:10%")) == 20


@given(
    st.lists(st.integers(), unique=True, max_size=50),
    st.sampled_from(["first", "end", "last", "random"]),
    st.integers(1, 100),
    st.booleans(),
    st.integers(),
)
def test_a_selection_keeps_order_and_size(rows, kind, number, percent, seed):
    chosen = select(rows, f"{kind}:{number}{'%' if percent else ''}", seed=seed)
    assert chosen == [row for row in rows if row in set(chosen)]
    wanted = -(-len(rows) * number // 100) if percent else number
    assert len(chosen) == min(wanted, len(rows))


@pytest.mark.parametrize(
    "strategy",
    ["", "ALL", "first", "first:", "first:0", "first:-1", "first:1.5", "first:0%", "first:101%",
     "first: 1", "middle:3", "first:1e3", "first:" + "9" * 50, "first:٣", "random:nan", 3, None],
)  # fmt: skip
def test_anything_else_is_refused_with_what_is_allowed(strategy):
    with pytest.raises(ValueError, match="allowed: all, first:N"):
        parse_strategy(strategy)


def test_nothing_selected_from_nothing():
    assert select([], "random:50%") == []
