"""Mutants of a module: its syntax tree with one small fault each.

Faults are those that a person makes at a boundary: `<` for `<=`, `and` for `or`, a condition turned round, a number off
by one, a check left out, nothing returned. Texts are left alone, as are annotations, docstrings, decorators, assertions
and what an error says: no test should hang on those.
"""

import ast
import copy
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

_COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
_OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
_SKIPPED = (ast.Raise, ast.Assert, ast.JoinedStr)  # their insides; that a raise is left out is a mutant of its own


@dataclass(frozen=True)
class Mutant:
    """One fault.

    Attributes:
        name: `function: before -> after`, with a number where a function has the same twice; stable when other parts of
            the module change.
        line, last: of the module, from the first line of the statement or expression to the last of it or of its
            condition. function: qualified name of the outermost function around it; "" where the line runs at import.
        make: the tree of the whole module, with the fault; made when it is asked for, since a module has hundreds.
    """

    name: str
    line: int
    last: int
    function: str
    make: Callable[[], ast.Module] = field(compare=False)

    @property
    def tree(self) -> ast.Module:
        """Of the whole module, with the fault."""
        return self.make()

    @property
    def lines(self) -> range:
        """Whoever runs one of them may notice the fault."""
        return range(self.line, self.last + 1)


def mutants(source: str) -> list[Mutant]:
    """All of them, in the order of the source."""
    tree = ast.parse(source)
    found: list[Mutant] = []
    seen: Counter[str] = Counter()
    for where, function, node in _visited(tree, "", ""):
        for after, change in _faults(node):
            name = f"{where or 'module'}: {_short(node)} -> {after}"
            seen[name] += 1
            if seen[name] > 1:
                name += f" #{seen[name]}"
            last = node.test.end_lineno if isinstance(node, ast.If | ast.While) else node.end_lineno
            found.append(
                Mutant(name, node.lineno, last or node.lineno, function, partial(_changed, tree, node, change))
            )
    return found


def _visited(node: ast.AST, where: str, function: str) -> Iterator[tuple[str, str, ast.stmt | ast.expr]]:
    """(qualified name, outermost function, node) of all nodes that may hold a fault."""
    for child in _children(node):
        if isinstance(child, ast.FunctionDef | ast.ClassDef):
            inside = f"{where}.{child.name}" if where else child.name
            yield from _visited(child, inside, function or (inside if isinstance(child, ast.FunctionDef) else ""))
            continue
        if isinstance(child, ast.stmt | ast.expr):
            yield where, function, child
        if isinstance(child, ast.arguments) and function == where:
            yield from _visited(child, where, "")  # defaults are set at import
        elif not isinstance(child, _SKIPPED):
            yield from _visited(child, where, function)


def _children(node: ast.AST) -> Iterator[ast.AST]:
    """Of a node: not its annotations, decorators, bases, nor texts that stand alone."""
    left_out = {
        "annotation",
        "returns",
        "decorator_list",
        "bases",
        "keywords" if isinstance(node, ast.ClassDef) else "",
    }
    for name, value in ast.iter_fields(node):
        if name in left_out:
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant):
                continue
            if isinstance(child, ast.AST):
                yield child


Change = Callable[[ast.AST], ast.AST]


def _faults(node: ast.stmt | ast.expr) -> Iterator[tuple[str, Change]]:
    """What becomes of the node, as text and as a function of a copy of it."""
    if isinstance(node, ast.Compare):
        for k, operator in enumerate(node.ops):
            yield _told(node, lambda n, k=k, operator=operator: _set(n.ops, k, _COMPARISONS[type(operator)](), n))
    elif isinstance(node, ast.BoolOp):
        yield _told(node, lambda n: _put(n, op=ast.And() if isinstance(n.op, ast.Or) else ast.Or()))
    elif isinstance(node, ast.BinOp | ast.AugAssign) and type(node.op) in _OPERATORS:
        yield _told(node, lambda n: _put(n, op=_OPERATORS[type(n.op)]()))
    elif isinstance(node, ast.UnaryOp):
        yield _told(node, lambda n: n.operand)
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool | int | float):
        other = (not node.value) if isinstance(node.value, bool) else node.value + 1
        yield _told(node, lambda n: ast.Constant(other))
    elif isinstance(node, ast.If | ast.IfExp | ast.While):
        told, change = _told(node.test, lambda n: ast.UnaryOp(ast.Not(), n))
        yield f"if {told}", lambda n: _put(n, test=change(n.test))
    elif isinstance(node, ast.Return) and node.value is not None and ast.unparse(node.value) != "None":
        yield "return None", lambda n: _put(n, value=ast.Constant(None))
    elif isinstance(node, ast.Raise):
        yield "pass", lambda n: ast.Pass()
    elif isinstance(node, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
        for k, generator in enumerate(node.generators):
            if generator.ifs:
                yield f"without its condition {k}", lambda n, k=k: (n.generators[k].ifs.clear(), n)[1]


def _told(node: ast.AST, change: Change) -> tuple[str, Change]:
    return _short(change(copy.deepcopy(node))), change


def _set(places: list[ast.cmpop], k: int, value: ast.cmpop, node: ast.AST) -> ast.AST:
    places[k] = value
    return node


def _put(node: ast.AST, **fields: object) -> ast.AST:
    for name, value in fields.items():
        setattr(node, name, value)
    return node


def _short(node: ast.AST) -> str:
    """The node on one line; of a statement with a body its head."""
    return " ".join(ast.unparse(node).split("\n")[0].split())


def _changed(tree: ast.Module, node: ast.AST, change: Change) -> ast.Module:
    """A copy of the tree in which `change` was applied to the copy of `node`."""
    nodes = {id(original): position for position, original in enumerate(ast.walk(tree))}
    whole = copy.deepcopy(tree)
    target = list(ast.walk(whole))[nodes[id(node)]]

    class Replace(ast.NodeTransformer):
        def visit(self, one: ast.AST) -> ast.AST:
            if one is target:
                return ast.copy_location(change(one), one)
            return super().generic_visit(one)

    changed: ast.Module = Replace().visit(whole)
    return ast.fix_missing_locations(changed)
