"""Validation of YAML files against the schemas in workflow/schemas, with messages for people."""

from difflib import get_close_matches
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match

from ldct.errors import InputError
from ldct.files import read_yaml

SCHEMAS = Path(__file__).resolve().parent.parent / "workflow" / "schemas"


def validate(content: Any, schema_name: str, where: str) -> None:
    """Check `content` against `workflow/schemas/<schema_name>.schema.yaml`.

    where : the file (or "configuration") named in the message.
    Raises InputError with one line: where, key, what was found, what is allowed.
    """
    schema = read_yaml(SCHEMAS / f"{schema_name}.schema.yaml")
    error = best_match(Draft202012Validator(schema).iter_errors(content))
    if error is not None:
        raise InputError(f"{where}: {_explain(error)}")


def _explain(error: ValidationError) -> str:
    key = ".".join(str(part) for part in error.absolute_path) or "(top level)"
    if error.validator == "additionalProperties":
        return _explain_unknown_key(error, key)
    if error.validator == "required":
        missing = [name for name in error.validator_value if name not in error.instance]
        return f"key '{key}': missing {', '.join(missing)}"
    expected = error.schema.get("description") or _expectation(error)
    return f"key '{key}': found {error.instance!r}, expected {expected}"


def _explain_unknown_key(error: ValidationError, key: str) -> str:
    allowed = sorted(error.schema.get("properties", {}))
    unknown = sorted(set(error.instance) - set(allowed))[0]
    close = get_close_matches(str(unknown), allowed, n=1)
    hint = f" (did you mean '{close[0]}'?)" if close else ""
    place = "" if key == "(top level)" else f" in '{key}'"
    return f"unknown key '{unknown}'{place}{hint}; allowed: {', '.join(allowed)}"


def _expectation(error: ValidationError) -> str:
    if error.validator == "enum":
        return "one of " + ", ".join(str(value) for value in error.validator_value)
    if error.validator == "type":
        return f"a value of type {error.validator_value}"
    return f"{error.validator} {error.validator_value}"
