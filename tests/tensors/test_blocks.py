"""Boxes: every element once, in logical order, in reads that stay small."""

from __future__ import annotations

from math import prod

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubaudit.tensors.blocks import (
    box_count,
    box_number,
    box_shape,
    boxes,
    element_count,
    element_index,
    leaves,
    read_box,
    views_of,
)
from hubaudit.tensors.table import Tensor
from tests.tensors.parts import Laid, contiguous, noise, part, transposed

shapes = st.lists(st.integers(1, 5), max_size=4).map(tuple)


def tensor(shape: tuple[int, ...], stride: tuple[int, ...], dtype: str = "F32") -> Tensor:
    return Tensor("w", dtype, shape, stride, 64, (64, 64))


@st.composite
def laid_out(draw: st.DrawFn) -> Laid:
    """A tensor with its dimensions in any order, with gaps between its rows, or expanded."""
    shape = draw(shapes)
    order = draw(st.permutations(range(len(shape))))
    stride, step = [0] * len(shape), 1
    for dim in order:
        stride[dim] = step
        step *= shape[dim] + draw(st.integers(0, 2))
    return Laid("w", shape, noise(4 * prod(shape), draw(st.integers())), stride=tuple(stride))


@given(laid_out(), st.integers(4, 64))
def test_the_boxes_of_any_layout_hold_every_element_once_and_in_order(
    laid: Laid, most: int
) -> None:
    file = part("a", laid)
    one = file.table.tensors[0]
    other = tensor(laid.shape, contiguous(laid.shape))
    views = views_of(one, other)
    assert views is not None
    sizes, shape = views[0].shape, box_shape(views, most)
    got: dict[int, bytes] = {}
    for box in boxes(sizes, shape):
        data = read_box(file.source.read, views[0], box)
        assert len(data) == 4 * element_count(box) <= most
        for number in range(element_count(box)):
            got[element_index(box, number, sizes)] = data[4 * number : 4 * number + 4]
    assert b"".join(got[n] for n in range(len(got))) == laid.data


@given(shapes, shapes.filter(bool))
def test_a_box_is_found_by_its_number(sizes: tuple[int, ...], shape: tuple[int, ...]) -> None:
    shape = tuple(shape[n % len(shape)] for n in range(len(sizes)))
    found = [box_number(sizes, shape, n) for n in range(box_count(sizes, shape))]
    assert found == list(boxes(sizes, shape))


def test_contiguous_tensors_are_one_run() -> None:
    views = views_of(tensor((3, 4, 5), (20, 5, 1)), tensor((3, 4, 5), (20, 5, 1), "BF16"))
    assert views is not None
    assert [view.dims for view in views] == [((60, 4),), ((60, 2),)]


def test_an_expanded_tensor_is_read_once() -> None:
    views = views_of(tensor((1000, 3), (0, 1)), tensor((1000, 3), (3, 1)))
    assert views is not None
    reads = list(leaves(views[0], ((0, 1000), (0, 3))))
    assert [(leaf.offset, leaf.length) for leaf in reads] == [(64, 12)]


def test_a_large_transposed_tensor_is_read_in_tiles_that_are_long_on_both_sides() -> None:
    shape = (4096, 4096)
    views = views_of(tensor(shape, transposed(shape)), tensor(shape, contiguous(shape)))
    assert views is not None
    tile = box_shape(views, 4 * 1024 * 1024)
    assert tile == (1024, 1024)
    for view in views:
        assert sum(1 for _ in leaves(view, ((0, 1024), (0, 1024)))) <= 1024


def test_a_sample_of_a_transposed_tensor_needs_few_reads() -> None:
    shape = (50_000, 30_000)
    views = views_of(tensor(shape, transposed(shape)), tensor(shape, contiguous(shape)))
    assert views is not None
    assert box_shape(views, 16 * 1024, reads=4) == (4, 4)


def test_far_elements_are_read_in_groups_of_near_ones() -> None:
    views = views_of(tensor((100_000,), (64,)), tensor((100_000,), (1,)))
    assert views is not None
    reads = list(leaves(views[0], ((0, 100_000),)))
    assert len(reads) == 391
    assert all(leaf.length <= 64 * 1024 for leaf in reads)


@pytest.mark.parametrize("dtype", ["F4", "F6_E2M3"])
def test_elements_of_less_than_a_byte_are_compared_in_plain_runs_only(dtype: str) -> None:
    plain, turned = tensor((8, 4), (4, 1), dtype), tensor((8, 4), (1, 8), dtype)
    assert views_of(plain, plain) is not None
    assert views_of(plain, turned) is None


def test_an_unknown_dtype_has_no_elements() -> None:
    assert views_of(tensor((1,), (1,), "C128"), tensor((1,), (1,))) is None
