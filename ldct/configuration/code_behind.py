"""Files whose code runs behind a verb: followed name by name in the source, nothing imported."""

import ast
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from ldct.common.files import write_text

PACKAGE = Path(__file__).parents[1]
SUITE = PACKAGE.name
# Their code carries, checks and reports; it computes no number, and its changes make nothing anew.
LEFT_OUT = (
    "ldct.cli",
    "ldct.configuration.code_behind",
    "ldct.common.arguments",
    "ldct.devices.arguments",
    "ldct.common.downloads",
    "ldct.devices.slots",
    "ldct.common.errors",
    "ldct.common.files",
    "ldct.common.held_files",
    "ldct.common.inputs",
    "ldct.common.progress",
    "ldct.common.provenance",
    "ldct.common.schema",
)
# Reading all files takes a second: what was found is kept there, if the folder exists.
KEPT = Path(".snakemake/code_behind.json")
ON_IMPORT, WHOLE, VERB = "", "*", "verb "

# [module, name in it, attribute asked of that name]
Reference = list[str]
# Names of one module to what their definitions refer to; ON_IMPORT: what importing it runs.
Names = dict[str, list[Reference]]


@cache
def code_behind(verb: str, *given: str | Path, without: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Files whose code runs when the verb runs, sorted, as paths from the working directory.

    given : Python files, or folders of them, that the verb loads by path: listed too, with what
        they need of the suite.
    without : functions that this use of the verb does not call.
    Modules of `LEFT_OUT` are not listed. Raises KeyError where no module registers the verb,
    or where `without` names what would not be called.
    """
    suite = {name: entry["names"] for name, entry in _suite().items()}
    homes = [module for module, names in suite.items() if VERB + verb in names]
    if not homes:
        raise KeyError(f"no module of {SUITE} registers the verb '{verb}'")
    loaded = {str(file): _names_of_given(file) for file in _files(given)}
    start = [(homes[0], VERB + verb), *((file, WHOLE) for file in loaded)]
    reached = _reached(start, suite | loaded, without)
    return tuple(sorted(name if name in loaded else _file_of(name) for name in reached))


def _files(given: Iterable[str | Path]) -> list[Path]:
    """Given files, those of given folders, and what they import from beside them, each once."""
    waiting, found = [], {}
    for path in map(Path, given):
        waiting += sorted(path.glob("*.py")) if path.is_dir() else [path]
    while waiting:
        path = waiting.pop(0)
        if path not in found:
            found[path] = None
            waiting += _beside(path)
    return list(found)


def _beside(file: Path) -> Iterator[Path]:
    """Files that the relative imports anywhere in a Python file name."""
    try:
        nodes = list(ast.walk(ast.parse(file.read_text(encoding="utf-8"))))
    except (OSError, SyntaxError, ValueError):
        return
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and node.level:
            folder = Path(file.parent, *(node.level - 1) * [".."])
            parts = (node.module or "").split(".") if node.module else []
            names = [[*parts[:end]] for end in range(1, len(parts) + 1)]
            names += [[*parts, alias.name] for alias in node.names]
            for name in names:
                target = folder.joinpath(*name)
                either = target.with_name(f"{target.name}.py"), target / "__init__.py"
                yield from (path for path in either if path.is_file())


def _names_of_given(file: Path) -> Names:
    try:
        return _names(str(file), file.read_text(encoding="utf-8"))
    except (OSError, SyntaxError, ValueError):
        return {}  # The verb says what is wrong with the file when it loads it.


def _file_of(module: str) -> str:
    path = PACKAGE.parent.joinpath(*module.split("."))
    return os.path.relpath(path / "__init__.py" if path.is_dir() else path.with_suffix(".py"))


def _reached(
    start: list[tuple[str, str]], modules: dict[str, Names], without: tuple[str, ...]
) -> set[str]:
    """Modules of all names that `start`, (module, name) each, refers to in any number of steps."""
    waiting, seen, cut = start, set(), set()
    while waiting:
        place = waiting.pop()
        module, name = place
        if name in without:
            cut.add(name)
        elif place not in seen and module in modules and module not in LEFT_OUT:
            seen.add(place)
            names = modules[module]
            waiting.append((module, ON_IMPORT))
            if name == WHOLE:
                waiting += [(module, each) for each in names if not each.startswith(VERB)]
            waiting += [_place(reference, modules) for reference in names.get(name, [])]
    if unknown := set(without) - cut:
        raise KeyError(f"without: {', '.join(sorted(unknown))} is not called anyway")
    return {module for module, _ in seen}


def _place(reference: Reference, modules: dict[str, Names]) -> tuple[str, str]:
    module, name, attribute = reference
    submodule = f"{module}.{name}"
    return (submodule, attribute or WHOLE) if submodule in modules else (module, name)


@cache
def _suite() -> dict[str, Any]:
    """Every module of the package: its file's `stamp` (time, size) and its `names`."""
    kept, found = _kept(), {}
    for file in sorted(PACKAGE.rglob("*.py")):
        parts = file.relative_to(PACKAGE.parent).with_suffix("").parts
        module = ".".join(parts).removesuffix(".__init__")
        status = file.stat()
        stamp = [status.st_mtime_ns, status.st_size]
        if module in kept and kept[module]["stamp"] == stamp:
            found[module] = kept[module]
        else:
            names = _names(module, file.read_text(encoding="utf-8"))
            found[module] = {"stamp": stamp, "names": names}
    if found != kept and KEPT.parent.is_dir():
        with suppress(OSError):  # A folder that cannot be written costs a second at every start.
            write_text(KEPT, json.dumps(found))
    return found


def _kept() -> dict[str, Any]:
    """What an earlier call found, nothing where this module has changed since."""
    try:
        kept = json.loads(KEPT.read_text(encoding="utf-8"))
        status = Path(__file__).stat()
        same = kept[__name__]["stamp"] == [status.st_mtime_ns, status.st_size]
    except (OSError, ValueError, LookupError, TypeError):
        return {}
    return kept if same else {}


def _names(module: str, text: str) -> Names:
    """What each name of a module refers to: names of that module, and imported ones.

    A statement that binds no name runs on import, and so does a decorator of the module's own: it
    may keep what it decorates in a table.
    """
    body = ast.parse(text).body
    bound: dict[str, list[ast.AST]] = {ON_IMPORT: []}
    for node in body:
        for name in _bound(node) or [ON_IMPORT]:
            bound.setdefault(name, []).append(node)
    outside = [node for node in body if not isinstance(node, ast.FunctionDef | ast.ClassDef)]
    imports = _imported(outside)
    names: Names = {name: [*references] for name, references in imports.items()}
    for name, nodes in bound.items():
        for node in nodes:
            known = imports | _imported([node])
            names.setdefault(name, []).extend(_references(node, module, known, bound))
    for node in body:
        for decorator in getattr(node, "decorator_list", []):
            if _references(decorator, module, imports, bound):
                names[ON_IMPORT].append([module, node.name, ""])
    return names | _verbs(body, module, imports, bound) | _face(body)


def _face(body: list[ast.stmt]) -> Names:
    """Names that the package itself offers: its mapping FACE of a module to the names in it."""
    for node in body:
        match node:
            case ast.Assign(targets=[ast.Name("FACE")], value=mapping):
                offered = ast.literal_eval(mapping).items()
                return {
                    name: [[f"{SUITE}.{module}", name, ""]]
                    for module, names in offered
                    for name in names
                }
    return {}


def _bound(node: ast.AST) -> list[str]:
    """Names that a statement of a module binds, those of imports left out."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return [node.name]
    inner = list(ast.walk(node))
    stored = [each for each in inner if isinstance(each, ast.Name)]
    defined = [each.name for each in inner if isinstance(each, ast.FunctionDef | ast.ClassDef)]
    return defined + [each.id for each in stored if isinstance(each.ctx, ast.Store)]


def _imported(nodes: Iterable[ast.AST]) -> dict[str, list[Reference]]:
    """Names that `from ldct.module import name`, or `import ldct`, anywhere in `nodes` binds."""
    found: dict[str, list[Reference]] = {}
    for node in nodes:
        for each in ast.walk(node):
            if isinstance(each, ast.Import):
                own = (alias for alias in each.names if alias.name == SUITE)
                found |= {alias.asname or SUITE: [[SUITE, "", ""]] for alias in own}
            if isinstance(each, ast.ImportFrom) and (each.module or "").split(".")[0] == SUITE:
                for alias in each.names:
                    found[alias.asname or alias.name] = [[each.module, alias.name, ""]]
    return found


def _references(
    node: ast.AST, module: str, imports: dict[str, list[Reference]], bound: Iterable[str]
) -> list[Reference]:
    found: list[Reference] = []
    for name, attribute in sorted(_used(node)):
        if name in imports:
            # Of the package itself the attribute is the name asked for.
            found += [[source, part or attribute, attribute] for source, part, _ in imports[name]]
        elif name in bound:
            found.append([module, name, ""])
    return found


def _used(node: ast.AST) -> set[tuple[str, str]]:
    """Names in `node` with the attribute asked of them; annotations compute nothing."""
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return {(node.value.id, node.attr)}
    if isinstance(node, ast.Name):
        return {(node.id, "")}
    found = set()
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                found |= _used(child)
    return found


def _verbs(
    body: list[ast.stmt], module: str, imports: dict[str, list[Reference]], bound: Iterable[str]
) -> Names:
    """Verbs of `register`: x = verbs.add_parser("name"), then x.set_defaults(run=function)."""
    registers = [node for node in body if getattr(node, "name", "") == "register"]
    parsers: dict[str, str] = {}
    found: Names = {}
    for node in (each for function in registers for each in ast.walk(function)):
        match node:
            case ast.Assign(
                targets=[ast.Name(parser)],
                value=ast.Call(ast.Attribute(attr="add_parser"), [ast.Constant(verb), *_]),
            ):
                parsers[parser] = verb
            case ast.Expr(ast.Call(ast.Attribute(ast.Name(parser), "set_defaults")) as call):
                found[f"{VERB}{parsers.get(parser)}"] = _references(call, module, imports, bound)
    return found
