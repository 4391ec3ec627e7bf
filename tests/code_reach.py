"""Which modules a function of the suite needs, followed name by name through their source."""

import ast
from functools import cache
from pathlib import Path

from repository_files import REPOSITORY

Place = tuple[Path, str]  # a module's file and a name in it; "" is the module itself


@cache
def module_file(name: str) -> Path | None:
    """File of a module of the suite, None for any other."""
    path = REPOSITORY.joinpath(*name.split("."))
    found = [path.with_suffix(".py"), path / "__init__.py"]
    return next((file for file in found if file.is_file()), None)


def imported(tree: ast.AST) -> dict[str, Place]:
    """Names that import statements anywhere in `tree` bind to something of the suite."""
    names = {}
    for node in ast.walk(tree):
        if not isinstance(node, ast.ImportFrom) or (node.module or "").split(".")[0] != "ldct":
            continue
        for alias in node.names:
            whole = module_file(f"{node.module}.{alias.name}")
            place = (whole, "") if whole else (module_file(node.module), alias.name)
            names[alias.asname or alias.name] = place
    return names


@cache
def definitions(file: Path) -> tuple[dict[str, list[ast.stmt]], dict[str, Place]]:
    """Statements that define each name of a module, and the names that it imports."""
    found: dict[str, list[ast.stmt]] = {}
    others = []
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.setdefault(node.name, []).append(node)
            continue
        others.append(node)
        for each in ast.walk(node):
            if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store):
                found.setdefault(each.id, []).append(node)
    return found, imported(ast.Module(others, []))


def used(node: ast.AST) -> set[tuple[str, str]]:
    """Names in `node` with the attribute asked of them; annotations compute nothing."""
    found = set()
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return {(node.value.id, node.attr)}
    if isinstance(node, ast.Name):
        return {(node.id, "")}
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                found |= used(child)
    return found


def modules_behind(file: Path, name: str) -> set[Path]:
    """Files of the suite whose code runs when the function `name` of `file` is called."""
    seen: set[Place] = set()
    waiting = [(file, name)]
    while waiting:
        place = waiting.pop()
        if place in seen:
            continue
        seen.add(place)
        found, imports = definitions(place[0])
        if place[1] in imports:
            waiting.append(imports[place[1]])
        for node in found.get(place[1], []):
            known = imports | imported(node)
            for used_name, attribute in used(node):
                if used_name in known:
                    target, part = known[used_name]
                    waiting.append((target, part or attribute))
                elif used_name in found:
                    waiting.append((place[0], used_name))
    return {path for path, _ in seen}
