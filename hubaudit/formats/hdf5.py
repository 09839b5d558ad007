"""HDF5: the configuration of a Keras model in it, if it has one and not only weights.

Source: h5py 3.16 and keras 3.15, `legacy/saving/legacy_h5_format.py`: attributes `model_config` and
`training_config` of the root group, JSON. HDF5 keeps such text in one piece, as it is (HDF5 file format
specification 3.0, III.E "Global Heap", IV.A.2.m "Attribute"), so it is searched for and not looked up:
where anything lies is said by structures that a file can have in many ways.
"""

from __future__ import annotations

import json
import re

from hubaudit.formats import keras
from hubaudit.formats.contents import Contents, Format, Gap, Oddity
from hubaudit.formats.place import MAX_SEARCHED_REMOTE, Effort
from hubaudit.source import Source

_CONFIG = b"model_config"
_PIECE = 1 << 20
_OBJECT = re.compile(rb'\{[ \t\r\n]*"')
_FIRST_LOOK = 16 * 1024  # bytes that are parsed at first
_GROWTH = 16  # times as many, if what was parsed goes on at their end
# Bytes that are parsed in vain: random ones have a beginning in 65,000, which ends in the next ten.
_MAX_TRIED = 256 << 20
_MAX_TRIES = 100_000  # as many as 6 GB of random bytes have: 1 s
# Of a far file that is longer than what is read of those as a whole. h5py writes attributes first.
_FAR_START, _FAR_END = 1 << 20, 64 << 10


def read_hdf5(source: Source, member: str | None, effort: Effort) -> Contents:
    """What its configuration says, and a gap if it seems to have one that cannot be found."""
    search = _Search(source, member)
    is_far = effort.most == MAX_SEARCHED_REMOTE
    if is_far and source.size > MAX_SEARCHED_REMOTE:
        search.run(0, _FAR_START)
        search.run(source.size - _FAR_END, source.size)
    else:
        search.run(0, None)
    return search.result()


class _Search:
    def __init__(self, source: Source, member: str | None) -> None:
        self._source = source
        self._member = member
        self._odd: dict[Oddity, None] = {}
        self._has_model = False
        self._is_named = False
        self._tries = 0
        self._tried = 0
        self._why: str | None = None

    def run(self, start: int, end: int | None) -> None:
        """Looks at the bytes from `start` up to before `end`; None is the end of the file."""
        at = done = start
        while self._why is None and (end is None or at < end):
            data = self._source.read(at, _PIECE + len(_CONFIG) if end is None else end - at)
            self._is_named = self._is_named or _CONFIG in data
            for match in _OBJECT.finditer(data):
                if self._why is not None:
                    return
                if at + match.start() >= done and match.start() < _PIECE:
                    done = self._try(at + match.start())
            if len(data) <= _PIECE:
                return
            at += _PIECE

    def _try(self, at: int) -> int:
        """Parses what begins at `at`; returns where to search on."""
        look = _FIRST_LOOK
        self._tries += 1
        if self._tries > _MAX_TRIES:
            self._why = "too much of it begins like JSON to parse all of that"
            return at + 1
        while True:
            data = self._source.read(at, look)
            text = data.decode("latin-1")  # a character a byte, to know where it ends
            try:
                _, end = json.JSONDecoder(strict=False).raw_decode(text)
            except RecursionError:
                self._why = "it has JSON that is nested too deep"
                return at + 1
            except json.JSONDecodeError as error:
                self._tried += min(error.pos + 1, len(data))
                if self._is_worth_more(error, data, look):
                    look *= _GROWTH
                    continue
                return at + 1
            self._tried += end
            self._keep(data[:end])
            return at + end

    def _is_worth_more(self, error: json.JSONDecodeError, data: bytes, look: int) -> bool:
        """Whether it is cut off by where the look ended, and by nothing else."""
        if self._tried > _MAX_TRIED:
            self._why = "too much of it begins like JSON to parse all of that"
            return False
        is_open = error.pos >= len(data) - 16 or "Unterminated string" in error.msg
        if not is_open or len(data) < look or b"\0" in data:
            return False
        if look * _GROWTH > keras.MAX_PARSED:
            self._why = "it has a configuration that is too large to be parsed"
            return False
        return True

    def _keep(self, data: bytes) -> None:
        try:
            value = keras.parse(data)
        except keras.TooMuch as error:
            self._why = str(error)
            return
        self._has_model = self._has_model or keras.is_model(value)
        self._odd.update(dict.fromkeys(keras.judge(value, self._member)))

    def result(self) -> Contents:
        if not self._is_named:  # a data set, or weights
            return Contents(Format.HDF5)
        why = self._why
        if why is None and not self._has_model:
            why = "it has a model_config, as Keras models have, that was not found"
        gaps = () if why is None else (Gap(self._member, why),)
        return Contents(Format.HDF5, gaps=gaps, oddities=tuple(self._odd))
