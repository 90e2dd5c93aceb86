#!/usr/bin/python3
"""Builds and runs the measurements, prints them and collects them: `run.py BUILD_DIR OUTPUT.json`."""
import json
import os
import pathlib
import platform
import subprocess
import sys


def main(build, output):
    subprocess.run(["cmake", "--build", build, "--target", "bench_all"], check=True, stdout=subprocess.DEVNULL)
    results = []
    for program in sorted(pathlib.Path(build, "bench").glob("bench_*")):
        done = subprocess.run([program], check=True, capture_output=True, text=True)
        for line in done.stdout.splitlines():
            result = {"program": program.name} | json.loads(line)
            results.append(result)
            print("  ".join(f"{key}: {value}" for key, value in result.items()))
    machine = {"cpus": os.cpu_count(), "machine": platform.machine(), "system": platform.release()}
    pathlib.Path(output).write_text(json.dumps({"machine": machine, "results": results}, indent=2) + "\n")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: run.py BUILD_DIR OUTPUT.json")
    main(*sys.argv[1:])
