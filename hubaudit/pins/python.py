"""References in Python: the calls that load from the Hub, and texts that are addresses on it."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial

from hubaudit.pins.addresses import (
    HOLE,
    Address,
    has_owner,
    is_local_spelling,
    parse_address,
    parse_id,
    parse_path,
    parse_repo_url,
)
from hubaudit.pins.evaluate import Evaluator
from hubaudit.pins.imports import NO_MODULES, Modules
from hubaudit.pins.loaders import (
    ELSEWHERE,
    FILE_SYSTEM_READS,
    LOADERS,
    PACKAGED_DATASETS,
    PEFT_MODEL,
    Loader,
)
from hubaudit.pins.reference import Form, Found, Place, Reference, RepoType, State, Unparsed
from hubaudit.pins.revisions import AT_RUN_TIME, BY_HUBAUDIT, NO_REVISION, judge_revision
from hubaudit.pins.scopes import Module, Where, read_module
from hubaudit.pins.silence import Silences, silenced, silences_in_code
from hubaudit.pins.values import NONE, UNKNOWN, Alternatives, Constant, Mark, Table

Exists = Callable[[str], bool]  # whether a text is the path of something on this machine

_TYPES: dict[str, RepoType] = {"model": "model", "dataset": "dataset", "space": "space"}


def find_in_python(source: str, exists: Exists, modules: Modules = NO_MODULES) -> Found:
    """The references of a module. Its code is parsed and never run, nor is that of `modules`."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the code's own escapes
            tree = ast.parse(source)
        module = read_module(tree)
        references = list(_Finder(module, source, exists, modules).references())
    except SyntaxError as error:
        place = Place(error.lineno or 1, max(error.offset or 1, 1))
        return Found(unparsed=(Unparsed(place, f"not Python that can be parsed: {error.msg}"),))
    except (RecursionError, MemoryError, ValueError) as error:
        why = f"not Python that can be parsed: {str(error) or type(error).__name__}"
        return Found(unparsed=(Unparsed(Place(1, 1), why),))
    return Found(tuple(sorted(references, key=lambda one: (one.place.line, one.place.column))))


@dataclass(frozen=True, slots=True)
class _Given:
    """The arguments of a call, as far as they are known."""

    positional: tuple[Alternatives, ...]
    named: Table
    is_cut: bool  # `*more` follows the positional ones

    def get(self, names: Iterable[str], position: int | None) -> Alternatives | None:
        """What is given under one of the names or at the position; None if nothing is."""
        found = next(filter(None, map(self.named.get, names)), None)
        if found is not None:
            return found
        if position is not None and position < len(self.positional):
            return self.positional[position]
        is_open = self.named.is_open or (self.is_cut and position is not None)
        return UNKNOWN if is_open else None


