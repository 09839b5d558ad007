"""Which tensor of a pickle is which of its safetensors sibling, where names differ for a known reason."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

# Deep enough for `module._orig_mod.model.` inside `state_dict.`; more would let any name match any other.
_DEEPEST = 4
_TURNS = 3  # prefixes that do equally well: `model`, `ema`, and one for a discriminator or so

# What transformers renames while it loads, so that a checkpoint saved again has the new name: the legacy
# mapping in conversion_mapping.py (5.23), `LayerNorm.gamma` and weight norm.
_RENAMED = (
    (".gamma", ".weight"),
    (".beta", ".bias"),
    (".weight_g", ".parametrizations.weight.original0"),
    (".weight_v", ".parametrizations.weight.original1"),
)

# Buffers that models make when they are built. Whether they are saved changed between versions of
# transformers: modeling_utils.py (5.23), `_adjust_missing_and_unexpected_keys`, and the models'
# `_keys_to_ignore_on_load_unexpected` (4.57: GPT-2, GPT-Neo, Swin, BEiT).
_BUFFERS = (
    *("position_ids", "rotary_emb.inv_freq", "original_inv_freq"),
    *("relative_position_index", "num_batches_tracked"),
)
_MASKS = ("attn.bias", "attention.bias")  # causal masks; a bias proper has one dimension
_MASK_VALUES = ("attn.masked_bias", "attention.masked_bias")

# What trainers keep in the same file, outside of the state dict: Lightning's `dump_checkpoint`, and the
# usual `{"model": …, "optimizer": …}`.
_TRAINING = frozenset(
    "optimizer optimizers optimizer_states optimizer_state_dict opt lr_scheduler lr_schedulers scheduler "
    "scaler amp callbacks loops rng_state rng_states".split()
)

# Ends of the names that models tie to one another: the `_tied_weights_keys` of transformers 5.23.
_TIED = (
    *("lm_head.weight", "lm_head.bias", "lm_head.decoder.weight", "lm_head.decoder.bias"),
    *("embed_tokens.weight", "word_embeddings.weight", "wte.weight", "shared.weight"),
    *("predictions.decoder.weight", "predictions.decoder.bias", "predictions.bias"),
    *("embeddings.weight", "embed_out.weight", "proj_out.weight", "output_projection.weight"),
)


# Parts of prefixes under which a copy of the weights is kept that no loader takes for the model by itself:
# moving averages, as super-resolution, timm and others name them, and the teacher of a distillation.
_COPIES = frozenset(
    "params params_ema ema ema_model model_ema ema_state_dict state_dict_ema teacher".split()
)


@dataclass(frozen=True, slots=True)
class Rival:
    """Names of the pickle with names of the safetensors file, equal but for another prefix on one side.

    With an empty prefix, pairs that are equal as they are.
    """

    prefix: str
    pairs: tuple[tuple[str, str], ...]

    @property
    def is_one_word(self) -> bool:
        """Whether it is a prefix that transformers takes off (`base_model_prefix`)."""
        return self.prefix.count(".") == 1


@dataclass(frozen=True, slots=True)
class Names:
    """`partner` leads from names of the pickle to those of the safetensors file; `notes` say how.

    `rivals` are further ways to pair names, each of which some loader may go. Their names are also in
    `missing` and `extra` where they are not in `partner`. `beside` are names of the pickle that lie beside
    the state dict, in an optimizer's state for instance.
    """

    partner: dict[str, str]
    rivals: tuple[Rival, ...]
    missing: tuple[str, ...]
    extra: tuple[str, ...]
    beside: tuple[str, ...]
    notes: tuple[str, ...]
    turns: int


def match(pickle: Collection[str], safetensors: Collection[str], turn: int = 0) -> Names:
    """Match by name, after one prefix is taken off all names of one side, if more match without it.

    What the prefix leaves over is matched by its plain name, too: a loader that does not know of the
    prefix takes that one. Where several prefixes do equally well and all of them are of copies such as a
    moving average, `turn` says which of the `Names.turns` to take. Bytes never decide between others.
    """
    there = set(safetensors)
    prefixes = _prefixes(pickle, there)
    back = _prefixes(safetensors, set(pickle))
    choices = _best(len(there.intersection(pickle)), prefixes, back)
    prefix, side = choices[turn]
    partner: dict[str, str] = {}
    for name in pickle:
        candidate = prefix + name if side == "safetensors file" else name.removeprefix(prefix)
        is_there = side == "safetensors file" or name.startswith(prefix)
        if is_there and candidate in there:
            partner[name] = candidate
        elif name in there:
            partner[name] = name
    renamed = _rename(set(pickle) - partner.keys(), there - set(partner.values()))
    partner |= renamed
    left = [name for name in pickle if name not in partner]
    beside = {
        name
        for name in left
        if side == "pickle" and prefix and name.partition(".")[0] in _TRAINING
        if there.isdisjoint(_suffixes(name))
    }
    notes = [f"names begin with {prefix!r} in the {side} only"] if prefix else []
    notes += [f"{old!r} is called {new!r} there" for old, new in sorted(renamed.items())[:1]]
    reached = set(partner.values())
    return Names(
        partner,
        _rivals(partner, left, there - reached, (set(pickle), there)),
        tuple(sorted(there - reached)),
        tuple(sorted(name for name in left if name not in beside)),
        tuple(sorted(beside)),
        tuple(notes),
        len(choices),
    )


def without(names: Names, pairs: Collection[tuple[str, str]]) -> Names:
    """`names` where the names in `pairs` are neither missing nor extra."""
    here, there = {name for name, _ in pairs}, {name for _, name in pairs}
    return replace(
        names,
        missing=tuple(name for name in names.missing if name not in there),
        extra=tuple(name for name in names.extra if name not in here),
    )


def is_computed_buffer(name: str, shape: tuple[int, ...]) -> bool:
    """Whether a tensor is one that models make when they are built, so that files may lack it."""
    if _ends(name, _MASKS):
        return len(shape) == 4
    return _ends(name, _BUFFERS) or (_ends(name, _MASK_VALUES) and shape in ((), (1,)))


def may_be_tied(name: str) -> bool:
    """Whether models share a tensor of this name with another one."""
    return _ends(name, _TIED)


def _ends(name: str, ends: Iterable[str]) -> bool:
    return any(name == end or name.endswith(f".{end}") for end in ends)


def _suffixes(name: str) -> Iterable[str]:
    """What is left of a name after one, two, … parts."""
    for _ in range(_DEEPEST):
        _, dot, name = name.partition(".")
        if not dot:
            return
        yield name


def _prefixes(names: Iterable[str], there: set[str]) -> Counter[str]:
    """How many names match without each prefix that some name matches without."""
    found: Counter[str] = Counter()
    for name in names:
        for suffix in _suffixes(name):
            if suffix in there:
                found[name[: len(name) - len(suffix)]] += 1
    return found


def _best(plain: int, prefixes: Counter[str], back: Counter[str]) -> list[tuple[str, str]]:
    """The prefixes by which most names match, and whose they are; none where plain names do as well."""
    choices = [(-plain, 0, "", "pickle")]
    choices += [(-count, len(prefix), prefix, "pickle") for prefix, count in prefixes.items()]
    choices += [(-count, len(prefix), prefix, "safetensors file") for prefix, count in back.items()]
    most, length, _, _ = min(choices)
    if not length:
        return [("", "pickle")]
    best = [(prefix, side) for count, _, prefix, side in sorted(choices) if count == most]
    taken = [choice for choice in best if not _is_of_copies(choice[0])]
    return taken[:1] or best[:_TURNS]


def _is_of_copies(prefix: str) -> bool:
    return not _COPIES.isdisjoint(prefix.split("."))


def _rivals(
    partner: Mapping[str, str],
    left: Iterable[str],
    missing: Iterable[str],
    names: tuple[set[str], set[str]],
) -> tuple[Rival, ...]:
    """The pairs beside those in `partner`, by prefix."""
    here, there = names
    pairs: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for name in here:
        if name in there and partner.get(name) != name:
            pairs[""].append((name, name))
    for name in left:
        for suffix in _suffixes(name):
            if suffix in there:
                pairs[name[: len(name) - len(suffix)]].append((name, suffix))
    for name in missing:
        for suffix in _suffixes(name):
            if suffix in here:
                pairs[name[: len(name) - len(suffix)]].append((suffix, name))
    return tuple(
        Rival(prefix, tuple(sorted(found)))
        for prefix, found in sorted(pairs.items())
        if not _is_of_copies(prefix)
    )


def _rename(left: Iterable[str], there: set[str]) -> dict[str, str]:
    found = {}
    for name in left:
        for old, new in _RENAMED:
            if name.endswith(old) and (other := name.removesuffix(old) + new) in there:
                found[name] = other
    return found
