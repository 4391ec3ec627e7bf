"""Validation of YAML files against the schemas in workflow/schemas, with messages for people."""

import json
import math
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ldct.common.errors import InputError
from ldct.common.files import MOST_VALUES, REPOSITORY, expanded_size, read_yaml

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError

TYPES = {
    "object": "a mapping (keys with values)",
    "array": "a list",
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "null",
}
RULES = {
    "minimum": "at least {}",
    "maximum": "at most {}",
    "exclusiveMinimum": "above {}",
    "exclusiveMaximum": "below {}",
    "multipleOf": "a multiple of {}",
    "minItems": "at least {} of them",
    "maxItems": "at most {} of them",
    "uniqueItems": "each once",
    "const": "{}",
}

SCHEMAS = REPOSITORY / "workflow/schemas"


def validate(content: Any, schema_name: str, where: str) -> None:
    """Check `content` against `workflow/schemas/<schema_name>.schema.yaml`.

    where : the file (or "configuration") named in the message.
    Raises InputError with one line: where, key, what was found, what is allowed.
    """
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import best_match
    from referencing import Registry, Resource

    check_values(content, where)
    schema = read_yaml(SCHEMAS / f"{schema_name}.schema.yaml")
    others = Registry(retrieve=lambda name: Resource.from_contents(read_yaml(SCHEMAS / name)))
    errors = list(Draft202012Validator(schema, registry=others).iter_errors(content))
    # A key with a typo is missing under its right name, too: the typo is what helps.
    unknown = [each for each in _with_context(errors) if each.validator == "additionalProperties"]
    error = best_match(unknown or errors)
    if error is not None:
        raise InputError(f"{where}: {_explain(error)}")


def check_values(content: Any, where: str) -> None:
    """Raise InputError for a number that is not finite, or aliases that never end.

    Both pass any bounds of a schema, or grow without them.
    """
    if expanded_size(content) > MOST_VALUES:
        raise InputError(f"{where}: its aliases (*) stand for too many values; write them out")
    inside: list[tuple[str, Any]] = [("", content)]
    while inside:
        key, value = inside.pop()
        if isinstance(value, float) and not math.isfinite(value):
            raise InputError(f"{where}: key '{key}': found {value}, expected a finite number")
        if isinstance(value, (dict, list)):
            pairs = value.items() if isinstance(value, dict) else enumerate(value)
            inside += [(f"{key}.{name}".lstrip("."), each) for name, each in pairs]


def read_valid(path: str | Path, schema_name: str, what: str = "", like: str = "") -> Any:
    """Content of a YAML file, checked against a schema as by `validate`.

    what : named before the path in messages. like : the example that a message on a missing file
        names; without it a missing file is an OSError.
    """
    where = f"{what} {path}".lstrip()
    if like and not Path(path).exists():
        raise InputError(f"{where}: not found; give {like}")
    content = read_yaml(path)
    validate(content, schema_name, where)
    return content


def _with_context(errors: "Iterable[ValidationError]") -> "Iterator[ValidationError]":
    """The errors, and those of each alternative that an `anyOf` among them had."""
    for error in errors:
        yield error
        yield from _with_context(error.context)


def _explain(error: "ValidationError") -> str:
    key = ".".join(str(part) for part in error.absolute_path) or "(top level)"
    if error.validator == "additionalProperties":
        return _explain_unknown_key(error, key)
    if error.validator == "required":
        missing = [name for name in error.validator_value if name not in error.instance]
        return f"key '{key}': missing {', '.join(missing)}"
    expected = _description(error) or expectation(error.validator, error.validator_value)
    return f"key '{key}': found {_as_yaml(error.instance)}, expected {expected}"


def _description(error: "ValidationError") -> str | None:
    """What the schema says of the key: of one alternative of an `anyOf`, or of all of them."""
    found, parent = error.schema.get("description"), error.parent
    if found is None and parent is not None and parent.absolute_path == error.absolute_path:
        return _description(parent)
    return found


def _explain_unknown_key(error: "ValidationError", key: str) -> str:
    allowed = sorted(error.schema.get("properties", {}))
    unknown = next(name for name in error.instance if name not in allowed)
    place = "" if key == "(top level)" else f" in '{key}'"
    if remedy := error.schema.get("gone", {}).get(unknown):
        return f"key '{unknown}'{place} is gone: {remedy}"
    close = get_close_matches(str(unknown).lower(), allowed, n=1, cutoff=0.7)
    hint = f" (did you mean '{close[0]}'?)" if close else ""
    return f"unknown key '{unknown}'{place}{hint}; allowed: {', '.join(allowed)}"


def expectation(rule: str, value: Any) -> str:
    """What a rule without a description asks for, in words."""
    if rule == "enum":
        return "one of " + ", ".join(map(_plain, value))
    if rule == "type":
        names = [value] if isinstance(value, str) else value
        return " or ".join(TYPES[name] for name in names)
    return RULES[rule].format(_plain(value)) if rule in RULES else f"{rule} {_plain(value)}"


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else _as_yaml(value)


def _as_yaml(value: Any) -> str:
    """A value as it can stand in a YAML file, on one line; texts in quotes."""
    if isinstance(value, str):
        return repr(value)
    return json.dumps(value, ensure_ascii=False, default=str)
