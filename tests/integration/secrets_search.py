"""What is secret in a sandbox, in which forms it could show, and where it is looked for."""
import base64
import os
import pathlib
import re

import psutil

ROOT = pathlib.Path(__file__).resolve().parents[2]
PEM_KEY = re.compile(rb"-----BEGIN ((?:EC |RSA |ENCRYPTED )?PRIVATE KEY)-----\s+(.*?)-----END \1-----", re.S)
TOKEN = re.compile(rb"\b(?:atoll[_-]|atj1\.)[0-9A-Za-z_.-]{32,}")
SHORTEST = 12  # bytes of a secret; what is shorter is found everywhere


def forms_of(secret):
    """The secret as it stands, in base64 (wherever in a text it begins) and in hexadecimal; and of what is base64 itself, what it means."""
    forms = {secret, secret.hex().encode(), secret.hex().upper().encode()}
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + secret)
        forms.add(encoded[(0, 2, 3)[shift]:-4])  # without the characters that neighbours have a part in
    compact = re.sub(rb"\s", b"", secret)
    if re.fullmatch(rb"[A-Za-z0-9+/]+={0,2}", compact) and len(compact) % 4 == 0:
        forms |= {compact, base64.b64decode(compact)}
    return {form for form in forms if len(form) >= SHORTEST}


def private_numbers(der):
    """The number that is secret in an EC key's DER, whichever container it is in: OCTET STRING of 32 or 48 bytes after INTEGER 1."""
    return {found.group(1) for length in (32, 48) for found in re.finditer(rb"\x02\x01\x01\x04" + bytes([length]) + rb"(.{%d})" % length, der, re.S)}


def secrets_in(path, data):
    """{what: bytes} of the secrets that a file holds by its form or name."""
    found = {}
    for number, match in enumerate(PEM_KEY.finditer(data)):
        der = base64.b64decode(match.group(2), validate=False)
        found[f"{path} key {number}"] = re.sub(rb"\s", b"", match.group(2))
        for secret in private_numbers(der):
            found[f"{path} number {number}"] = secret
    for match in TOKEN.finditer(data):
        found[f"{path} token {match.start()}"] = match.group()
    if path.suffix == ".key" or "passphrase" in path.name or "password" in path.name:
        found[f"{path} content"] = data.strip()
    for number, match in enumerate(re.finditer(rb"^- (\S+)$", data, re.M) if path.suffix == ".key" else ()):
        found[f"{path} key {number} of a list"] = match.group(1)
    return {what: secret for what, secret in found.items() if len(secret) >= SHORTEST}


def files_below(directory):
    """(path, bytes) of what is there and can be read; a running sandbox may take files away meanwhile."""
    for path in sorted(directory.rglob("*")):
        try:
            if path.is_file() and not path.is_symlink():
                yield path, path.read_bytes()
        except OSError:
            continue


def named_files():
    """The patterns in the table of docs/security.md, "Files that hold secrets"."""
    document = ROOT / "docs/security.md"
    text = document.read_text() if document.exists() else ""
    section = re.search(r"^## Files that hold secrets$(.*?)(?=^## |\Z)", text, re.S | re.M)
    return re.findall(r"^\| `([^`]+)`", section.group(1), re.M) if section else []


def is_named(path, directory):
    relative = path.relative_to(directory)
    return any(relative.match(pattern) for pattern in named_files())


def processes_text(processes):
    """Arguments and environment of processes, as others on the machine could see them."""
    for process in processes:
        for name in ("cmdline", "environ"):
            try:
                yield f"/proc/{process.pid}/{name} of {process.name()}", pathlib.Path(f"/proc/{process.pid}/{name}").read_bytes()
            except (OSError, psutil.Error):
                continue


def all_processes():
    return [psutil.Process(int(name)) for name in os.listdir("/proc") if name.isdigit() and int(name) != os.getpid() and psutil.pid_exists(int(name))]


def leaks(secrets, places):
    """["what in where", …]; `places` gives (where, bytes)."""
    found = []
    forms = [(what, form) for what, secret in secrets.items() for form in forms_of(secret)]
    for where, data in places:
        whole = re.sub(rb"\s|\\[nr]", b"", data)  # keys and keyfiles are broken into lines, in JSON too
        found += sorted({f"{what} in {where}" for what, form in forms if form in data or form in whole})
    return found
