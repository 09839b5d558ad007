"""Policy files: `hubaudit.toml`, or `[tool.hubaudit]` in `pyproject.toml`. Every key is in docs/policy.md."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
)
from pydantic_core import ErrorDetails

from hubaudit import rules
from hubaudit.config import DEFAULT_POLICY, GlobalName, Policy, Waiver
from hubaudit.errors import ConfigError
from hubaudit.formats.contents import Format
from hubaudit.model import Severity
from hubaudit.pvm.opcodes import HIGHEST_PROTOCOL

OWN_FILE = "hubaudit.toml"
PROJECT_FILE = "pyproject.toml"

_DEEPEST = 16  # as `--max-archive-depth`


def load_policy(path: str | Path, *, today: date | None = None) -> Policy:
    """The policy in the TOML file `path`; of a pyproject.toml its table `[tool.hubaudit]`.

    `today` is the day on which waivers are judged, by default the one in UTC. Raises ConfigError,
    whose message names the file and the key, if it cannot be read or says what no policy can.
    """
    file = Path(path)
    table = read_table(file)
    if table is None:
        raise ConfigError(
            f"{file}: there is no table [tool.hubaudit]", hint="add it, or name another file"
        )
    return policy_from(table, str(file), today or datetime.now(UTC).date())


def read_table(file: Path) -> Mapping[str, Any] | None:
    """The settings in `file`; None if it is a pyproject.toml without any. Raises ConfigError."""
    try:
        if not file.is_file():
            what = "is no regular file" if file.exists() else "does not exist"
            raise ConfigError(f"{file} {what}", hint="name a policy file, or use --no-config")
        parsed = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"{file} cannot be read: {error.strerror}", hint="see who may read it"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(
            f"{file} is no TOML: {error}", hint="correct it, or use --no-config"
        ) from None
    if file.name != PROJECT_FILE:
        return parsed
    tools = parsed.get("tool", {})
    table = tools.get("hubaudit") if isinstance(tools, dict) else None
    if table is None or isinstance(table, dict):
        return table
    raise ConfigError(f"{file}: tool.hubaudit is no table", hint="write [tool.hubaudit]")


def policy_from(table: Mapping[str, Any], source: str, today: date) -> Policy:
    """The policy that `table` spells out; `source` names it in messages. Raises ConfigError."""
    try:
        read = _File.model_validate(table)
    except ValidationError as error:
        raise _explained(error, source) from None
    policy = replace(
        DEFAULT_POLICY,
        fail_on=Severity(read.fail_on),
        strict=read.strict,
        max_archive_depth=read.max_archive_depth,
        max_opcodes=read.max_opcodes,
        protocols=_set(read.protocols),
        allowed_globals=frozenset(pair for one in read.globals_.allow for pair in one),
        denied_globals=frozenset(pair for one in read.globals_.deny for pair in one),
        denied_formats=frozenset(read.formats.deny),
        publishers=_set(read.publishers.allow),
        hub_scan=_set(read.hub_scan.require),
        waivers=tuple(waiver.plain() for waiver in read.waivers),
        today=today,
    )
    _check_globals(policy, source)
    return policy


def _set(values: list[Any] | None) -> frozenset[Any] | None:
    return None if values is None else frozenset(values)


def _check_globals(policy: Policy, source: str) -> None:
    """Raises ConfigError for names that contradict each other or the catalogue."""
    both = policy.allowed_globals & policy.denied_globals
    if both:
        module, name = min(both)
        raise ConfigError(
            f"{source}: globals: {module}.{name} is both allowed and denied",
            hint="remove one of the two",
        )
    try:
        rules.catalogue_under(policy)
    except ConfigError as error:
        raise ConfigError(f"{source}: {error}", hint=error.hint) from None


def _one_of(*words: str) -> AfterValidator:
    """Only these words. For another one the message names the nearest."""

    def check(word: str) -> str:
        if word in words:
            return word
        close = get_close_matches(word.lower(), words, n=1)
        suggestion = f", perhaps {close[0]}" if close else f", only {', '.join(words)}"
        raise ValueError(f"{word!r} is not known{suggestion}")

    return AfterValidator(check)


def _day(value: object) -> object:
    """A date of TOML, or the same in quotation marks, which people write."""
    if isinstance(value, str):
        try:
            return date.fromisoformat(value)
        except ValueError:
            return value
    return value


def _spelled_out(value: object) -> object:
    """The pairs of module and name that an entry of `globals` stands for.

    Where the module ends cannot be seen in "a.b.C.D", and every reading of it is the same object; a
    table says it. Raises ValueError for what is no name.
    """
    match value:
        case str():
            parts = value.split(".")
            if len(parts) < 2 or not all(parts):
                raise ValueError(f'{value!r} is no "module.name"')
            if parts[-1] == "*":
                return [(value, "*")]
            return [(".".join(parts[:end]), ".".join(parts[end:])) for end in range(1, len(parts))]
        case {"module": str(module), "name": str(name), **more} if module and name and not more:
            return [(module, name)]
        case _:
            raise ValueError('write "module.name" or { module = "…", name = "…" }')


_HUB_WORDS = ("safe", "unscanned", "queued", "error", "caution", "suspicious", "unsafe")
_Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
_Protocol = Annotated[int, Field(ge=0, le=HIGHEST_PROTOCOL)]
_FormatWord = Annotated[str, _one_of(*(one.value for one in Format))]
_HubWord = Annotated[str, _one_of(*_HUB_WORDS)]
_SeverityWord = Annotated[str, _one_of("critical", "high", "medium", "low")]
_RuleId = Annotated[str, _one_of(*(rule.id for rule in rules.RULES))]
_Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-fA-F]{64}$"), AfterValidator(str.lower)]
_Day = Annotated[date, BeforeValidator(_day)]
_Global = Annotated[list[GlobalName], Field(strict=False), BeforeValidator(_spelled_out)]


class _Table(BaseModel):
    """A table of the file: kebab-case keys, no others, no values of a type that only looks alike."""

    model_config = ConfigDict(
        extra="forbid", strict=True, alias_generator=lambda name: name.strip("_").replace("_", "-")
    )


class _Globals(_Table):
    allow: list[_Global] = []
    deny: list[_Global] = []


class _Formats(_Table):
    deny: list[_FormatWord] = []


class _Publishers(_Table):
    allow: Annotated[list[_Text] | None, Field(min_length=1)] = None


class _HubScan(_Table):
    require: Annotated[list[_HubWord] | None, Field(min_length=1)] = None


class _Waiver(_Table):
    rule: _RuleId
    repo: _Text
    file: _Text
    sha256: _Sha256
    reason: _Text
    owner: _Text
    expires: _Day

    def plain(self) -> Waiver:
        return Waiver(
            self.rule,
            self.repo,
            self.file,
            self.sha256,
            self.reason,
            self.owner,
            self.expires,
        )


class _File(_Table):
    fail_on: _SeverityWord = "high"
    strict: bool = DEFAULT_POLICY.strict
    max_archive_depth: Annotated[int, Field(ge=0, le=_DEEPEST)] = DEFAULT_POLICY.max_archive_depth
    max_opcodes: Annotated[int, Field(ge=1)] = DEFAULT_POLICY.max_opcodes
    protocols: Annotated[list[_Protocol] | None, Field(min_length=1)] = None
    globals_: _Globals = _Globals()
    formats: _Formats = _Formats()
    publishers: _Publishers = _Publishers()
    hub_scan: _HubScan = _HubScan()
    waivers: list[_Waiver] = []


def keys() -> tuple[str, ...]:
    """Every key of a policy file, dotted, in the order of the tables: `fail-on`, `globals.allow`."""
    return tuple(_keys(_File))


def _keys(table: type[_Table], above: str = "") -> Iterator[str]:
    for key, inner in _inside(table).items():
        if inner is None:
            yield above + key
        else:
            yield from _keys(inner, f"{above}{key}.")


def _inside(table: type[_Table]) -> dict[str, type[_Table] | None]:
    """The keys of `table`, each with the table that it opens, if any."""
    found: dict[str, type[_Table] | None] = {}
    for name, field in table.model_fields.items():
        kinds = (field.annotation, *get_args(field.annotation))
        inner = next((k for k in kinds if isinstance(k, type) and issubclass(k, _Table)), None)
        found[field.alias or name] = inner
    return found


def _explained(error: ValidationError, source: str) -> ConfigError:
    """The first thing that is wrong, in our words."""
    details = error.errors(include_url=False)
    first = details[0]
    more = f" (and {len(details) - 1} more)" if len(details) > 1 else ""
    where = _spelled(first["loc"])
    match first["type"]:
        case "extra_forbidden":
            message, hint = f"unknown key {where}", _likely(first["loc"])
        case "missing":
            message, hint = f"{where} is missing", "a waiver needs every one of its keys"
        case "too_short":
            message, hint = f"{where} must not be empty", "leave the key out to allow everything"
        case "date_type" | "date_from_datetime_parsing" | "date_parsing":
            message, hint = f"{where} is no day", "write it as 2027-01-31"
        case "string_pattern_mismatch":
            message, hint = f"{where} is no sha256", "it has 64 hexadecimal digits"
        case _:
            message, hint = f"{where}: {_complaint(first)}", "see docs/policy.md"
    return ConfigError(f"{source}: {message}{more}", hint=hint)


def _complaint(detail: ErrorDetails) -> str:
    message = detail["msg"].removeprefix("Value error, ")
    return message[:1].lower() + message[1:]


def _spelled(location: tuple[int | str, ...]) -> str:
    """`waivers[2].sha256`, the first waiver being number 1, as people count."""
    said = ""
    for part in location:
        said += f"[{part + 1}]" if isinstance(part, int) else f".{part}"
    return said.removeprefix(".")


def _likely(location: tuple[int | str, ...]) -> str:
    """The key that was meant: one of the same table, or of another."""
    if location == ("tool",):
        return f"[tool.hubaudit] is for {PROJECT_FILE}: here its keys stand at the top, without it"
    wrong = str(location[-1])
    table: type[_Table] | None = _File
    for part in location[:-1]:
        if table is not None and isinstance(part, str):
            table = _inside(table).get(part)
    here = list(_inside(table)) if table is not None else []
    # a dotted key may be written with a hyphen, or without the table that it belongs to
    dotted = {key.replace(".", "-"): key for key in keys() if "." in key}
    close = [dotted.get(key, key) for key in get_close_matches(wrong, [*here, *dotted], n=1)]
    close = close or [key for key in dotted.values() if key.endswith(f".{wrong}")]
    return f"did you mean {close[0]}?" if close else f"keys here: {', '.join(here)}"
