"""References in YAML, JSON and TOML: keys that name a repository, with the revision beside them."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from json import JSONDecodeError

import yaml

from hubaudit.pins.addresses import Address, has_owner, is_local_spelling, parse_address, parse_id
from hubaudit.pins.imports import NO_MODULES, Modules
from hubaudit.pins.jsontext import Array, Json, Leaf, Lines, Members, read_json
from hubaudit.pins.reference import Form, Found, Place, Reference, RepoType, State, Unparsed
from hubaudit.pins.revisions import judge_revision
from hubaudit.pins.silence import silenced, silences_in_lines

Exists = Callable[[str], bool]

_DEPTH = 100  # levels of YAML and TOML; people write fewer than twenty

# What transformers' examples, PEFT's and diffusers' configurations, text-generation-inference, axolotl, LLaMA
# Factory and accelerate's templates call a repository.
_MODEL_KEYS = frozenset(
    "model_id model_name_or_path pretrained_model_name_or_path pretrained_model pretrained_name_or_path "
    "repo_id hf_repo hf_repo_id hf_model hf_model_id hf_model_name huggingface_repo huggingface_repo_id "
    "huggingface_model huggingface_model_id model_repo model_repo_id base_model base_model_id "
    "base_model_name_or_path tokenizer_id tokenizer_name_or_path adapter_name_or_path peft_model_id "
    "controlnet_model_name_or_path pretrained_vae_model_name_or_path vae_id lora_model_id "
    "embedding_model_id reward_model_id draft_model_id".split()
)
_DATASET_KEYS = frozenset("dataset_id dataset_name dataset_repo_id dataset_repo hf_dataset".split())
# These name something else as often: only with a revision beside them.
_WEAK_MODEL_KEYS = frozenset(("model", "model_name", "tokenizer", "tokenizer_name", "model_path"))
_WEAK_DATASET_KEYS = frozenset(("dataset", "dataset_path"))
# The hash goes first: beside it a `revision` says which branch it was found on, as in hubaudit's own reports.
_REVISION_KEYS = tuple(
    "commit_hash commit_sha revision hf_revision repo_revision commit sha".split()
)
_TAILS = re.compile(r"(?:_name_or_path|_repo_id|_repo|_id|_name|_path)$")
# org/name has no such end; a path on this machine often has.
_FILE = re.compile(
    r"\.(?:json|jsonl|ya?ml|toml|py|txt|csv|tsv|parquet|pt|pth|bin|safetensors|onnx|gguf|ckpt|pkl|h5|zip|gz|"
    r"tar|model|md|sh)$",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class _Scalar:
    text: str | None  # None for what is no text
    place: Place


@dataclass(frozen=True, slots=True)
class _Map:
    """The members of one mapping, its own after those that it takes over."""

    members: tuple[tuple[_Scalar, _Node], ...]


@dataclass(frozen=True, slots=True)
class _List:
    items: tuple[_Node, ...]


_Node = _Scalar | _Map | _List


def find_in_yaml(text: str, exists: Exists, _modules: Modules = NO_MODULES) -> Found:
    """The references of all documents of a file. No tag of it is followed."""
    try:
        # the loader in Python: the one in C (PyYAML 6.0.3) ends the process at 100,000 open brackets
        documents = [
            _from_yaml(one, {}, 0) for one in yaml.compose_all(text, yaml.SafeLoader) if one
        ]
    except yaml.YAMLError as error:
        return _unparsed(_yaml_place(error), f"not YAML that can be parsed: {_problem(error)}")
    except (RecursionError, ValueError) as error:
        return _unparsed(Place(1, 1), f"not YAML that can be parsed: {error}")
    return _found(documents, Form.YAML, text, exists)


def find_in_json(text: str, exists: Exists, _modules: Modules = NO_MODULES) -> Found:
    """The references of a file, which may have comments and trailing commas."""
    if not text.strip():
        return Found()
    try:
        document = _from_json(read_json(text), Lines(text))
    except JSONDecodeError as error:
        return _unparsed(Place(error.lineno, error.colno), f"not JSON: {error.msg}")
    return _found([document], Form.JSON, text, exists)


def find_in_toml(text: str, exists: Exists, _modules: Modules = NO_MODULES) -> Found:
    """The references of a file."""
    try:
        document = tomllib.loads(text)
        nodes = [_from_toml(document, _TomlPlaces(text), 0)]
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        line = re.search(r"at line (\d+), column (\d+)", str(error))
        place = Place(int(line[1]), int(line[2])) if line else Place(text.count("\n") + 1, 1)
        return _unparsed(place, f"not TOML: {error}")
    return _found(nodes, Form.TOML, text, exists)


def _unparsed(place: Place, why: str) -> Found:
    return Found(unparsed=(Unparsed(place, " ".join(why.split())),))


def _found(documents: Iterable[_Node], form: Form, text: str, exists: Exists) -> Found:
    silences = silences_in_lines(text)
    found = {}
    for document in documents:
        for reference in _references(document, form, exists):
            quieter = silenced(reference, (reference.place.line,), silences)
            found[reference.place, reference.repo_id] = quieter
    return Found(tuple(sorted(found.values(), key=lambda one: (one.place.line, one.place.column))))


def _references(document: _Node, form: Form, exists: Exists) -> Iterator[Reference]:
    for node in _nodes(document):
        match node:
            case _Scalar(str() as text):
                address = parse_address(text.strip())
                if address is not None:
                    yield _addressed(address, text, node.place)
            case _Map(members):
                yield from _beside_each_other(members, form, exists)
            case _List(items):
                yield from _beside_each_other(_environment(items), form, exists)


def _nodes(document: _Node) -> Iterator[_Node]:
    """Each node once, also one that many aliases of YAML stand for."""
    seen: set[int] = set()
    waiting: list[_Node] = [document]
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        yield node
        match node:
            case _Map(members):
                waiting += [value for _, value in members]
            case _List(items):
                waiting += items


def _beside_each_other(
    members: Iterable[tuple[_Scalar, _Node]], form: Form, exists: Exists
) -> Iterator[Reference]:
    beside = {_normal(key.text): (key, value) for key, value in members if key.text}
    for name, (key, value) in beside.items():
        if isinstance(value, _Scalar):
            named = _named(name, key, value, beside, form, exists)
            if named is not None:
                yield named


def _addressed(address: Address, text: str, place: Place) -> Reference:
    state, why = judge_revision(address.revision)
    via = "hf://" if text.startswith("hf://") else "URL" if "://" in text else text[:7]
    return Reference(
        place, via, address.repo_id, address.repo_type, address.revision, state, why, address.form
    )


def _named(
    name: str,
    key: _Scalar,
    value: _Scalar,
    beside: Mapping[str, tuple[_Scalar, _Node]],
    form: Form,
    exists: Exists,
) -> Reference | None:
    """The repository that the value of a key is, if it is one."""
    repo_type = _type_of(name, beside)
    address = _address(value, repo_type or "model", exists)
    if repo_type is None or address is None:
        return None
    revision = _revision_beside(name, beside)
    if name in _WEAK_MODEL_KEYS | _WEAK_DATASET_KEYS and revision is None:
        return None
    written_as = _revision_key(name, key.text or "", revision)
    said, is_known = address.revision, True
    if revision is not None:
        said, is_known = _revision_text(revision[1])
    state, why = judge_revision(said)
    if not is_known:
        state, why, said = State.UNKNOWN, "its revision is a placeholder", None
    inside = Form.ADDRESS if revision is None and address.revision is not None else form
    return Reference(
        place=value.place,
        via=key.text or name,
        repo_id=address.repo_id,
        repo_type=address.repo_type,
        revision=said,
        state=state,
        why=why,
        form=inside,
        key=written_as,
    )


def _type_of(name: str, beside: Mapping[str, tuple[_Scalar, _Node]]) -> RepoType | None:
    """What the key names; None if it names nothing on the Hub."""
    if name in _DATASET_KEYS | _WEAK_DATASET_KEYS:
        return "dataset"
    if name not in _MODEL_KEYS | _WEAK_MODEL_KEYS:
        return None
    _, kind = beside.get("repo_type", (None, None))
    match kind:
        case _Scalar("dataset"):
            return "dataset"
        case _Scalar("space"):
            return "space"
    return "model"


def _address(value: _Scalar, repo_type: RepoType, exists: Exists) -> Address | None:
    text = (value.text or "").strip()
    if not has_owner(text) or is_local_spelling(text) or _FILE.search(text) or exists(text):
        return None
    return parse_id(text, repo_type)


def _revision_beside(
    name: str, beside: Mapping[str, tuple[_Scalar, _Node]]
) -> tuple[_Scalar, _Node] | None:
    stem = _TAILS.sub("", name)
    own = (f"{name}_revision", f"{stem}_revision", f"revision_of_{stem}")
    if name not in _DATASET_KEYS | _WEAK_DATASET_KEYS:
        candidates: tuple[str, ...] = (*own, *_REVISION_KEYS, "model_revision")
    else:  # beside a model the plain revision is the model's
        candidates = own if _MODEL_KEYS & beside.keys() else (*own, *_REVISION_KEYS)
    return next((beside[one] for one in candidates if one in beside), None)


def _revision_key(name: str, spelling: str, revision: tuple[_Scalar, _Node] | None) -> str:
    """The key to write the pin under: the one that is there, or one in the style of its neighbour."""
    if revision is not None:
        return revision[0].text or "revision"
    if spelling.isupper():
        return "REVISION"
    return "dataset_revision" if name == "dataset_name" else "revision"


def _revision_text(node: _Node) -> tuple[str | None, bool]:
    """The revision, and whether it is known: a placeholder is filled in later."""
    if not isinstance(node, _Scalar):
        return None, False
    text = None if node.text is None else node.text.strip()
    return text, not (text and re.search(r"\$\{|\$\(|\{\{|<\w+>|^\$\w", text))


def _environment(items: Sequence[_Node]) -> list[tuple[_Scalar, _Node]]:
    """The variables in a list of them, `- name: …, value: …` or `- NAME=value`."""
    members: list[tuple[_Scalar, _Node]] = []
    for item in items:
        match item:
            case _Map(pairs):
                given = {key.text: value for key, value in pairs}
                name, value = given.get("name"), given.get("value")
                if isinstance(name, _Scalar) and isinstance(value, _Scalar):
                    members.append((name, value))
            case _Scalar(str() as text) if re.match(r"[A-Z_][A-Z0-9_]*=", text):
                key, _, rest = text.partition("=")
                members.append((_Scalar(key, item.place), _Scalar(rest, item.place)))
    return members


def _normal(key: str | None) -> str:
    """`modelId`, `model-id` and `MODEL_ID` are `model_id`."""
    text = (key or "").lstrip("-").replace("-", "_")
    if not text.isupper():
        text = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", text)
    return text.lower()


def _from_yaml(node: yaml.Node, known: dict[int, _Node], depth: int) -> _Node:
    """A composed node; one that aliases repeat is converted once."""
    if id(node) in known:
        return known[id(node)]
    if depth > _DEPTH:
        raise ValueError("nested too deep")
    place = Place(node.start_mark.line + 1, node.start_mark.column + 1)
    known[id(node)] = _Scalar(None, place)  # what an alias inside of itself stands for
    made: _Node = _Scalar(None, place)
    match node:
        case yaml.ScalarNode():
            is_null = node.tag == "tag:yaml.org,2002:null"
            # a hash of digits only is a number to YAML, and meant as it is written
            made = _Scalar(None if is_null else node.value, place)
        case yaml.SequenceNode():
            made = _List(tuple(_from_yaml(item, known, depth + 1) for item in node.value))
        case yaml.MappingNode():
            # the last of a name counts, so that what is taken over again and again does not pile up
            members = {key.text: (key, value) for key, value in _yaml_members(node, known, depth)}
            made = _Map(tuple(members.values()))
    known[id(node)] = made
    return made


def _yaml_members(
    node: yaml.MappingNode, known: dict[int, _Node], depth: int
) -> Iterator[tuple[_Scalar, _Node]]:
    pairs = [(key, _from_yaml(value, known, depth + 1)) for key, value in node.value]
    for key, value in pairs:
        if key.tag == "tag:yaml.org,2002:merge":
            sources = value.items if isinstance(value, _List) else (value,)
            for source in sources:
                if isinstance(source, _Map):
                    yield from source.members
    for key, value in pairs:
        if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
            place = Place(key.start_mark.line + 1, key.start_mark.column + 1)
            yield _Scalar(key.value, place), value


def _from_json(node: Json, lines: Lines) -> _Node:
    match node:
        case Members(members):
            return _Map(
                tuple((_json_leaf(key, lines), _from_json(value, lines)) for key, value in members)
            )
        case Array(items):
            return _List(tuple(_from_json(item, lines) for item in items))
        case Leaf():
            return _json_leaf(node, lines)


def _json_leaf(leaf: Leaf, lines: Lines) -> _Scalar:
    return _Scalar(leaf.text, Place(*lines.place(leaf.start)))


class _TomlPlaces:
    """Where texts stand in TOML, whose parser does not tell: in order, by key and text."""

    def __init__(self, text: str) -> None:
        self._lines = text.split("\n")
        self._next: dict[tuple[str, str], int] = {}

    def find(self, key: str, text: str) -> Place:
        """The place of the next text like this after a key like this; the first line if there is none."""
        for at in range(self._next.get((key, text), 0), len(self._lines)):
            line = self._lines[at]
            column = line.find(text)
            if column >= 0 and key in line[:column]:
                self._next[key, text] = at + 1
                return Place(at + 1, max(column, 1))
        return self._anywhere(text)

    def _anywhere(self, text: str) -> Place:
        found = (at for at, line in enumerate(self._lines) if text in line)
        at = next(found, 0)
        return Place(at + 1, max(self._lines[at].find(text), 1))


def _from_toml(value: object, places: _TomlPlaces, depth: int, key: str = "") -> _Node:
    if depth > _DEPTH:
        raise ValueError("nested too deep")
    match value:
        case dict():
            members = (
                (_Scalar(name, Place(1, 1)), _from_toml(held, places, depth + 1, name))
                for name, held in value.items()
            )
            return _Map(tuple(members))
        case list():
            return _List(tuple(_from_toml(held, places, depth + 1, key) for held in value))
        case str() if "/" in value and "\n" not in value:
            return _Scalar(value, places.find(key, value))
    return _Scalar(str(value), Place(1, 1))


def _yaml_place(error: yaml.YAMLError) -> Place:
    mark = getattr(error, "problem_mark", None)
    return Place(mark.line + 1, mark.column + 1) if mark else Place(1, 1)


def _problem(error: yaml.YAMLError) -> str:
    return str(getattr(error, "problem", None) or getattr(error, "reason", None) or error)
