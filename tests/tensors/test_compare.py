"""Comparison: equal only by what was compared, and different wherever it is."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from math import prod
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubaudit.errors import FileUnavailable, HubUnreachable
from hubaudit.model import Comparison
from hubaudit.source import OutOfReach
from hubaudit.source.memory import MemorySource
from hubaudit.source.remote import RemoteSource
from hubaudit.tensors.compare import compare, gap
from hubaudit.tensors.sample import Full, MetadataOnly, Sampling
from hubaudit.tensors.table import SEVERAL, NotComparable, Table, Tensor
from hubaudit.tensors.twins import Part
from tests.tensors.parts import Laid, floats, noise, part, pickle, safetensors, transposed

EVERY_DEPTH = pytest.mark.parametrize("depth", [MetadataOnly(), Sampling(), Full()])
READING = pytest.mark.parametrize("depth", [Sampling(), Full()])

MODEL = (
    floats("embed.weight", 500, 16),
    floats("layer.0.weight", 16, 48),
    floats("layer.0.bias", 48),
    floats("head.weight", 10, 16),
)


def trained_again(model: Sequence[Laid] = MODEL) -> list[Laid]:
    return [replace(laid, data=noise(len(laid.data), ("again", laid.name))) for laid in model]


def flipped(laid: Laid, byte: int, bit: int) -> Laid:
    data = bytearray(laid.data)
    data[byte] ^= 1 << bit
    return replace(laid, data=bytes(data))


@EVERY_DEPTH
def test_the_same_tensors_are_equal_and_the_depth_is_said(depth: Any) -> None:
    done = compare(pickle(*MODEL), safetensors(*MODEL), depth)
    words = {MetadataOnly: "metadata", Sampling: "sampled", Full: "full"}
    assert (done.result, done.depth, done.tensors) == ("equal", words[type(depth)], 4)
    assert (done.missing, done.extra, done.differing, done.notes, done.why) == ((), (), (), (), "")
    assert done.bytes_total == sum(len(laid.data) for laid in MODEL)
    assert gap(done) is None


def test_the_counts_are_of_what_was_read() -> None:
    assert compare(pickle(*MODEL), safetensors(*MODEL), MetadataOnly()).bytes_read == 0
    whole = compare(pickle(*MODEL), safetensors(*MODEL), Full())
    assert (whole.tensors_read, whole.bytes_read) == (4, whole.bytes_total)
    large = [floats(f"{n}", 40_000) for n in range(30)]
    some = compare(pickle(*large), safetensors(*large), Sampling(ranges=6))
    assert 0 < some.tensors_read <= 6
    assert some.bytes_read == 6 * 16 * 1024 < some.bytes_total == 30 * 160_000


def test_a_reordered_twin_is_equal() -> None:
    done = compare(pickle(*MODEL), safetensors(*reversed(MODEL)), Full())
    assert (done.result, done.bytes_read) == ("equal", done.bytes_total)


@READING
def test_a_twin_in_other_shards_is_equal(depth: Any) -> None:
    here = [part("a-1-of-2.bin", *MODEL[:1]), part("a-2-of-2.bin", *MODEL[1:])]
    there = [
        part("a-1-of-3.safetensors", MODEL[3]),
        part("a-2-of-3.safetensors", MODEL[0], MODEL[2]),
        part("a-3-of-3.safetensors", MODEL[1]),
    ]
    done = compare(here, there, depth)
    assert (done.result, done.tensors, done.tensors_read) == ("equal", 4, 4)
    assert done.pickle_files == ("a-1-of-2.bin", "a-2-of-2.bin")
    assert len(done.safetensors_files) == 3
    assert compare(here, safetensors(*MODEL), depth).result == "equal"
    assert compare(pickle(*MODEL), there, depth).result == "equal"


@READING
def test_transposed_strided_and_expanded_tensors_are_compared_by_value(depth: Any) -> None:
    row = noise(4 * 8)
    here = [
        Laid("turned", (6, 8), noise(4 * 48, 1), stride=transposed((6, 8))),
        Laid("spaced", (6, 8), noise(4 * 48, 2), stride=(20, 2)),
        Laid("expanded", (5, 8), row * 5, stride=(0, 1)),
        Laid("scalar", (), noise(4)),
    ]
    there = [replace(laid, stride=None) for laid in here]
    done = compare(pickle(*here), safetensors(*there), depth)
    assert (done.result, done.bytes_read) == ("equal", done.bytes_total)
    for number, laid in enumerate(there):
        other = [*there[:number], flipped(laid, len(laid.data) - 1, 0), *there[number + 1 :]]
        assert compare(pickle(*here), safetensors(*other), Full()).differing == (laid.name,)


@given(st.data())
def test_one_flipped_bit_is_found_by_a_full_comparison_always(draw: st.DataObject) -> None:
    number = draw.draw(st.integers(0, len(MODEL) - 1))
    laid = MODEL[number]
    byte = draw.draw(st.integers(0, len(laid.data) - 1))
    other = flipped(laid, byte, draw.draw(st.integers(0, 7)))
    twin = [*MODEL[:number], other, *MODEL[number + 1 :]]
    stride = draw.draw(st.sampled_from([None, transposed(laid.shape)]))
    here = [*MODEL[:number], replace(laid, stride=stride), *MODEL[number + 1 :]]
    done = compare(pickle(*here), safetensors(*twin), Full())
    assert (done.result, done.differing) == ("differs", (laid.name,))
    index, place = byte // 4, []
    for size in reversed(laid.shape):
        index, at = divmod(index, size)
        place.append(at)
    assert done.differences[0].how.startswith(f"element {place[::-1]} is ")


@pytest.mark.parametrize("seed", range(20))
def test_another_training_run_is_found_in_a_sample(seed: int) -> None:
    chance = random.Random(seed)
    model = [
        floats(f"w{n}", *(chance.randrange(1, 300),) * chance.choice((1, 2))) for n in range(40)
    ]
    done = compare(pickle(*model), safetensors(*trained_again(model)), Sampling(seed=seed))
    assert done.result == "differs"
    assert len(done.differing) == done.tensors_read >= 8


def test_another_training_run_is_found_in_transposed_tensors() -> None:
    shape = (300, 200)
    here = Laid("w", shape, noise(4 * prod(shape), 1), stride=transposed(shape))
    there = Laid("w", shape, noise(4 * prod(shape), 2))
    assert compare(pickle(here), safetensors(there), Sampling()).result == "differs"


def test_a_difference_says_where_and_what() -> None:
    here = Laid("w", (2, 3), struct.pack("<6f", 0, 1, 2, 3, 0.5, 5))
    there = Laid("w", (2, 3), struct.pack("<6f", 0, 1, 2, 3, 0.25, 5))
    done = compare(pickle(here), safetensors(there), Full())
    assert [(one.name, one.how) for one in done.differences] == [
        ("w", "element [1, 1] is 0.5 in the pickle, 0.25 in the safetensors file")
    ]


@EVERY_DEPTH
def test_other_shapes_and_dtypes_differ_without_a_look_at_the_bytes(depth: Any) -> None:
    here = pickle(floats("a", 2, 3), floats("b", 4))
    there = safetensors(floats("a", 3, 2), Laid("b", (4,), noise(16), "I32"))
    done = compare(here, there, depth)
    assert (done.result, done.differing) == ("differs", ("a", "b"))
    assert [one.how for one in done.differences] == [
        "shape [2, 3] in the pickle, [3, 2] in the safetensors file",
        "F32 in the pickle, I32 in the safetensors file",
    ]


@EVERY_DEPTH
def test_missing_and_extra_tensors_are_named(depth: Any) -> None:
    done = compare(pickle(*MODEL[:3]), safetensors(*MODEL[1:]), depth)
    assert (done.result, done.missing, done.extra) == (
        "differs",
        ("head.weight",),
        ("embed.weight",),
    )


def halves(laid: Laid) -> Laid:
    values = struct.unpack(f"<{len(laid.data) // 4}f", laid.data)
    return replace(laid, dtype="F16", data=struct.pack(f"<{len(values)}e", *values))


@READING
def test_a_cast_twin_is_equal_and_said_to_be_cast(depth: Any) -> None:
    done = compare(pickle(*MODEL), safetensors(*map(halves, MODEL)), depth)
    assert (done.result, done.notes) == ("equal", ("cast F32→F16: 4 tensors",))
    other = [halves(laid) for laid in trained_again()]
    assert compare(pickle(*MODEL), safetensors(*other), depth).result == "differs"


def test_a_cast_cannot_be_told_from_the_dtypes() -> None:
    done = compare(pickle(*MODEL), safetensors(*map(halves, MODEL)), MetadataOnly())
    assert done.result == "not-compared"
    assert "dtypes differ" in done.why


@READING
@pytest.mark.parametrize("prefix", ["model.", "module._orig_mod.", "state_dict.", "transformer."])
def test_a_prefix_on_all_names_of_one_side_is_explained(prefix: str, depth: Any) -> None:
    longer = [replace(laid, name=prefix + laid.name) for laid in MODEL]
    done = compare(pickle(*longer), safetensors(*MODEL), depth)
    assert (done.result, done.notes) == (
        "equal",
        (f"names begin with {prefix!r} in the pickle only",),
    )
    done = compare(pickle(*MODEL), safetensors(*longer), depth)
    assert done.result == "equal"
    assert done.notes == (f"names begin with {prefix!r} in the safetensors file only",)


def test_tensors_beside_the_wrapper_cannot_hide_behind_it() -> None:
    wrapped = [replace(laid, name=f"state_dict.{laid.name}") for laid in MODEL]
    bad = replace(trained_again()[0], name=MODEL[0].name)
    done = compare(pickle(*wrapped, bad), safetensors(*MODEL), Full())
    assert (done.result, done.differing) == ("differs", (MODEL[0].name,))
    other = replace(bad, name="ema.embed.weight")
    assert compare(pickle(*wrapped, other), safetensors(*MODEL), Full()).extra == (other.name,)


@READING
@pytest.mark.parametrize("which", ["params", "params_ema"])
def test_of_two_copies_in_a_pickle_the_one_that_agrees_is_the_sibling(
    which: str, depth: Any
) -> None:
    copies = {"params": MODEL, "params_ema": trained_again()}
    both = [
        replace(laid, name=f"{wrapper}.{laid.name}")
        for wrapper, model in copies.items()
        for laid in model
    ]
    done = compare(pickle(*both), safetensors(*copies[which]), depth)
    assert (done.differing, len(done.extra)) == ((), 4)
    assert done.notes == (f"names begin with '{which}.' in the pickle only",)
    third = [replace(laid, data=noise(len(laid.data), 3)) for laid in MODEL]
    assert compare(pickle(*both), safetensors(*third), depth).differing


def under(prefix: str, model: Sequence[Laid]) -> list[Laid]:
    return [replace(laid, name=f"{prefix}.{laid.name}") for laid in model]


@READING
@pytest.mark.parametrize("prefix", ["model", "bert", "opt", "amp", "zz"])
@pytest.mark.parametrize("copy", ["ema", "aa", "zzz", "params_ema"])
def test_a_copy_that_agrees_hides_no_weights_that_a_loader_would_take(
    prefix: str, copy: str, depth: Any
) -> None:
    both = [*under(copy, MODEL), *under(prefix, trained_again())]
    done = compare(pickle(*both), safetensors(*MODEL), depth)
    assert len(done.differing) == 4
    both = [*under(copy, MODEL), *under(prefix, trained_again()[1:])]
    assert compare(pickle(*both), safetensors(*MODEL), depth).differing
    done = compare(
        pickle(*MODEL), safetensors(*under(copy, MODEL), *under(prefix, trained_again())), depth
    )
    assert len(done.differing) == 4


@READING
def test_a_part_of_the_weights_under_a_prefix_hides_nowhere(depth: Any) -> None:
    again = trained_again()
    split = [*MODEL[:3], *under("bert", again[3:])]
    assert compare(pickle(*split), safetensors(*MODEL), depth).differing == (again[3].name,)
    behind = [*under("ema", MODEL), *under("opt", again[:1])]
    assert compare(pickle(*behind), safetensors(*MODEL), depth).extra == (f"opt.{again[0].name}",)


@READING
def test_copies_that_agree_under_two_prefixes_are_equal(depth: Any) -> None:
    done = compare(pickle(*under("a", MODEL), *under("b", MODEL)), safetensors(*MODEL), depth)
    assert (done.result, done.extra, done.tensors) == ("equal", (), 4)
    assert any("by the prefix 'b.' too" in note for note in done.notes)


def test_another_network_under_the_same_names_is_extra_and_no_difference() -> None:
    other = [floats(f"critic.{laid.name}", *laid.shape, 2) for laid in MODEL]
    done = compare(pickle(*under("model", MODEL), *other), safetensors(*MODEL), Full())
    assert (done.differing, len(done.extra)) == ((), 4)


@READING
def test_of_two_entries_under_one_name_each_is_compared(depth: Any) -> None:
    (one,), (other,) = pickle(*MODEL), pickle(*trained_again())
    both = Table(
        (*one.table.tensors, *shifted(other, one.source.size)),
        (NotComparable("embed.weight", SEVERAL),),
    )
    data = one.source.read(0, one.source.size) + other.source.read(0, other.source.size)
    done = compare([Part("a.bin", MemorySource(data), both)], safetensors(*MODEL), depth)
    assert len(done.differing) == 4
    assert "4 in one file more than once" in done.notes[0]


def shifted(part: Part, by: int) -> list[Tensor]:
    return [
        replace(one, begin=one.begin + by, storage=(one.storage[0] + by, one.storage[1] + by))
        for one in part.table.tensors
    ]


def test_what_no_known_kind_of_tensor_explains_is_doubtful() -> None:
    table = pickle(*MODEL[:2])[0].table
    rows = (
        NotComparable("layer.0.bias", "sparse", is_known_kind=True),
        NotComparable("head.weight", "?"),
    )
    here = Part("a.bin", pickle(*MODEL[:2])[0].source, Table(table.tensors, rows))
    done = compare([here], safetensors(*MODEL), Full())
    assert (done.doubtful, len(done.not_comparable)) == (("head.weight",), 2)
    done = compare([untold("a.bin", MemorySource(b"tar"))], safetensors(*MODEL), Full())
    assert done.doubtful == ("a.bin",)


def test_an_optimizers_state_beside_the_state_dict_is_told_and_no_difference() -> None:
    wrapped = [replace(laid, name=f"state_dict.{laid.name}") for laid in MODEL]
    state = floats("optimizer_states.0.state.0.exp_avg", 16)
    done = compare(pickle(*wrapped, state), safetensors(*MODEL), Full())
    assert done.result == "equal"
    assert "1 beside the state dict" in done.notes[1]


@READING
def test_tied_tensors_that_save_pretrained_leaves_out_are_explained(depth: Any) -> None:
    tied = replace(MODEL[0], name="lm_head.weight", over="embed.weight")
    done = compare(pickle(*MODEL, tied), safetensors(*MODEL), depth)
    assert done.result == "equal"
    assert "(tied): lm_head.weight" in done.notes[0]


@READING
def test_tied_tensors_that_were_saved_twice_are_found_equal_by_value(depth: Any) -> None:
    embedding = floats("model.embed_tokens.weight", 30, 8)
    head = replace(embedding, name="lm_head.weight")
    for here, there in (([embedding, head], [embedding]), ([embedding], [embedding, head])):
        done = compare(pickle(*here), safetensors(*there), depth)
        assert (done.result, done.tensors) == ("equal", 1)
        assert done.notes == ("lm_head.weight equals model.embed_tokens.weight (tied)",)


@READING
def test_an_output_embedding_of_its_own_is_no_tied_one(depth: Any) -> None:
    embedding, head = floats("model.embed_tokens.weight", 30, 8), floats("lm_head.weight", 30, 8)
    assert compare(pickle(embedding, head), safetensors(embedding), depth).extra == (head.name,)
    assert compare(pickle(embedding), safetensors(embedding, head), depth).missing == (head.name,)


def test_tied_tensors_of_which_a_part_was_compared_are_said_to_be_sampled() -> None:
    embedding = floats("model.embed_tokens.weight", 3000, 64)
    head = replace(embedding, name="lm_head.weight")
    (note,) = compare(pickle(embedding, head), safetensors(embedding), Sampling()).notes
    assert note == "lm_head.weight equals model.embed_tokens.weight where sampled (tied)"
    (note,) = compare(pickle(embedding, head), safetensors(embedding), Full()).notes
    assert note == "lm_head.weight equals model.embed_tokens.weight (tied)"


def test_what_may_be_tied_is_no_difference_where_no_bytes_were_compared() -> None:
    embedding = floats("model.embed_tokens.weight", 30, 8)
    head = replace(embedding, name="lm_head.weight")
    done = compare(pickle(embedding, head), safetensors(embedding), MetadataOnly())
    assert (done.result, done.extra) == ("equal", ())
    assert done.notes == (
        "lm_head.weight may be model.embed_tokens.weight (tied): their bytes were not compared",
    )


@EVERY_DEPTH
def test_buffers_that_models_compute_may_be_missing(depth: Any) -> None:
    buffers = (
        Laid("bert.embeddings.position_ids", (1, 512), bytes(8 * 512), "I64"),
        Laid("h.0.attn.bias", (1, 1, 4, 4), bytes(16), "U8"),
        floats("h.0.attn.masked_bias"),
    )
    assert compare(pickle(*MODEL, *buffers), safetensors(*MODEL), depth).result == "equal"
    assert compare(pickle(*MODEL), safetensors(*MODEL, *buffers), depth).result == "equal"
    real = floats("h.0.attn.bias", 48)
    assert compare(pickle(*MODEL, real), safetensors(*MODEL), depth).extra == ("h.0.attn.bias",)


def test_a_layer_norm_by_its_old_names_is_compared() -> None:
    old, new = floats("ln.gamma", 8), replace(floats("ln.gamma", 8), name="ln.weight")
    assert compare(pickle(old), safetensors(new), Full()).result == "equal"
    assert compare(pickle(old), safetensors(flipped(new, 3, 0)), Full()).differing == ("ln.weight",)


@EVERY_DEPTH
def test_what_nobody_can_tell_is_not_called_equal(depth: Any) -> None:
    here = pickle(*MODEL[:3], opaque=["head.weight"])
    done = compare(here, safetensors(*MODEL), depth)
    assert (done.result, done.not_comparable, done.missing) == (
        "not-compared",
        ("head.weight",),
        (),
    )
    assert done.why == "of 1 tensor nobody can tell: head.weight: sparse"
    assert gap(done) is None


def test_a_name_in_two_shards_is_compared_in_both() -> None:
    bad = trained_again()[0]
    done = compare([part("1.bin", *MODEL), part("2.bin", bad)], safetensors(*MODEL), Full())
    assert done.differing == (bad.name,)
    assert "1 in several files: embed.weight" in done.notes


def test_a_pickle_without_tensors_is_not_compared() -> None:
    empty = Part("a.bin", MemorySource(b""), Table(()))
    done = compare([empty], safetensors(), Full())
    assert (done.result, done.why) == ("not-compared", "no tensors were found in the pickle")


def untold(path: str, source: Any) -> Part:
    """A file of which nothing can be told, as its table says it."""
    return Part(path, source, Table((), (NotComparable("", "it is a tar archive"),)))


@EVERY_DEPTH
def test_a_file_of_which_nothing_can_be_told_makes_no_difference(depth: Any) -> None:
    tar = untold("a.bin", MemorySource(b"tar"))
    for here, there in (([tar], safetensors(*MODEL)), (pickle(*MODEL), [tar])):
        done = compare(here, there, depth)
        assert (done.result, done.why) == ("not-compared", "a.bin: it is a tar archive")
        assert (done.missing, done.extra) == ((), ())
        assert gap(done) is None


@READING
def test_with_a_shard_of_which_nothing_can_be_told_the_others_are_compared(depth: Any) -> None:
    here = [*pickle(*MODEL[:2]), untold("2.bin", MemorySource(b"tar"))]
    done = compare(here, safetensors(*MODEL), depth)
    assert (done.result, done.missing, done.tensors_read) == ("not-compared", (), 2)
    assert compare(here, safetensors(*trained_again()), depth).result == "differs"


@EVERY_DEPTH
def test_a_file_without_a_table_that_cannot_be_read_leaves_a_gap(depth: Any) -> None:
    there = untold("a.safetensors", Failing(safetensors(*MODEL)[0], FileUnavailable("it changed")))
    done = compare(pickle(*MODEL), [there], depth)
    assert (done.result, done.missing, done.extra) == ("not-compared", (), ())
    assert gap(done) is not None


def test_a_name_in_very_many_shards_is_not_compared_in_all_of_them() -> None:
    here = [part(f"{n}.bin", MODEL[2]) for n in range(50)]
    done = compare(here, safetensors(MODEL[2]), Full())
    assert (done.result, done.not_comparable) == ("not-compared", (MODEL[2].name,))
    assert "50 files or" in done.why


def test_very_many_tensors_that_may_be_tied_cost_little() -> None:
    one = floats("w", 2)
    heads = [replace(one, name=f"{n}.lm_head.weight") for n in range(20_000)]
    embeddings = [replace(one, name=f"{n}.wte.weight") for n in range(20_000)]
    done = compare(pickle(*heads, *embeddings), safetensors(*embeddings), Sampling())
    assert len(done.extra) == 20_000 - 8


@READING
def test_tensors_without_elements_are_equal(depth: Any) -> None:
    done = compare(pickle(floats("w", 0, 3)), safetensors(floats("w", 0, 3)), depth)
    assert (done.result, done.bytes_total) == ("equal", 0)


class Failing:
    """A source that raises from the `after`th read on."""

    def __init__(self, part: Part, error: Exception, after: int = 0) -> None:
        self._source, self._error, self._after = part.source, error, after
        self.size = part.source.size

    def read(self, offset: int, length: int) -> bytes:
        self._after -= 1
        if self._after < 0:
            raise self._error
        return self._source.read(offset, length)


@READING
@pytest.mark.parametrize("error", [FileUnavailable("it changed"), OutOfReach("too much")])
def test_a_file_that_fails_is_not_compared_and_leaves_a_gap(error: Exception, depth: Any) -> None:
    for failing_pickle in (True, False):
        here, there = pickle(*MODEL), safetensors(*MODEL)
        one = (here if failing_pickle else there)[0]
        broken = [replace(one, source=Failing(one, error))]
        done = compare(
            broken if failing_pickle else here, there if failing_pickle else broken, depth
        )
        assert (done.result, done.why) == ("not-compared", f"{one.path}: {error}")
        left = gap(done)
        assert left is not None
        assert left.path == "pytorch_model.bin"
        assert str(error) in left.why


def test_what_differed_before_a_file_failed_still_differs() -> None:
    there = safetensors(*trained_again())
    broken = [replace(there[0], source=Failing(there[0], FileUnavailable("it changed"), after=2))]
    done = compare(pickle(*MODEL), broken, Full())
    assert done.result == "differs"
    assert len(done.differing) == 2
    assert gap(done) is not None


@READING
def test_a_file_that_became_shorter_is_not_compared(depth: Any) -> None:
    there = safetensors(*MODEL)[0]
    cut = MemorySource(there.source.read(0, there.source.size - 100))
    done = compare(pickle(*MODEL), [replace(there, source=cut)], depth)
    assert done.result == "not-compared"
    assert "ends before" in done.why


@READING
def test_a_tied_tensor_that_could_not_be_read_is_not_called_missing(depth: Any) -> None:
    embedding = floats("model.embed_tokens.weight", 30, 8)
    there = safetensors(embedding, replace(embedding, name="lm_head.weight"))[0]
    broken = [replace(there, source=Failing(there, FileUnavailable("it changed")))]
    done = compare(pickle(embedding), broken, depth)
    assert (done.result, done.missing) == ("not-compared", ())


@READING
def test_a_hub_that_fails_is_no_ones_file(depth: Any) -> None:
    there = safetensors(*MODEL)[0]
    broken = [replace(there, source=Failing(there, HubUnreachable("gone")))]
    with pytest.raises(HubUnreachable):
        compare(pickle(*MODEL), broken, depth)


class Counting:
    """A source that notes what is read."""

    def __init__(self, part: Part) -> None:
        self._source, self.size = part.source, part.source.size
        self.reads: list[tuple[int, int]] = []

    def read(self, offset: int, length: int) -> bytes:
        self.reads.append((offset, length))
        return self._source.read(offset, length)


def watched(part: Part) -> tuple[Part, Counting]:
    source = Counting(part)
    return replace(part, source=source), source


def test_a_sample_is_within_its_budget_on_both_sides() -> None:
    model = [floats(f"w{n}", 30_000) for n in range(40)]
    here, read_here = watched(pickle(*model)[0])
    there, read_there = watched(safetensors(*reversed(model))[0])
    assert compare([here], [there], Sampling()).result == "equal"
    for source in (read_here, read_there):
        assert 8 <= len(source.reads) <= 16
        assert all(length <= 64 * 1024 for _, length in source.reads)


def remote(path: str, begin: int, names: Sequence[str], fetched: list[int]) -> Part:
    """A file of tensors of 8 MB, all zeros, whose fetches are counted."""

    def fetch(start: int, end: int) -> bytes:
        fetched.append(end - start)
        return bytes(end - start)

    rows = []
    for name in names:
        rows.append(Tensor(name, "F32", (2048, 1024), (1024, 1), begin, (begin, begin + (1 << 23))))
        begin += 1 << 23
    return Part(path, RemoteSource(begin, fetch), Table(tuple(rows)))


def test_a_sample_of_two_files_of_a_gigabyte_takes_32_requests_and_800_kb() -> None:
    names, fetched = [f"w{n}" for n in range(120)], list[int]()
    here = remote("a.bin", 40_000, names, fetched)
    there = remote("a.safetensors", 20_001, names[::-1], fetched)
    done = compare([here], [there], Sampling())
    assert (done.result, done.bytes_total) == ("equal", 120 << 23)
    assert done.bytes_read == 16 * 16 * 1024
    assert len(fetched) <= 32
    assert sum(fetched) <= 800_000


def test_a_sample_of_shards_reads_each_file_within_its_budget() -> None:
    model = [floats(f"w{n}", 30_000) for n in range(60)]
    here = [watched(part(f"{n}.bin", *model[20 * n : 20 * n + 20])) for n in range(3)]
    there = [watched(part(f"{n}.safetensors", *model[10 * n : 10 * n + 10])) for n in range(6)]
    done = compare([one for one, _ in here], [one for one, _ in there], Sampling())
    assert done.result == "equal"
    for _, source in (*here, *there):
        assert 1 <= len(source.reads) <= 16


def test_small_tensors_side_by_side_are_had_in_one_read() -> None:
    model = [floats(f"w{n}", 10) for n in range(16)]
    here, read_here = watched(pickle(*model)[0])
    done = compare([here], safetensors(*model), Sampling())
    assert done.bytes_read == done.bytes_total
    assert len(read_here.reads) == 1


def test_the_seed_decides_what_is_sampled_and_nothing_else_does() -> None:
    model = [floats(f"w{n}", 30_000) for n in range(40)]

    def places(seed: int) -> list[tuple[int, int]]:
        here, reads = watched(pickle(*model)[0])
        compare([here], safetensors(*model), Sampling(seed=seed))
        return reads.reads

    assert places(1) == places(1)
    assert places(1) != places(2)


def test_a_full_comparison_holds_little_in_memory() -> None:
    model = [floats("w", 3_000_000)]
    here, reads = watched(pickle(*model)[0])
    done = compare([here], safetensors(*model), Full())
    assert done.bytes_read == 12_000_000
    assert max(length for _, length in reads.reads) <= 4 * 1024 * 1024


def test_files_are_read_by_the_pool_that_is_given_and_each_by_one_job() -> None:
    here = [part(f"{n}.bin", floats(f"w{n}", 100)) for n in range(20)]
    there = [part(f"{n}.safetensors", floats(f"w{n}", 100)) for n in range(20)]
    jobs: list[str] = []
    with ThreadPoolExecutor(4) as pool:

        def run(work: Callable[[Any], Any], wanted: Sequence[Any], /) -> Iterable[Any]:
            jobs.extend(one.part.path for one in wanted)
            return pool.map(work, wanted)

        done = compare(here, there, Sampling(), run=run)
    assert (done.result, done.tensors_read) == ("equal", 20)
    assert sorted(jobs) == sorted(one.path for one in (*here, *there))


def test_fifty_thousand_names_are_matched() -> None:
    names = [f"model.layers.{n}.mlp.weight" for n in range(50_000)]
    one = floats("w", 1)
    here = part("a.bin", *(replace(one, name=f"state_dict.{name}") for name in names))
    there = part("a.safetensors", *(replace(one, name=name) for name in names))
    done: Comparison = compare([here], [there], Sampling())
    assert (done.result, done.tensors) == ("equal", 50_000)
