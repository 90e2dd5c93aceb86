"""All that goes over this network namespace's loopback, as whole streams: a raw packet socket, no program needed. It needs the right to
open one (root, CAP_NET_RAW)."""
import socket
import struct
import threading

ETH_P_ALL = 3
PACKET_OUTGOING = 4  # each packet is seen twice on lo, going out and coming in
RECEIVE_BUFFER = 64 << 20
SO_RCVBUFFORCE = 33
SOL_PACKET, PACKET_STATISTICS = 263, 6


def why_not():
    """Why nothing can be captured here, or None."""
    try:
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL)).close()
    except (AttributeError, OSError) as problem:
        return f"no packet socket can be opened here ({problem}): it takes root or CAP_NET_RAW"
    return None


class Capture:
    """`with Capture() as capture: …`; afterwards capture.streams: bytes by (source, destination)."""

    def __enter__(self):
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        for option in (SO_RCVBUFFORCE, socket.SO_RCVBUF):
            try:
                self.socket.setsockopt(socket.SOL_SOCKET, option, RECEIVE_BUFFER)
                break
            except OSError:
                continue
        self.socket.bind(("lo", 0))
        self.socket.settimeout(0.2)
        self.over, self.packets, self.streams, self.dropped = threading.Event(), [], {}, 0
        self.thread = threading.Thread(target=self.receive, daemon=True)
        self.thread.start()
        return self

    def receive(self):
        while True:
            try:
                data, address = self.socket.recvfrom(1 << 17)
            except TimeoutError:
                if self.over.is_set():
                    return
                continue
            if address[2] == PACKET_OUTGOING:
                self.packets.append(data)

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()
        self.dropped = struct.unpack("II", self.socket.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))[1]
        self.socket.close()
        parts = {}
        for packet in self.packets:
            segment = tcp_of(packet)
            if segment and segment[2]:
                flow, sequence, payload = segment
                parts.setdefault(flow, {}).setdefault(sequence, b"")
                parts[flow][sequence] = max(parts[flow][sequence], payload, key=len)
        # In the order of arrival of the first copy, which on the loopback is the order of sending.
        self.streams = {flow: b"".join(segments.values()) for flow, segments in parts.items()}
        self.packets.clear()


def tcp_of(packet):
    """((source, destination), sequence, payload) of an Ethernet frame with TCP in it, or None."""
    kind = struct.unpack_from("!H", packet, 12)[0]
    if kind == 0x0800:
        header = 14 + (packet[14] & 15) * 4
        protocol, source, destination, end = packet[23], packet[26:30], packet[30:34], 14 + struct.unpack_from("!H", packet, 16)[0]
    elif kind == 0x86DD:
        header, protocol, source, destination = 54, packet[20], packet[22:38], packet[38:54]
        end = 54 + struct.unpack_from("!H", packet, 18)[0]
    else:
        return None
    if protocol != 6:
        return None
    source_port, destination_port, sequence = struct.unpack_from("!HHI", packet, header)
    payload = packet[header + (packet[header + 12] >> 4) * 4:max(end, header)] if end > header else b""
    return ((source, source_port), (destination, destination_port)), sequence, payload
