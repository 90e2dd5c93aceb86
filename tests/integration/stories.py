"""Runs a .story (tests/stories/README.md) on a real sandbox: its commands, and the lines of its narration that are marked with a
star, which the controller's events must tell in their order."""
import pathlib
import re
import shutil

import sandboxes
import whole

STORIES = pathlib.Path(__file__).resolve().parents[1] / "stories"
TOLD_WITHIN_SECS = 90
SETTINGS = "settings: {electionTimeoutMillis: 1000, heartbeatIntervalMillis: 200, heartbeatTimeoutSecs: 2}"


class Step:
    def __init__(self, number, command):
        self.number, self.command, self.told = number, command, []


class Story:
    def __init__(self, path):
        self.path, self.settings, self.steps = path, {}, []
        for number, line in enumerate(path.read_text().splitlines(), 1):
            setting = re.fullmatch(r"([a-z-]+): *(.*)", line)
            if not line.strip() or line.startswith("#"):
                continue
            if line.startswith(" "):
                if line.strip().startswith("* "):
                    self.steps[-1].told.append(line.strip()[2:])
            elif setting and not self.steps:
                self.settings[setting[1]] = setting[2]
            else:
                self.steps.append(Step(number, line))

    @property
    def runs_on_sandbox(self):
        return self.settings.get("runs-on") == "sandbox"


def pattern_of(line):
    """A told line as (what its message must be, its row): addresses are what the sandbox hands out, and through which phases a set
    goes in between is a matter of moments."""
    row = re.search(r" \(row (\d+)\)$", line)
    text = line[: row.start()] if row else line
    parts = re.split(r"address \d+[a-z]+", text)
    pattern = r"127\.\d+\.\d+\.\d+:\d+".join(map(re.escape, parts))
    if text.startswith("Set mongo is "):
        pattern = re.sub(r"it\\ was\\ .*", r"it was .*", pattern)
    return re.compile(pattern), int(row[1]) if row else None


