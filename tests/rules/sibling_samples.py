"""Two formats of one checkpoint: for each rule about them what triggers it, and a near miss."""

from __future__ import annotations

from dataclasses import replace

from hubaudit.model import Comparison, LoadRole, TensorDifference
from hubaudit.rules import Siblings

BIN, SAFE, INDEX = "pytorch_model.bin", "model.safetensors", "pytorch_model.bin.index.json"
EQUAL = Comparison(
    BIN, SAFE, "equal", "sampled", 199, pickle_files=(BIN,), safetensors_files=(SAFE,)
)
HOW = "element [0] is 1 in the pickle, 2 in the safetensors file"
DIFFERS = replace(
    EQUAL,
    result="differs",
    differing=("head.weight",),
    differences=(TensorDifference("head.weight", HOW),),
)

TRIGGERS = {
    "weights-differ": Siblings(comparisons=(DIFFERS,)),
    "tensors-missing": Siblings(comparisons=(replace(EQUAL, missing=("a", "b")),)),
    "tensors-extra": Siblings(comparisons=(replace(EQUAL, extra=("a",)),)),
    "not-comparable": Siblings(
        comparisons=(
            replace(
                EQUAL, result="not-compared", not_comparable=("a",), doubtful=("a",), why="a: why"
            ),
        )
    ),
    "pickle-only": Siblings(alone=((BIN,),)),
    "index-inconsistent": Siblings(problems=((INDEX, "names a shard that is not there: x.bin"),)),
}
NEVER = {BIN: LoadRole.NEVER, INDEX: LoadRole.NEVER}
NEAR_MISSES = {
    "weights-differ": Siblings(
        comparisons=(EQUAL, replace(EQUAL, result="not-compared", why="gone"))
    ),
    "tensors-missing": Siblings(
        comparisons=(replace(EQUAL, notes=("1 only in the pickle (tied): a",)),)
    ),
    "tensors-extra": Siblings(comparisons=(replace(EQUAL, notes=("cast F32→BF16: 3 tensors",)),)),
    "not-comparable": Siblings(
        comparisons=(
            replace(
                EQUAL, result="not-compared", doubtful=(BIN,), why="it is gone", broken_off=True
            ),
        )
    ),
    "pickle-only": Siblings(roles=NEVER, alone=((BIN,),)),
    "index-inconsistent": Siblings(),
}
