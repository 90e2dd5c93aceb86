"""What the lint scripts share: which files there are, findings, and how they are told."""
import os
import sys
import xml.etree.ElementTree as xml

FOLDERS = ("controller", "zone-agent", "proto", "config", "deploy", "tests", "docs", ".ci")
GENERATED = set()  # headers that the build makes


def files(root, endings):
    """Paths from the root, sorted; without what is built, cached or recorded."""
    found = []
    for folder in FOLDERS:
        for directory, directories, names in os.walk(root / folder):
            directories[:] = [name for name in directories if name not in ("__pycache__", "build", "corpus", "recordings")]
            found += [os.path.relpath(os.path.join(directory, name), root) for name in names if name.endswith(tuple(endings))]
    return sorted(found)


class Findings:
    def __init__(self, name):
        self.name, self.errors, self.warnings = name, [], []

    def error(self, path, line, what):
        self.errors.append(f"{path}:{line}: error: {what}" if line else f"{path}: error: {what}")

    def warn(self, path, line, what):
        self.warnings.append(f"{path}:{line}: warning: {what}" if line else f"{path}: warning: {what}")


def finish(all_findings, junit):
    """Prints all, writes a JUnit file when asked for; the exit code."""
    suite = xml.Element("testsuite", name="lint")
    for findings in all_findings:
        for sentence in findings.warnings + findings.errors:
            print(sentence)
        verdict = f"{len(findings.errors)} errors" if findings.errors else "ok"
        print(f"lint: {findings.name}: {verdict}" + (f", {len(findings.warnings)} warnings" if findings.warnings else ""))
        case = xml.SubElement(suite, "testcase", name=findings.name, classname="lint")
        if findings.errors:
            xml.SubElement(case, "failure", message=f"{len(findings.errors)} errors").text = "\n".join(findings.errors)
    if junit:
        xml.ElementTree(suite).write(junit)
    sys.stdout.flush()
    return 1 if any(findings.errors for findings in all_findings) else 0