class Teller:
    def __init__(self, story, new_sandbox):
        self.story = story
        count = int(story.settings.get("zones", 3))
        self.zones = [f"z{i + 1}" for i in range(count)]
        self.members = {i + 1: {"zone": self.zones[i % count], "absent": False} for i in range(int(story.settings.get("members", 3)))}
        self.sandbox = new_sandbox(spec=self.spec())
        self.mark = self.cursor = 0  # ids of events: the last before the latest command, the last that was a told line

    def spec(self):
        lines = ["apiVersion: atoll/v1", "kind: Federation", "metadata: {name: story}", "spec:", "  zones:"]
        lines += [f"    - {{name: {zone}, driver: local}}" for zone in self.zones]
        lines += ["  sets:", "    - name: mongo", "      image: mongo:7.0", f"      {SETTINGS}", "      members:"]
        for ordinal, member in sorted(self.members.items()):
            absent = ", state: absent" if member["absent"] else ""
            lines.append(f"        - {{ordinal: {ordinal}, zone: {member['zone']}{absent}}}")
        return "\n".join(lines) + "\n"

    # ---- who is meant ----

    def member(self, name):
        status = self.sandbox.status()
        found = whole.primary_of(status) if name == "primary" else whole.member_in(status, f"mongo-{name}")
        assert found, f"there is no {name}"
        return found

    def events(self, after):
        """Also those that are of no set: zones, the spec."""
        told = self.sandbox.get("/v1/events?limit=1000", url=self.sandbox.control_url)["events"]
        return [event for event in told if event["id"] > after]

    # ---- commands ----

    def start(self):
        if not self.sandbox.was_up:
            self.sandbox.up()

    def kill(self, who):
        whole.kill(whole.controller(self.sandbox) if who == "controller" else whole.mongod(self.sandbox, self.member(who)))

    def move_address(self, who):
        self.sandbox.fault(self.member(who)["name"], "move-address")

    def cut(self, zone):
        self.sandbox.fault(zone, "cut")

    def heal(self, zone):
        self.sandbox.fault(zone, "heal")

    def empty_disk(self, who):
        """As if the filesystem had been made anew; the agent sees it when it is done."""
        member = self.member(who)
        data = self.sandbox.dir / "zones" / member["zone"] / "disks" / member["disk"]["name"] / "data"
        with whole.stopped(whole.agent(self.sandbox, member["zone"])):
            whole.kill(whole.mongod(self.sandbox, member))
            for path in data.iterdir():
                shutil.rmtree(path) if path.is_dir() else path.unlink()

    def edit(self):
        self.sandbox.spec_file.write_text(self.spec())
        self.sandbox.atoll("apply", "-f", self.sandbox.spec_file)

    def add(self, who, _in, zone):
        self.members[int(who.removeprefix("node"))] = {"zone": zone, "absent": False}
        self.edit()

    def remove(self, who):
        self.members[int(who.removeprefix("node"))]["absent"] = True
        self.edit()

    def want(self, who):
        self.members[int(who.removeprefix("node"))]["absent"] = False
        self.edit()

    # ---- what must come true ----

    def wait(self, *what):
        until = lambda is_so, said: sandboxes.wait_until(is_so, TOLD_WITHIN_SECS * self.sandbox.slowness, said)
        if what == ("healthy",):
            whole.healthy(self.sandbox)
        elif what[0] == "phase":
            until(lambda: whole.the_set(self.sandbox.status())["phase"] == what[1] or
                  any(f"Set mongo is {what[1]};" in event["message"] for event in self.events(self.mark)), f"phase {what[1]}")
        elif what[0] == "row":
            row = int(what[1])
            until(lambda: any(wait["rule"] == row for wait in whole.waits_of(self.sandbox.status())) or
                  any(event.get("rule") == row for event in self.events(self.mark)), f"row {row}")
        else:
            until(lambda: self.member(what[0])["state"] == what[1], " ".join(what))

    def expect(self, *what):
        if what[0] == "healthy":
            assert whole.the_set(self.sandbox.status())["phase"] == "Healthy"
        elif what[0] == "births":
            assert whole.initiations(self.sandbox) == int(what[1])
        elif what[:2] == ("never", "row"):
            assert not [event for event in self.events(0) if event.get("rule") == int(what[2])]
        elif what[1] in ("id", "votes"):
            assert self.member(what[0])[what[1]] == int(what[2])
        else:
            assert self.member(what[0])["state"] == what[1]

    # ---- the narration ----

    def hear(self, line):
        """Waits until it is told, after what was told before."""
        text, row = pattern_of(line)

        def told():
            found = [event for event in self.events(self.cursor)
                     if text.fullmatch(event["message"]) and (row is None or event.get("rule") == row)]
            return found[0]["id"] if found else None

        self.cursor = sandboxes.wait_until(told, TOLD_WITHIN_SECS * self.sandbox.slowness, f"to be told: {line}")

    def tell(self):
        commands = {name.replace("_", "-"): getattr(self, name) for name in (
            "start", "kill", "move_address", "cut", "heal", "empty_disk", "add", "remove", "want", "wait", "expect")}
        if self.story.settings.get("begins") == "healthy":
            self.start()
            whole.healthy(self.sandbox)
        for step in self.story.steps:
            name, *words = step.command.split()
            assert name in commands, f"{self.story.path.name}:{step.number}: {name} can't be done to a sandbox: leave runs-on away"
            if name not in ("wait", "expect"):
                told = self.events(0) if self.sandbox.was_up else []
                self.mark = self.cursor = told[-1]["id"] if told else 0
            else:
                for line in step.told:
                    self.hear(line)
            try:
                commands[name](*words)
            except AssertionError as problem:
                raise AssertionError(f"{self.story.path.name}:{step.number}: {step.command}: {problem}") from problem
            if name not in ("wait", "expect"):
                for line in step.told:
                    self.hear(line)
