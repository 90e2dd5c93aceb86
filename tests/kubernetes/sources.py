"""Where a connection would come from if the zones were real networks: on the loopback interface everybody dials from
127.0.0.1, so the process that dials is looked up, and what it is says its address."""
import json
import os
import pathlib
import re

import processes


class Sources:
    """`zones_folder` holds a folder per zone, each with zone.json; `pod_ip(pid)` gives the IP of a pod of this zone."""

    def __init__(self, zones_folder, zone, pod_ip):
        self.zones_folder, self.zone, self.pod_ip = pathlib.Path(zones_folder), zone, pod_ip
        self.named = re.compile(re.escape(str(self.zones_folder)) + r"/([\w.-]+)/")

    def of(self, peer, own):
        """The source address (text) of the connection from `peer` to `own`, both (address, port):
        a member of this zone: its pod's IP; a member of another zone: that zone's egress address; all others (controller,
        agents, clients): the address they dial from, as it is (127.0.0.1 unless they bound another)."""
        pid = self.dialling(peer, own)
        if pid is None:
            return peer[0]
        zone = self.zone_of(pid)
        if zone == self.zone:
            return self.pod_ip(pid) or peer[0]
        return self.egress_of(zone) or peer[0]

    def dialling(self, peer, own):
        """The process below our folder that holds the socket."""
        inode = inode_of(peer, own)
        if not inode:
            return None
        wanted = f"socket:[{inode}]"
        for pid in processes.of_directory(self.zones_folder):
            try:
                for entry in os.scandir(f"/proc/{pid}/fd"):
                    if os.readlink(entry.path) == wanted:
                        return pid
            except OSError:
                continue  # a process or a socket that has just gone
        return None

    def zone_of(self, pid):
        """Members name their disk's folder; whoever names none of a zone (its kubeconfig is no member's) is no member."""
        try:
            line = pathlib.Path(f"/proc/{pid}/cmdline").read_text().split("\0")
        except OSError:
            return None
        for word in line:
            found = self.named.search(word)
            if found and "/disks/" in word:
                return found.group(1)
        return None

    def egress_of(self, zone):
        try:
            return json.loads((self.zones_folder / zone / "zone.json").read_text())["egress"].split("/")[0]
        except (OSError, ValueError, KeyError, TypeError):
            return None


def inode_of(peer, own):
    """The inode of the client's end, from the kernel's tables of TCP sockets."""
    for table, width in (("/proc/net/tcp", 8), ("/proc/net/tcp6", 32)):
        local, remote = hex_of(peer, width), hex_of(own, width)
        with open(table) as lines:
            for line in lines:
                words = line.split()
                if words[1] == local and words[2] == remote:
                    return int(words[9])
    return 0


def hex_of(address, width):
    """As in /proc/net/tcp: bytes of the IP in host order (little endian), in tcp6 behind the prefix of mapped addresses."""
    ip = "".join(f"{int(part):02X}" for part in reversed(address[0].split(".")))
    prefix = "" if width == 8 else "0000000000000000FFFF0000"
    return f"{prefix}{ip}:{address[1]:04X}"