class _Finder:
    def __init__(self, module: Module, source: str, exists: Exists, modules: Modules) -> None:
        self._module = module
        self._evaluator = Evaluator(module, modules)
        self._lines = source.split("\n")
        self._exists = exists
        self._silences: Silences = silences_in_code(source)
        self._told: set[Constant] = set()  # texts that a call was given, which tells of them

    def references(self) -> Iterator[Reference]:
        for call in self._module.calls:
            seen = self._evaluator.worlds(partial(self._in_call, call))
            yield from dict.fromkeys(one for references in seen for one in references)
        for text in self._module.texts:
            yield from self._in_text(text)

    def _in_call(self, call: ast.Call) -> list[Reference]:
        whole, known_before = self._without_partial(call)
        origin = self._evaluator.origin(whole.func)
        name = origin.rpartition(".")[2]
        if isinstance(call.func, ast.Attribute) and name in FILE_SYSTEM_READS:
            is_hub = self._evaluator.value(call.func.value) == (Mark.FILE_SYSTEM,)
            return list(self._in_file_system(call, name)) if is_hub else []
        loader = loader_of(origin)
        if loader is None:
            return []
        where = self._module.places[id(call)]
        given = self._given(whole, where)
        repos = given.get(loader.keywords, loader.position)
        if repos is None:
            return []
        if known_before and self._given(known_before, where).get(loader.keywords, loader.position):
            return []  # it is told where the partial is made
        revisions = given.get(("revision",), loader.revision_at)
        addresses = self._addresses(repos, loader, self._type(given, loader))
        self._told.update(value for value in repos if isinstance(value, Constant))
        return list(self._judged(call, name, addresses, revisions))

    def _without_partial(self, call: ast.Call) -> tuple[ast.Call, ast.Call | None]:
        """What `functools.partial` makes of a call, and what of it was given before."""
        made = call if self._is_partial(call) else self._evaluator.made(call.func)
        if made is None or not self._is_partial(made):
            return call, None
        before = ast.Call(made.args[0], made.args[1:], made.keywords)
        if made is call:
            return before, None
        arguments, keywords = [*before.args, *call.args], [*made.keywords, *call.keywords]
        return ast.Call(before.func, arguments, keywords), before

    def _is_partial(self, call: ast.Call) -> bool:
        return bool(call.args) and self._evaluator.origin(call.func) == "functools.partial"

    def _in_file_system(self, call: ast.Call, name: str) -> Iterator[Reference]:
        given = self._given(call, self._module.places[id(call)])
        paths = given.get(("path", "rpath", "root", "urlpath"), 0) or NONE
        texts = [value.value for value in paths if isinstance(value, Constant)]
        found = [parse_path(text) for text in texts if isinstance(text, str)]
        addresses = [one for one in found if one is not None]
        revisions = given.get(("revision",), None)
        self._told.update(value for value in paths if isinstance(value, Constant))
        via = f"HfFileSystem.{name}"
        unknown: list[Address | None] = [None] if Mark.UNKNOWN in paths else []
        yield from self._judged(call, via, [*addresses, *unknown], revisions)

    def _given(self, call: ast.Call, where: Where) -> _Given:
        positional: list[Alternatives] = []
        is_cut = False
        for argument in call.args:
            is_cut = is_cut or isinstance(argument, ast.Starred)
            if not is_cut:
                positional.append(self._evaluator.value(argument))
        named = self._evaluator.table([(one.arg, one.value) for one in call.keywords], where)
        return _Given(tuple(positional), named, is_cut)

    def _type(self, given: _Given, loader: Loader) -> RepoType:
        kinds = given.named.get("repo_type") or ()
        for kind in kinds:
            if isinstance(kind, Constant) and kind.value in _TYPES:
                return _TYPES[str(kind.value)]
        return loader.repo_type

    def _addresses(
        self, repos: Alternatives, loader: Loader, repo_type: RepoType
    ) -> list[Address | None]:
        """The repositories; None for one that only the running program knows."""
        found: list[Address | None] = []
        for value in repos:
            match value:
                case Constant(str() as text):
                    address = self._address(text, loader, repo_type)
                    if address is not None:
                        found.append(address)
                    elif HOLE in text and not is_local_spelling(text):
                        found.append(None)
                case Mark.UNKNOWN:
                    found.append(None)
        return found

    def _address(self, text: str, loader: Loader, repo_type: RepoType) -> Address | None:
        if loader.takes_paths and (is_local_spelling(text) or self._exists(text)):
            return None
        if loader.owned and not has_owner(text):
            return None
        if loader.repo_type == "dataset" and text in PACKAGED_DATASETS:
            return None
        address = parse_address(text)
        if address is not None:
            # diffusers, for one, takes the repository of a URL and not its revision
            return replace(address, revision=None) if address.form is Form.RESOLVE else address
        return parse_id(text, repo_type) or parse_repo_url(text)

    def _judged(
        self,
        call: ast.Call,
        via: str,
        addresses: Iterable[Address | None],
        revisions: Alternatives | None,
    ) -> Iterator[Reference]:
        place = self._place(_name_start(call.func))
        lines = range(call.lineno, (call.end_lineno or call.lineno) + 1)
        addresses = list(addresses)
        if addresses and all(address is None for address in addresses):
            addresses = [None]
        for address in dict.fromkeys(addresses):
            if address is None and len(addresses) > 1:
                continue  # the others say what to do
            state, why, revision = _state(address, revisions)
            reference = Reference(
                place=place,
                via=via,
                repo_id=address.repo_id if address else None,
                repo_type=address.repo_type if address else "model",
                revision=revision,
                state=state,
                why=why,
                form=_form(address, revisions),
            )
            yield silenced(reference, lines, self._silences)

    def _in_text(self, node: ast.expr) -> Iterator[Reference]:
        for value in self._evaluator.value(node):
            if not isinstance(value, Constant) or not isinstance(value.value, str):
                continue
            if value in self._told:
                continue
            address = parse_address(value.value)
            if address is None:
                continue
            revision = address.revision
            if revision is not None and HOLE in revision:
                state, why, revision = State.UNKNOWN, AT_RUN_TIME, None
            else:
                state, why = judge_revision(revision)
            reference = Reference(
                place=self._place((node.lineno, node.col_offset)),
                via=_scheme(value.value),
                repo_id=address.repo_id,
                repo_type=address.repo_type,
                revision=revision,
                state=state,
                why=why,
                form=address.form,
            )
            lines = range(node.lineno, (node.end_lineno or node.lineno) + 1)
            yield silenced(reference, lines, self._silences)

    def _place(self, at: tuple[int, int]) -> Place:
        """ast counts columns in bytes of UTF-8, and from 0."""
        line, offset = at
        before = self._lines[line - 1].encode("utf-8", "surrogatepass")[:offset]
        return Place(line, len(before.decode("utf-8", "replace")) + 1)


