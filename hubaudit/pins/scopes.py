"""The names of a module: what each is bound to, where, and which of it can reach a place."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

# One step a compound statement on the way down: which, and which of its blocks.
Path = tuple[tuple[int, str], ...]
Kind = Literal["value", "element", "unpacked", "parameter", "import", "class", "function", "opaque"]

_END = 1 << 62  # behind every statement


@dataclass(frozen=True, slots=True)
class Where:
    """A place in the code: its scope, the blocks around it there, and the statement's number."""

    scope: Scope
    path: Path
    index: float


@dataclass(frozen=True, slots=True)
class Binding:
    """One way that a name gets a value. `place` is where its expression is evaluated."""

    kind: Kind
    node: ast.AST | None
    place: Where
    module: str = ""  # of an import: the dotted name that it stands for
    steps: tuple[int, ...] = ()  # of an unpacked one: the indexes that lead to it


@dataclass(eq=False)
class Scope:
    """The bindings of a module, class, function or comprehension, in the order of the code.

    Names with a dot or a bracket stand for attributes and entries: `cfg.model`, `kwargs[revision]`.
    """

    kind: Literal["module", "class", "function", "comprehension"]
    node: ast.AST
    parent: Where | None
    bindings: dict[str, list[Binding]] = field(default_factory=dict)
    own: dict[str, list[Binding]] = field(default_factory=dict)  # of a class: self.NAME = …
    shared: set[str] = field(default_factory=set)  # global names


@dataclass(frozen=True, slots=True)
class Module:
    """A module, taken apart: where each expression stands, and the defaults that argparse gives."""

    root: Scope
    places: dict[int, Where]  # id of a node → its place
    calls: tuple[ast.Call, ...]
    texts: tuple[ast.expr, ...]  # texts and f-strings that are no documentation
    classes: dict[int, Scope]  # id of a class statement → its scope
    arguments: dict[str, list[tuple[ast.expr, Where]]]


def read_module(tree: ast.Module) -> Module:
    """Raises RecursionError for code that is nested too deep."""
    builder = _Builder(tree)
    builder.block(tree.body, Where(builder.root, (), 0))
    return Module(
        builder.root,
        builder.places,
        tuple(builder.calls),
        tuple(builder.texts),
        builder.classes,
        builder.arguments,
    )


def end_of(scope: Scope) -> Where:
    """The place behind all of its statements."""
    return Where(scope, (), _END)


def lookup(name: str, where: Where) -> list[Binding]:
    """The bindings of `name` that can reach `where`, the latest first; none if it is not bound."""
    for place in _outwards(where):
        known = place.scope.bindings.get(name)
        if known:
            return _reaching(known, place) or list(known)
    return []


def updates(name: str, where: Where) -> Iterator[tuple[str, list[Binding], bool]]:
    """Attributes and entries that were set on `name` before `where`: `.model`, `[revision]`, `[*]`.

    With each, how it was set, and whether it certainly was.
    """
    for place in _outwards(where):
        if name not in place.scope.bindings:
            continue
        for key, bindings in place.scope.bindings.items():
            if key.startswith((f"{name}.", f"{name}[")):
                reaching = _reaching(bindings, place)
                if reaching:
                    yield key[len(name) :], reaching, _is_on_the_way(reaching[-1], place)
        return


def _outwards(where: Where) -> Iterator[Where]:
    """The place in each scope that is visible from `where`, from the innermost outwards.

    A function runs when what is around it has run to its end, and does not see a class around it.
    """
    place: Where | None = where
    is_late = False
    may_see_class = True
    while place is not None:
        scope = place.scope
        if scope.kind != "class" or may_see_class:
            yield Where(scope, (), _END) if is_late else place
        is_late = is_late or scope.kind == "function"
        may_see_class = may_see_class and scope.kind == "comprehension"
        place = scope.parent


def enclosing_class(where: Where) -> Scope | None:
    """The class in one of whose methods `where` is."""
    scope: Scope | None = where.scope
    while scope is not None and scope.kind != "class":
        scope = scope.parent.scope if scope.parent else None
    return scope


def _reaching(bindings: Sequence[Binding], where: Where) -> list[Binding]:
    found = []
    for binding in reversed(bindings):
        if binding.place.index >= where.index or _exclude(binding.place.path, where.path):
            continue
        found.append(binding)
        if _is_on_the_way(binding, where):
            break  # what was before is gone
    return found


def _is_on_the_way(binding: Binding, where: Where) -> bool:
    """Whether there is no way to `where` but through the binding."""
    return where.path[: len(binding.place.path)] == binding.place.path


def _exclude(one: Path, other: Path) -> bool:
    """Whether the places are in different branches of one `if` or `match`."""
    for (node, block), (node_of_other, block_of_other) in zip(one, other, strict=False):
        if node != node_of_other:
            return False
        if block != block_of_other:
            return block.startswith("either") and block_of_other.startswith("either")
    return False


