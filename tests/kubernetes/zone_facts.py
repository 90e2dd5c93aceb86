"""What is fixed about one emulated zone: names, and addresses as they would be if it were a network of its own."""
import dataclasses
import ipaddress
import pathlib
import socket

# Addresses of a zone's subnet 127.0.S.0/24, by the last byte.
GUARD = 1                  # bound by the zone itself: who holds it has the subnet
GUARD_PORT = 27099
SERVICES = range(10, 100)  # handed out to Services that name no address
RESERVED = range(100, 150) # reserved by the Compute API double, then named by Services
PODS = range(150, 250)     # where members really listen; their official IPs are PODS_NETWORK's
SUBNETS = range(101, 200)


@dataclasses.dataclass
class ZoneFacts:
    name: str
    folder: pathlib.Path       # of this zone; its neighbours' are beside it
    mongod: str
    project: str = "atoll-test"
    compute: str = ""          # URL of the Compute API double; "": disks and addresses are not asked for anywhere
    node_count: int = 3
    subnet: int = 0            # the S above
    guard: socket.socket = None

    @property
    def region(self):
        return self.name.rpartition("-")[0] or self.name

    @property
    def pod_range(self):
        return f"10.{self.subnet}.0.0/17"

    @property
    def node_range(self):
        return f"10.{self.subnet}.128.0/24"

    @property
    def egress(self):
        """Where this zone's connections seem to come from elsewhere: an address of the range for documentation."""
        return f"203.0.113.{self.subnet}/32"

    def loopback(self, last):
        return f"127.0.{self.subnet}.{last}"

    def owns(self, address):
        return ipaddress.ip_address(address) in ipaddress.ip_network(f"127.0.{self.subnet}.0/24")

    def pod_ip(self, last):
        return f"10.{self.subnet}.0.{last}"

    def idle_pod_ip(self, number):
        """For pods that run nothing: as many as anybody wants."""
        return f"10.{self.subnet}.{1 + number // 250 % 120}.{1 + number % 250}"

    def node_name(self, number):
        return f"gke-{self.name}-{number}"

    def node_ip(self, number):
        return f"10.{self.subnet}.128.{number}"

    def disk_handle(self, disk):
        return f"projects/{self.project}/zones/{self.name}/disks/{disk}"

    def take_subnet(self, wanted=0):
        """The first subnet that nobody else's zone on this machine has; kept until this program ends."""
        for subnet in [wanted] if wanted else SUBNETS:
            guard = socket.socket()
            try:
                guard.bind((f"127.0.{subnet}.{GUARD}", GUARD_PORT))
                self.subnet, self.guard = subnet, guard
                return
            except OSError:
                guard.close()
        raise OSError(f"no subnet of 127.0.0.0/16 is free (guarded by port {GUARD_PORT})")


def can_listen(address, port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
            return True
        except OSError:
            return False
