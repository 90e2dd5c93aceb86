"""The agent's Kubernetes client as a program (tests/doubles/kube-probe), driven from a test."""
import json
import queue
import subprocess
import threading
import time


def is_wanted(line, event, wanted):
    return (event is None or line["event"] == event) and all(line.get(key) == content for key, content in wanted.items())


class Probe:
    """Lines in, lines out. `end()` must leave neither a handle nor (with AddressSanitizer) a byte behind."""

    def __init__(self, program, *words, env=None):
        self.process = subprocess.Popen([str(program), *map(str, words)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        text=True, env=env)
        self.lines, self.seen, self.passed, self.complaints = queue.Queue(), [], [], []
        self.readers = [threading.Thread(target=self.read, daemon=True), threading.Thread(target=self.read_complaints, daemon=True)]
        for reader in self.readers:
            reader.start()

    def read(self):
        for line in self.process.stdout:
            self.lines.put(json.loads(line))
        self.lines.put(None)

    def read_complaints(self):
        self.complaints.extend(self.process.stderr)

    def do(self, **command):
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()

    def next(self, event=None, timeout=60, **wanted):
        """The first line of this kind that was not taken yet. What comes before it can still be taken; all is in `seen`."""
        deadline = time.monotonic() + timeout
        for line in self.passed:
            if is_wanted(line, event, wanted):
                self.passed.remove(line)
                return line
        while True:
            try:
                line = self.lines.get(timeout=max(0.01, deadline - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"no {event} {wanted} within {timeout} s; seen: {self.seen[-20:]}") from None
            if line is None:
                raise AssertionError(f"the probe ended: {''.join(self.complaints)}; seen: {self.seen[-20:]}")
            self.seen.append(line)
            if is_wanted(line, event, wanted):
                return line
            self.passed.append(line)

    def ask(self, method, path, **more):
        self.do(do="request", method=method, path=path, **more)
        return self.next("answer")

    def apply(self, path, thing, **more):
        self.do(do="apply", path=path, object=thing, **more)
        return self.next("answer")

    def memory(self):
        self.do(do="memory")
        return self.next("memory")

    def end(self):
        """Idempotent."""
        if not self.process.stdin.closed:
            self.process.stdin.close()
        try:
            status = self.process.wait(timeout=60)
        finally:
            self.process.kill()
            self.process.wait()
            for reader in self.readers:
                reader.join()
        assert status == 0, f"the probe ended with {status}: {''.join(self.complaints)}"
