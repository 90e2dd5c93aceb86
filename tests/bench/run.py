#!/usr/bin/python3
"""Runs all measurements, prints each beside its yardstick, and collects them: `run.py BIN_DIR OUTPUT.json`.

OUTPUT.json is a list of {name, value, unit, yardstick, yardstickValue, ratio, aim, met}.
"""
import json
import pathlib
import sys

import figures


def show(result):
    line = f"{result['name']}: {result['value']} {result['unit']}"
    line += f" | {result['yardstick']}: {result['yardstickValue']} | ratio {result['ratio']}"
    if result["aim"]:
        line += f" | aim {result['aim']}: {'met' if result['met'] else 'MISSED'}"
    print(line, flush=True)


def main(bin_dir, output):
    results = []
    for result in figures.measure(bin_dir):
        show(result)
        results.append(result)
    pathlib.Path(output).write_text(json.dumps(results, indent=2) + "\n")
    print(f"written to {output}")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: run.py BIN_DIR OUTPUT.json")
    main(*sys.argv[1:])
