"""An API server that behaves as badly as a test asks: it answers refusals, hangs, cuts connections, sends objects that are too
large. TLS with certificates of its own making. What was asked of it is kept in `asked`."""
import base64
import contextlib
import http.server
import json
import pathlib
import socket
import ssl
import subprocess
import threading
import time


class Asked:
    """One request as it came."""

    def __init__(self, handler, body):
        self.method, self.path, self.headers, self.body, self.at = handler.command, handler.path, handler.headers, body, time.monotonic()
        certificate = handler.connection.getpeercert() if isinstance(handler.connection, ssl.SSLSocket) else None
        self.subject = dict(pair[0] for pair in certificate["subject"]) if certificate else {}


class FakeServer:
    """`answers[path without query]` is a list of functions (handler, asked) that answer one request each; the last one stays."""

    def __init__(self, folder, names="IP:127.0.0.1"):
        self.folder, self.answers, self.asked = pathlib.Path(folder), {}, []
        self.closing = threading.Event()
        make_authority(self.folder)
        make_certificate(self.folder, "server", names)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / "server.crt", self.folder / "server.key")
        context.load_verify_locations(self.folder / "ca.crt")
        context.verify_mode = ssl.CERT_OPTIONAL
        self.context = context
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 30

            def setup(self):
                self.request.settimeout(10)
                self.request = context.wrap_socket(self.request, server_side=True)
                super().setup()

            def answer(self):
                outer.answer(self)

            do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = answer

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                pass  # clients that hang up, or refuse our certificate, are what is tested

        self.server = Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self.thread.start()

    @property
    def url(self):
        return f"https://127.0.0.1:{self.port}"

    def answer(self, handler):
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        asked = Asked(handler, body)
        self.asked.append(asked)
        waiting = self.answers.get(handler.path.partition("?")[0]) or [refuse(404, "NotFound")]
        then = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        with contextlib.suppress(OSError):
            then(handler, asked)

    def asked_for(self, path):
        return [asked for asked in list(self.asked) if asked.path.partition("?")[0] == path]

    def close(self):
        self.closing.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def kubeconfig(self, user=None, name="kubeconfig", **cluster):
        """Writes one; its path."""
        cluster.setdefault("certificate-authority-data", base64.b64encode((self.folder / "ca.crt").read_bytes()).decode())
        config = {
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            "clusters": [{"name": "c", "cluster": {"server": self.url, **cluster}}],
            "users": [{"name": "u", "user": user or {"token": "right"}}],
        }
        path = self.folder / name
        path.write_text(json.dumps(config))
        return path


# ---- certificates ----


def openssl(folder, *words):
    subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)


def make_authority(folder, name="ca"):
    openssl(folder, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", f"{name}.key", "-out",
            f"{name}.crt", "-subj", f"/CN={name}", "-days", "30", "-addext", "basicConstraints=critical,CA:TRUE")


def make_certificate(folder, name, names=None, authority="ca", days="30"):
    openssl(folder, "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.csr",
            "-subj", f"/CN={name}")
    (folder / f"{name}.ext").write_text(f"subjectAltName={names}\n" if names else "basicConstraints=CA:FALSE\n")
    openssl(folder, "x509", "-req", "-in", f"{name}.csr", "-CA", f"{authority}.crt", "-CAkey", f"{authority}.key", "-CAcreateserial", "-days", days,
            "-extfile", f"{name}.ext", "-out", f"{name}.crt")


# ---- answers ----


def say(handler, status, value, headers=()):
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    handler.send_response(status)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", str(len(text)))
    for name, content in headers:
        handler.send_header(name, content)
    handler.end_headers()
    handler.wfile.write(text)


def value(thing, status=200):
    return lambda handler, _asked: say(handler, status, thing)


def status_of(code, reason, message="words"):
    return {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": message}


def refuse(code, reason, **headers):
    named = [(name.replace("_", "-"), content) for name, content in headers.items()]
    return lambda handler, _asked: say(handler, code, status_of(code, reason), named)


def hang_up(handler, _asked):
    handler.connection.shutdown(socket.SHUT_RDWR)
    handler.close_connection = True


def sleep_for(server, seconds, then):
    def answer(handler, asked):
        server.closing.wait(seconds)
        then(handler, asked)

    return answer


def pod(name, version="1", filling=0):
    return {"kind": "Pod", "metadata": {"name": name, "resourceVersion": version, "annotations": {"filling": "x" * filling}}}


def pods(*items, version="10", more=None):
    return {"kind": "PodList", "apiVersion": "v1", "metadata": {"resourceVersion": version, **({"continue": more} if more else {})}, "items": list(items)}


def event(kind, thing):
    return (json.dumps({"type": kind, "object": thing}) + "\n").encode()


class Stream:
    """An answer in chunks, which the test sends one by one."""

    def __init__(self, handler):
        self.handler = handler
        handler.send_response(200)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        handler.wfile.flush()

    def send(self, data):
        self.handler.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.handler.wfile.flush()

    def end(self):
        self.handler.wfile.write(b"0\r\n\r\n")

    def cut(self):
        hang_up(self.handler, None)


def watch(server, *pieces, end="hold"):
    """Sends the pieces; then holds the stream until the server closes, ends it ("end") or cuts it ("cut")."""

    def answer(handler, _asked):
        stream = Stream(handler)
        for piece in pieces:
            stream.send(piece)
        if end == "hold":
            server.closing.wait()
        elif end == "end":
            stream.end()
        else:
            stream.cut()

    return answer


def list_or_watch(lists, watches):
    """Lists and watches have the same path; each of the two has its own list of answers, of which the last stays."""

    def answer(handler, asked):
        waiting = watches if "watch=true" in asked.path else lists
        (waiting.pop(0) if len(waiting) > 1 else waiting[0])(handler, asked)

    return [answer]