class _Builder:
    def __init__(self, tree: ast.Module) -> None:
        self.root = Scope("module", tree, None)
        self.places: dict[int, Where] = {}
        self.calls: list[ast.Call] = []
        self.texts: list[ast.expr] = []
        self.classes: dict[int, Scope] = {}
        self.arguments: dict[str, list[tuple[ast.expr, Where]]] = {}
        self._index = 0

    def block(self, statements: Iterable[ast.stmt], within: Where) -> None:
        for statement in statements:
            self._index += 1
            self._statement(statement, Where(within.scope, within.path, self._index))

    def _statement(self, node: ast.stmt, here: Where) -> None:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                self._function(node, here)
            case ast.ClassDef():
                self._class(node, here)
            case ast.Expr(ast.Constant()):
                pass  # a docstring
            case ast.Global(names):
                here.scope.shared.update(names)
            case ast.Import() | ast.ImportFrom():
                self._import(node, here)
            case _:
                self._other(node, here)

    def _other(self, node: ast.stmt, here: Where) -> None:
        for child in _own_expressions(node):
            self._expression(child, here)
        match node:
            case ast.Assign(targets, value):
                for target in targets:
                    self._bind(target, "value", value, here)
            case ast.AnnAssign(target, _, value) if value is not None:
                self._bind(target, "value", value, here)
            case ast.AugAssign(target, operator, value):
                whole = ast.BinOp(_loaded(target), operator, value)
                self._bind(target, "value", whole, here)
            case ast.For(target, iterable) | ast.AsyncFor(target, iterable):
                self._bind(target, "element", iterable, here)
            case ast.With(items) | ast.AsyncWith(items):
                self._with(items, here)
            case ast.Expr(ast.Call(ast.Attribute(ast.Name(name), "update"), args, keywords)):
                self._update(name, args, keywords, here)
        for statements, path in _blocks(node, here.path):
            self.block(statements, Where(here.scope, path, here.index))

    def _with(self, items: Iterable[ast.withitem], here: Where) -> None:
        for item in items:
            if item.optional_vars is not None:
                self._bind(item.optional_vars, "value", item.context_expr, here)

    def _update(
        self, name: str, args: list[ast.expr], keywords: list[ast.keyword], here: Where
    ) -> None:
        """`name.update(…)` sets entries, if `name` is a dict."""
        given: list[tuple[str | None, ast.expr]] = [(one.arg, one.value) for one in keywords]
        for argument in args:
            if isinstance(argument, ast.Dict):
                given += [
                    (_text(key), value)
                    for key, value in zip(argument.keys, argument.values, strict=True)
                ]
            else:
                given.append((None, argument))
        for key, value in given:
            self._add(f"{name}[{'*' if key is None else key}]", Binding("value", value, here), here)

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef, here: Where) -> None:
        for decorator in node.decorator_list:
            self._expression(decorator, here)
        self._add(node.name, Binding("function", node, here), here)
        inside = self._parameters(node, node.args, here)
        self.block(node.body, inside)

    def _parameters(self, node: ast.AST, args: ast.arguments, here: Where) -> Where:
        """The place inside of the function, its parameters bound."""
        inside = Where(Scope("function", node, here), (), self._index)
        positional = [*args.posonlyargs, *args.args]
        defaults: list[ast.expr | None] = [None] * (len(positional) - len(args.defaults))
        defaults += args.defaults
        pairs = [*zip(positional, defaults, strict=True)]
        pairs += zip(args.kwonlyargs, args.kw_defaults, strict=True)
        pairs += [(extra, None) for extra in (args.vararg, args.kwarg) if extra is not None]
        for parameter, default in pairs:
            if default is not None:
                self._expression(default, here)
            bound = Binding("parameter", default, Where(here.scope, here.path, here.index))
            inside.scope.bindings[parameter.arg] = [_at(bound, inside)]
        return inside

    def _class(self, node: ast.ClassDef, here: Where) -> None:
        for child in (*node.decorator_list, *node.bases, *(one.value for one in node.keywords)):
            self._expression(child, here)
        self._add(node.name, Binding("class", node, here), here)
        scope = Scope("class", node, here)
        self.classes[id(node)] = scope
        self.block(node.body, Where(scope, (), self._index))

    def _import(self, node: ast.Import | ast.ImportFrom, here: Where) -> None:
        for alias in node.names:
            if isinstance(node, ast.ImportFrom):
                module = "." * node.level + (node.module or "")
                name, origin = alias.asname or alias.name, f"{module}.{alias.name}"
            else:
                name = alias.asname or alias.name.partition(".")[0]
                origin = alias.name if alias.asname else name
            if name != "*":
                self._add(name, Binding("import", None, here, module=origin), here)

    def _bind(
        self,
        target: ast.expr,
        kind: Kind,
        value: ast.expr,
        here: Where,
        steps: tuple[int, ...] = (),
    ) -> None:
        match target:
            case ast.Tuple(parts) | ast.List(parts):
                for index, part in enumerate(parts):
                    self._bind(part, kind, value, here, (*steps, index))
            case ast.Starred(inner):
                self._bind(inner, "opaque", value, here)
            case _:
                name = _target_name(target)
                if name is not None:
                    self._add(name, Binding(kind, value, here, steps=steps), here)
                if name is not None and name.startswith("self."):
                    owner = enclosing_class(here)
                    if owner is not None:
                        bound = Binding(kind, value, here, steps=steps)
                        owner.own.setdefault(name.removeprefix("self."), []).append(bound)

    def _add(self, name: str, binding: Binding, here: Where) -> None:
        scope = here.scope
        if name in scope.shared:
            away = Where(self.root, ((id(scope), "elsewhere"),), binding.place.index)
            self.root.bindings.setdefault(name, []).append(_at(binding, away))
            return
        scope.bindings.setdefault(name, []).append(binding)

    def _expression(self, node: ast.expr, here: Where) -> None:
        self.places[id(node)] = here
        match node:
            case ast.Lambda(args, body):
                self._expression(body, self._parameters(node, args, here))
                return
            case ast.ListComp() | ast.SetComp() | ast.GeneratorExp() | ast.DictComp():
                self._comprehension(node, here)
                return
            case ast.NamedExpr(ast.Name() as target, value):
                # half a statement earlier, since the rest of this one sees it
                self._bind(target, "value", value, Where(here.scope, here.path, here.index - 0.5))
            case ast.Call():
                self.calls.append(node)
                self._argument(node, here)
            case ast.JoinedStr():
                self.texts.append(node)
                for part in node.values:
                    if isinstance(part, ast.FormattedValue):
                        self._expression(part.value, here)
                return
            case ast.Constant(str()):
                self.texts.append(node)
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):
                self._expression(child, here)
            elif isinstance(child, ast.keyword):
                self._expression(child.value, here)

    def _comprehension(
        self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp, here: Where
    ) -> None:
        scope = Scope("comprehension", node, here)
        inside = Where(scope, (), _END)
        for generator in node.generators:
            self._expression(generator.iter, inside)
            self._bind(generator.target, "element", generator.iter, Where(scope, (), 0))
            for condition in generator.ifs:
                self._expression(condition, inside)
        parts = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
        for part in parts:
            if part is not None:
                self._expression(part, inside)

    def _argument(self, call: ast.Call, here: Where) -> None:
        """What `add_argument` of argparse, or click's `option`, gives where the user gives nothing."""
        if not isinstance(call.func, ast.Attribute) or call.func.attr != "add_argument":
            return
        given = {one.arg: one.value for one in call.keywords}
        flags = [text for text in map(_text, call.args) if text]
        destination = _text(given.get("dest")) or next(
            (flag for flag in flags if flag.startswith("--")), flags[0] if flags else ""
        )
        name = destination.lstrip("-").replace("-", "_")
        if name:
            default = given.get("default", ast.Constant(None))
            self.arguments.setdefault(name, []).append((default, here))


