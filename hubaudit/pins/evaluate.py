"""What an expression can be: names, constants, f-strings, tables and defaults, followed through a project."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import islice, product
from typing import TypeVar

from hubaudit.pins.calls import called
from hubaudit.pins.imports import Modules
from hubaudit.pins.scopes import (
    Binding,
    Module,
    Scope,
    Where,
    enclosing_class,
    end_of,
    lookup,
    updates,
)
from hubaudit.pins.values import (
    NONE,
    UNKNOWN,
    Alternatives,
    Constant,
    Items,
    Mark,
    Table,
    any_entry,
    element,
    elements,
    entry,
    interpolated,
    joined,
    known_texts,
    merged,
    overlaid,
)

Change = tuple[str, list[Binding], bool]

T = TypeVar("T")

_WORLDS = 256  # choices of elements in nested loops: two lists of 16
_DEPTH = 60  # expressions followed into one another; what people write takes fewer than ten


class Evaluator:
    """Evaluates expressions of one module. What it does not know is unknown, never an error."""

    def __init__(
        self, module: Module, modules: Modules, asked: set[tuple[int, str]] | None = None
    ) -> None:
        """`asked`: the names that other modules are being asked for, since imports go in circles."""
        self._module = module
        self._modules = modules
        self._others: dict[str, Evaluator | None] = {}
        self._asked = set() if asked is None else asked
        self._depth = 0
        self._open: set[int] = set()
        self._known: dict[tuple[int, Where], Alternatives] = {}
        self._loops: dict[int, Alternatives] = {}  # id of what is looped over → its elements
        self._assumed: dict[int, Alternatives] = {}

    def worlds(self, work: Callable[[], T]) -> Iterator[T]:
        """What `work` returns, once for each element of the loops that it asks for.

        So a name and a revision from one element are seen together.
        """
        self._known, self._loops, self._assumed = {}, {}, {}
        whole = work()
        loops = {node: values for node, values in self._loops.items() if len(values) > 1}
        if not loops:
            yield whole
            return
        for chosen in islice(product(*loops.values()), _WORLDS):
            self._assumed = dict(zip(loops, ((value,) for value in chosen), strict=True))
            self._known = {}
            yield work()
        self._known, self._assumed = {}, {}

    def value(self, node: ast.expr, where: Where | None = None) -> Alternatives:
        """The alternatives that `node` can be at its place, or at `where`."""
        where = where or self._module.places.get(id(node))
        if where is None or self._depth >= _DEPTH or id(node) in self._open:
            return UNKNOWN
        known = self._known.get((id(node), where))
        if known is not None:
            return known
        self._depth += 1
        self._open.add(id(node))
        try:
            value = self._value(node, where) or UNKNOWN
            self._known[id(node), where] = value
            return value
        finally:
            self._open.discard(id(node))
            self._depth -= 1

    def origin(self, node: ast.expr, where: Where | None = None) -> str:
        """The dotted name of a callable, from the package that it is imported from.

        It begins with "?" if the name is bound nowhere, with "<local>" if the module defines it and
        with "()" if it belongs to an object.
        """
        where = where or self._module.places.get(id(node))
        match node:
            case ast.Name(name) if where is not None:
                return self._origin_of_name(name, where)
            case ast.Attribute(value, attribute):
                return f"{self.origin(value, where)}.{attribute}"
            case ast.Call(ast.Name("getattr"), [value, ast.Constant(str() as attribute), *_]):
                return f"{self.origin(value, where)}.{attribute}"
        return "()"

    def made(self, node: ast.expr) -> ast.Call | None:
        """The call whose result `node` is a name of, if it is one."""
        where = self._module.places.get(id(node))
        if not isinstance(node, ast.Name) or where is None:
            return None
        bindings = lookup(node.id, where)
        if not bindings or bindings[0].kind != "value" or bindings[0].steps:
            return None
        return bindings[0].node if isinstance(bindings[0].node, ast.Call) else None

    def exported(self, name: str) -> Alternatives:
        """What the module has under `name` when it has run."""
        asked = (id(self._module), name)
        if asked in self._asked:
            return UNKNOWN
        self._asked.add(asked)
        try:
            return self._name(name, end_of(self._module.root))
        finally:
            self._asked.discard(asked)

    def table(self, pairs: Iterable[tuple[str | None, ast.expr]], where: Where) -> Table:
        """The keywords of a call or the items of a dict; a name of None is what `**` is before."""
        entries: list[tuple[str, Alternatives]] = []
        is_open = False
        for name, node in pairs:
            value = self.value(node, where)
            if name is not None:
                entries.append((name, value))
                continue
            spread = overlaid(value)
            entries += spread.entries
            is_open = is_open or spread.is_open
        return Table(tuple(entries), is_open)

    def _value(self, node: ast.expr, where: Where) -> Alternatives:
        match node:
            case ast.Constant(str() | int() | float() | bool() | None as value):
                return (Constant(value),)
            case ast.Name(name):
                return self._name(name, where)
            case ast.JoinedStr(parts):
                return joined(self._part(part, where) for part in parts)
            case ast.BinOp(left, operator, right):
                return self._operation(left, operator, right, where)
            case ast.IfExp(_, body, orelse):
                return merged(self.value(body, where), self.value(orelse, where))
            case ast.BoolOp(operator, values):
                return self._either(operator, values, where)
            case ast.NamedExpr(_, value) | ast.Await(value):
                return self.value(value, where)
            case ast.List(parts) | ast.Tuple(parts) | ast.Set(parts):
                return (Items(tuple(self.value(part, where) for part in parts)),)
            case ast.Dict(keys, values):
                return (self._dict(keys, values, where),)
            case ast.Attribute(base, attribute):
                return self._attribute(base, attribute, where)
            case ast.Subscript(base, index):
                return self._subscript(base, index, where)
            case ast.Call():
                return called(node, where, self)
        return UNKNOWN

    def _part(self, part: ast.expr, where: Where) -> Alternatives:
        if isinstance(part, ast.FormattedValue):
            is_plain = part.conversion in (-1, ord("s")) and part.format_spec is None
            return self.value(part.value, where) if is_plain else UNKNOWN
        return self.value(part, where)

    def _operation(
        self, left: ast.expr, operator: ast.operator, right: ast.expr, where: Where
    ) -> Alternatives:
        one, other = self.value(left, where), self.value(right, where)
        match operator:
            case ast.Add():
                return joined((one, other))
            case ast.Div():  # only paths are divided by texts
                return (Mark.LOCAL,) if Mark.LOCAL in (*one, *other) else UNKNOWN
            case ast.Mod():
                values = [other]
                if len(other) == 1 and isinstance(other[0], Items):
                    values = list(other[0].items)
                texts = [one_.value for one_ in one if isinstance(one_, Constant)]
                return merged(*(interpolated(str(text), values) for text in texts)) or UNKNOWN
            case ast.BitOr() if all(isinstance(value, Table) for value in (*one, *other)):
                tables = [value for value in (*one, *other) if isinstance(value, Table)]
                together = tuple(pair for table in tables for pair in table.entries)
                return (Table(together, any(table.is_open for table in tables)),)
        return UNKNOWN

    def _either(self, operator: ast.boolop, values: list[ast.expr], where: Where) -> Alternatives:
        found = merged(*(self.value(value, where) for value in values))
        if not isinstance(operator, ast.Or):
            return merged(self.value(values[-1], where), NONE)
        last = self.value(values[-1], where)
        # of `a or b` nothing that counts as false is left, but for the last
        return merged((one for one in found if one not in _FALSE), last)

    def _dict(self, keys: list[ast.expr | None], values: list[ast.expr], where: Where) -> Table:
        pairs: list[tuple[str | None, ast.expr]] = []
        is_open = False
        for key, value in zip(keys, values, strict=True):
            names = [None] if key is None else known_texts(self.value(key, where))
            is_open = is_open or not names
            pairs += [(name, value) for name in names]
        table = self.table(pairs, where)
        return replace(table, is_open=table.is_open or is_open)

    def _name(self, name: str, where: Where) -> Alternatives:
        if name == "__file__":
            return (Mark.LOCAL,)
        bindings = lookup(name, where)
        values = merged(*(self._bound(binding) for binding in bindings)) or UNKNOWN
        changed = list(updates(name, where))
        if not changed:
            return values
        return tuple(
            self._updated(value, changed) if isinstance(value, Table) else value for value in values
        )

    def _updated(self, table: Table, changes: list[Change]) -> Table:
        entries, is_open = list(table.entries), table.is_open
        for key, bindings, is_certain in changes:
            name = key[1:-1] if key.startswith("[") else key[1:]
            value = merged(*(self._bound(binding) for binding in bindings))
            if name == "*":
                spread = overlaid(value)
                entries += spread.entries
                is_open = is_open or spread.is_open
                continue
            before = table.get(name) or (UNKNOWN if table.is_open else NONE)
            entries.append((name, value if is_certain else merged(value, before)))
        return Table(tuple(entries), is_open)

    def _bound(self, binding: Binding) -> Alternatives:
        node, place = binding.node, binding.place
        match binding.kind:
            case "parameter":
                return self._parameter(binding)
            case "import":
                return self._imported(binding.module)
            case "class" if isinstance(node, ast.ClassDef):
                return (self._fields(self._module.classes[id(node)]),)
            case "value" | "element" if isinstance(node, ast.expr):
                value = self.value(node, place)
                if binding.kind == "element":
                    value = self._assumed.get(id(node)) or elements(value)
                    self._loops.setdefault(id(node), value)
                for step in binding.steps:
                    value = element(value, step)
                return value
        return UNKNOWN

    def _imported(self, dotted: str) -> Alternatives:
        """What another module of the project has under the last part of the name."""
        module, _, name = dotted.rpartition(".")
        if not module:
            return UNKNOWN
        if module not in self._others:
            found = self._modules.find(module)
            self._others[module] = Evaluator(*found, self._asked) if found else None
        other = self._others[module]
        return UNKNOWN if other is None else other.exported(name)

    def _parameter(self, binding: Binding) -> Alternatives:
        if not isinstance(binding.node, ast.expr):
            return UNKNOWN
        outer = binding.place.scope.parent
        return merged(self.value(binding.node, outer), UNKNOWN)

    def _fields(self, scope: Scope) -> Table:
        """What a class, and an object of it, has by the class's own statements."""
        entries = []
        for name, bindings in scope.bindings.items():
            values = [self._bound(one) for one in bindings[-1:] if one.kind == "value"]
            entries += [(name, value) for value in values]
        for name, bindings in scope.own.items():
            before = [value for key, value in entries if key == name]
            values = [self._bound(one) for one in bindings]
            entries.append((name, _without_placeholder(merged(*before, *values))))
        return Table(tuple(entries), is_open=True)

    def _attribute(self, base: ast.expr, attribute: str, where: Where) -> Alternatives:
        if isinstance(base, ast.Name):
            if base.id in ("self", "cls") and (owner := enclosing_class(where)) is not None:
                set_here = lookup(f"{base.id}.{attribute}", where)
                if set_here and set_here[0].place.scope is where.scope:
                    return merged(*(self._bound(one) for one in set_here))
                return entry((self._fields(owner),), attribute)
            if bound := lookup(f"{base.id}.{attribute}", where):
                return merged(*(self._bound(one) for one in bound))
        origin = self.origin(base, where)
        if not origin.startswith(("?", "<", "()")):
            known = self._imported(f"{origin}.{attribute}")
            if known != UNKNOWN:
                return known
        values = self.value(base, where)
        if Mark.LOCAL in values:
            return (Mark.LOCAL,)
        if attribute == "value" and all(isinstance(value, Constant) for value in values):
            return values  # of an enum's member
        if Mark.ARGUMENTS in values or self._may_be_arguments(base, where):
            return self._argument_default(attribute)
        return entry(values, attribute)

    def _may_be_arguments(self, base: ast.expr, where: Where) -> bool:
        """Whether a function's parameter has the name that people give to what argparse returns."""
        if not isinstance(base, ast.Name) or base.id not in ("args", "opt", "opts", "options"):
            return False
        return all(one.kind == "parameter" and one.node is None for one in lookup(base.id, where))

    def _argument_default(self, name: str) -> Alternatives:
        defaults = self._module.arguments.get(name, [])
        values = (self.value(node, where) for node, where in defaults)
        return merged(*values, UNKNOWN)

    def _subscript(self, base: ast.expr, index: ast.expr, where: Where) -> Alternatives:
        if ast.unparse(base) == "os.environ":
            return UNKNOWN
        values = self.value(base, where)
        if isinstance(index, ast.Slice):
            return self._slice(values, index, where)
        found: list[Alternatives] = []
        for key in self.value(index, where):
            match key:
                case Constant(str() as name):
                    found.append(entry(values, name))
                case Constant(int() as number):
                    found.append(element(values, number))
                case _:
                    found.append(any_entry(values))
        return merged(*found)

    def _slice(self, values: Alternatives, cut: ast.Slice, where: Where) -> Alternatives:
        """A part of a text, as of a hash; the parts of lists are unknown."""
        ends = [NONE if end is None else self.value(end, where) for end in (cut.lower, cut.upper)]
        if cut.step is not None or any(len(end) > 1 for end in ends):
            return UNKNOWN
        match ends[0][0], ends[1][0]:
            case Constant(int() | None as lower), Constant(int() | None as upper):
                texts = [one.value for one in values if isinstance(one, Constant)]
                known = [Constant(one[lower:upper]) for one in texts if isinstance(one, str)]
                return merged(known, UNKNOWN if len(known) < len(values) else ())
        return UNKNOWN

    def _origin_of_name(self, name: str, where: Where) -> str:
        bindings = lookup(name, where)
        if not bindings:
            return f"?.{name}"
        binding = bindings[0]
        match binding.kind:
            case "import":
                return binding.module
            case "function":
                return f"<local>.{name}"
            case "class":
                return f"<class>.{name}"
            case "value" if isinstance(binding.node, ast.Name | ast.Attribute):
                if id(binding.node) in self._open or binding.steps:
                    return "()"
                self._open.add(id(binding.node))
                try:
                    return self.origin(binding.node, binding.place)
                finally:
                    self._open.discard(id(binding.node))
        return "()"


_FALSE = (Constant(None), Constant(""), Constant(False), Constant(0))


def _without_placeholder(values: Alternatives) -> Alternatives:
    """`x = None` in a class is no value where a method sets one."""
    rest = tuple(value for value in values if value != Constant(None))
    return rest or values