def loader_of(origin: str) -> Loader | None:
    """How the callable of that origin is given what it loads; None if it loads nothing from the Hub."""
    origin = origin.removeprefix("?.")
    package, name = origin.partition(".")[0], origin.rpartition(".")[2]
    loader = LOADERS.get(name)
    if loader is None or package in ELSEWHERE or origin == f"<local>.{name}":
        return None
    if loader.origins and package not in loader.origins and origin != name:
        return None
    owner = origin.split(".")[-2:][0]
    if name == "from_pretrained" and owner.startswith("Peft") and not owner.endswith("Config"):
        return PEFT_MODEL
    return loader


def _state(
    address: Address | None, revisions: Alternatives | None
) -> tuple[State, str, str | None]:
    """The state, why, and the revision as far as it is known. The worst that can come counts."""
    if address is None:
        return State.UNKNOWN, "its repository is only known when the program runs", None
    if revisions is None or revisions == NONE:
        if address.revision is not None and HOLE not in address.revision:
            return (*judge_revision(address.revision), address.revision)
        if address.revision is not None:
            return State.UNKNOWN, AT_RUN_TIME, None
        return State.UNPINNED, NO_REVISION, None
    judged = [_state_of(value) for value in revisions]
    order = (State.UNPINNED, State.UNKNOWN, State.PINNED)
    return min(judged, key=lambda one: order.index(one[0]))


def _state_of(value: object) -> tuple[State, str, str | None]:
    match value:
        case Constant(str() as text) if HOLE not in text:
            return (*judge_revision(text), text)
        case Constant(None):
            return State.UNPINNED, f"{NO_REVISION} where none is given", None
        case Mark.PIN:
            return State.PINNED, BY_HUBAUDIT, None
    return State.UNKNOWN, AT_RUN_TIME, None


def _form(address: Address | None, revisions: Alternatives | None) -> Form:
    if address is not None and address.form is Form.ADDRESS and revisions is None:
        return Form.ADDRESS
    return Form.KEYWORD


def _name_start(func: ast.expr) -> tuple[int, int]:
    """Where the name of the callable begins: of a method, behind the last dot."""
    if isinstance(func, ast.Attribute) and func.end_lineno and func.end_col_offset:
        return func.end_lineno, func.end_col_offset - len(func.attr.encode())
    return func.lineno, func.col_offset


def _scheme(text: str) -> str:
    for scheme in ("hf://", "hf-hub:", "hf_hub:"):
        if text.startswith(scheme):
            return scheme
    return "URL"
