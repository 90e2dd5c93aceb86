"""The JSON Schema that editors use agrees with the reader: it accepts the examples (and the overlays, but for the keys that they leave
to what they are laid over), and it accepts or refuses the reader's own cases as each of them says in its line "# schema:"."""
import copy
import json
import os
import pathlib
import subprocess

import jsonschema
import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCHEMA = json.loads((ROOT / "config/federation.schema.json").read_text())
CASES = sorted((ROOT / "tests/unit/config/cases").glob("*.yaml"))
EXAMPLES = sorted((ROOT / "config/examples").glob("*.yaml"))
OVERLAYS = sorted((ROOT / "config/examples/overlays").glob("*.yaml"))


class StrictLoader(yaml.SafeLoader):
    """Refuses the same key twice, as editors do."""


def no_twins(loader, node, deep=False):
    keys = [loader.construct_object(key) for key, _ in node.value]
    if len(set(map(str, keys))) != len(keys):
        raise yaml.YAMLError("a key is there twice")
    return {loader.construct_object(key): loader.construct_object(value, deep=True) for key, value in node.value}


StrictLoader.add_constructor("tag:yaml.org,2002:map", no_twins)


def schema_accepts(text, schema=SCHEMA):
    """None when it does, else why not."""
    try:
        document = yaml.load(text, Loader=StrictLoader)
    except (yaml.YAMLError, TypeError) as problem:
        return f"not YAML: {problem}"
    errors = list(jsonschema.Draft7Validator(schema).iter_errors(document))
    return "; ".join(error.message for error in errors) or None


def without_required(schema):
    if isinstance(schema, dict):
        return {key: without_required(value) for key, value in schema.items() if key not in ("required", "else")}
    return [without_required(item) for item in schema] if isinstance(schema, list) else schema


def test_the_schema_is_a_schema():
    jsonschema.Draft7Validator.check_schema(SCHEMA)


def objects_of(schema, path="#"):
    if isinstance(schema, dict):
        if schema.get("type") == "object":
            yield path, schema
        for key, value in schema.items():
            yield from objects_of(value, f"{path}/{key}")
    elif isinstance(schema, list):
        for number, item in enumerate(schema):
            yield from objects_of(item, f"{path}/{number}")


def test_every_object_is_closed_and_every_key_described():
    for path, schema in objects_of(SCHEMA):
        assert "additionalProperties" in schema, path
        for key, value in schema.get("properties", {}).items():
            assert value.get("description"), f"{path}/{key}"


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_examples_are_accepted(path):
    assert schema_accepts(path.read_text()) is None


@pytest.mark.parametrize("path", OVERLAYS, ids=lambda path: path.name)
def test_overlays_are_accepted_but_for_what_they_leave_out(path):
    assert schema_accepts(path.read_text(), without_required(copy.deepcopy(SCHEMA))) is None


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.name)
def test_the_schema_says_of_each_case_what_the_case_says_of_it(path):
    text = path.read_text()
    stated = [line for line in text.splitlines() if line.startswith("# schema: ")]
    assert stated in (["# schema: accepts"], ["# schema: refuses"])
    problem = schema_accepts(text)
    assert ("refuses" if problem else "accepts") == stated[0].split()[-1], problem
    reader_refuses = any(": error: " in line for line in text.splitlines() if line.startswith("#> "))
    assert reader_refuses or not problem, "the schema refuses what the reader takes"


ATOLL = pathlib.Path(os.environ.get("ATOLL_BIN", ROOT / "build/bin")) / "atoll"


@pytest.mark.skipif(not ATOLL.exists(), reason="atoll is not built")
@pytest.mark.parametrize("path", EXAMPLES + CASES, ids=lambda path: path.name)
def test_atoll_validate_says_what_the_case_says(path):
    text = path.read_text()
    expected = [line[3:] for line in text.splitlines() if line.startswith("#> ")]
    done = subprocess.run([ATOLL, "validate", "-f", path], capture_output=True, text=True, timeout=60)
    assert done.returncode == (2 if any(": error: " in line for line in expected) else 0), done.stderr
    for line in expected:
        assert f"{path}:{line}" in done.stdout + done.stderr