def _at(binding: Binding, place: Where) -> Binding:
    """The binding as one of `place`. Only its order and blocks there matter from then on."""
    return Binding(binding.kind, binding.node, place, binding.module, binding.steps)


def _own_expressions(node: ast.stmt) -> Iterator[ast.expr]:
    """Those of the statement itself, not of the statements in it."""
    for child in ast.iter_child_nodes(node):
        match child:
            case ast.expr():
                yield child
            case ast.withitem():
                yield child.context_expr
            case ast.match_case():
                if child.guard is not None:
                    yield child.guard


def _blocks(node: ast.stmt, path: Path) -> Iterator[tuple[list[ast.stmt], Path]]:
    """The statements in a compound one. What a `with` holds runs as what is around it does."""
    step: Callable[[str], Path] = lambda block: (*path, (id(node), block))  # noqa: E731
    match node:
        case ast.If(_, body, orelse):
            yield body, step("either 0")
            yield orelse, step("either 1")
        case ast.With(_, body) | ast.AsyncWith(_, body):
            yield body, path
        case ast.For() | ast.AsyncFor() | ast.While():
            yield node.body, step("loop")
            yield node.orelse, step("after")
        case ast.Try() | ast.TryStar():
            yield node.body, step("try")
            for handler in node.handlers:
                yield handler.body, step("except")
            yield node.orelse, step("else")
            yield node.finalbody, path
        case ast.Match(_, cases):
            for index, case in enumerate(cases):
                yield case.body, step(f"either {index}")


def _target_name(target: ast.expr) -> str | None:
    match target:
        case ast.Name(name):
            return name
        case ast.Attribute(ast.Name(name), attribute):
            return f"{name}.{attribute}"
        case ast.Subscript(ast.Name(name), index):
            key = _text(index)
            return f"{name}[{'*' if key is None else key}]"
    return None


def _loaded(target: ast.expr) -> ast.expr:
    match target:
        case ast.Name(name):
            return ast.Name(name, ast.Load())
        case ast.Attribute(value, attribute):
            return ast.Attribute(value, attribute, ast.Load())
    return target


def _text(node: ast.AST | None) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None
