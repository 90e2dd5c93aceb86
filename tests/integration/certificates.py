"""A certificate authority of the tests' own, made with the openssl program: who must be told apart from the federation's."""
import ipaddress
import pathlib
import subprocess


def openssl(*arguments, **options):
    return subprocess.run(["openssl", *arguments], check=True, capture_output=True, text=True, **options)


class Authority:
    """`Authority(directory, "one")`: a CA of that name; `ca.pem` is what others trust."""

    def __init__(self, directory, name="test CA"):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.ca, self.key, self.count = self.directory / "ca.pem", self.directory / "ca.key", 0
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                "-subj", f"/CN={name}", "-keyout", str(self.key), "-out", str(self.ca))

    def issue(self, name, sans=(), path=None):
        """A PEM file with certificate and key of `name`, whose alternative names are `sans` ("127.0.0.1", "dns:127.0.0.1", "host")."""
        self.count += 1
        base = self.directory / f"leaf{self.count}"
        key, request, certificate, extensions = (base.with_suffix(s) for s in (".key", ".csr", ".crt", ".ext"))
        lines = ["extendedKeyUsage = serverAuth, clientAuth"]
        if sans:
            lines.append("subjectAltName = " + ", ".join(map(alternative_name, sans)))
        extensions.write_text("\n".join(lines) + "\n")
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/O=test/CN={name}",
                "-keyout", str(key), "-out", str(request))
        openssl("x509", "-req", "-in", str(request), "-CA", str(self.ca), "-CAkey", str(self.key), "-days", "2",
                "-set_serial", str(1000 + self.count), "-extfile", str(extensions), "-out", str(certificate))
        path = pathlib.Path(path or base.with_suffix(".pem"))
        path.write_text(certificate.read_text() + key.read_text())
        path.chmod(0o600)
        return path


def alternative_name(text):
    if text.startswith("dns:"):
        return f"DNS:{text[4:]}"
    try:
        return f"IP:{ipaddress.ip_address(text)}"
    except ValueError:
        return f"DNS:{text}"
