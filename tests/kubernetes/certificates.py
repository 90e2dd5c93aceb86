"""A certificate authority for one zone: what kubeadm would have made, by the program openssl."""
import pathlib
import subprocess

from processes import BedError

DAYS = "3650"


def openssl(folder, *arguments):
    done = subprocess.run(["openssl", *map(str, arguments)], cwd=folder, capture_output=True, text=True)
    if done.returncode != 0:
        raise BedError(f"openssl {arguments[0]} failed: {done.stderr.strip()}")


def make_authority(folder, name):
    """ca.crt and ca.key: servers and clients of the zone are signed by it."""
    new_key(folder, "ca")
    openssl(folder, "req", "-x509", "-new", "-key", "ca.key", "-subj", f"/CN={name}", "-days", DAYS, "-out", "ca.crt",
            "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign")


def make_signed(folder, name, subject, extensions):
    """NAME.crt and NAME.key, signed by the zone's authority."""
    new_key(folder, name)
    openssl(folder, "req", "-new", "-key", f"{name}.key", "-subj", subject, "-out", f"{name}.csr")
    (pathlib.Path(folder) / f"{name}.ext").write_text("\n".join(extensions) + "\n")
    openssl(folder, "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", DAYS,
            "-extfile", f"{name}.ext", "-out", f"{name}.crt")


def make_server(folder, name):
    make_signed(folder, name, f"/CN={name}", [
        "basicConstraints=CA:FALSE", "extendedKeyUsage=serverAuth",
        "subjectAltName=IP:127.0.0.1,DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc",
    ])


def make_client(folder, name, user, groups=()):
    """A certificate that the API server takes as this user in these groups."""
    subject = "".join(f"/O={group}" for group in groups) + f"/CN={user}"
    make_signed(folder, name, subject, ["basicConstraints=CA:FALSE", "extendedKeyUsage=clientAuth"])


def new_key(folder, name):
    path = pathlib.Path(folder) / f"{name}.key"
    openssl(folder, "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", path.name)
    path.chmod(0o600)
