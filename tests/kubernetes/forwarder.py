"""TCP forwarders that can be cut, refused and slowed down: what load balancers and networks do to people. All listeners
share one thread with an asyncio loop, so that traffic goes on whatever the zone's control plane does."""
import asyncio
import socket
import struct
import threading

CHUNK = 65536
CONNECT_TIMEOUT_SECS = 5
CONNECTIONS_MAX = 2000  # per listener


class Forwarding:
    """The thread."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, name="forwarding", daemon=True).start()

    def open(self, address, port, targets, admits=None):
        """Listens on address:port (0: a free one) or raises OSError. `targets()` gives [(address, port)…], tried in order for
        each connection; `admits(peer, own)`, called in a thread, says whether a connection is let in."""
        listener = Listener(targets, admits)
        asyncio.run_coroutine_threadsafe(listener.open(address, port), self.loop).result()
        listener.loop = self.loop
        return listener


class Listener:
    """`mode` is open, cut (silence, on old and new connections) or refuse (old ones broken, new ones reset)."""

    def __init__(self, targets, admits):
        self.targets, self.admits = targets, admits
        self.server, self.loop = None, None
        self.mode, self.delay_ms = "open", 0
        self.writers, self.flowing = set(), None
        self.refused = 0

    async def open(self, address, port):
        self.flowing = asyncio.Event()
        self.flowing.set()
        self.server = await asyncio.start_server(self.serve, address, port, family=socket.AF_INET, backlog=256)
        self.address, self.port = self.server.sockets[0].getsockname()[:2]

    # ---- from other threads ----

    def set_mode(self, mode, delay_ms=0):
        self.call(self._set_mode, mode, delay_ms)

    def drop_connections(self):
        self.call(self._drop)

    def close(self):
        self.call(self._close)

    def call(self, function, *arguments):
        async def run():
            function(*arguments)

        asyncio.run_coroutine_threadsafe(run(), self.loop).result()

    # ---- in the loop ----

    def _set_mode(self, mode, delay_ms):
        self.mode, self.delay_ms = mode, delay_ms
        if mode == "cut":
            self.flowing.clear()
        else:
            self.flowing.set()
        if mode == "refuse":
            self._drop()

    def _drop(self):
        for writer in list(self.writers):
            reset(writer)

    def _close(self):
        self.server.close()
        self._drop()

    async def serve(self, reader, writer):
        own = set()
        try:
            self.keep(own, writer)
            if not await self.lets_in(writer):
                self.refused += 1
                reset(writer)
                return
            await self.flowing.wait()
            onward = await self.connect()
            if onward is None:
                reset(writer)
                return
            self.keep(own, onward[1])
            await asyncio.gather(self.pump(reader, onward[1]), self.pump(onward[0], writer))
        except OSError:
            pass
        finally:
            self.writers -= own
            for one in own:
                one.close()

    def keep(self, own, writer):
        own.add(writer)
        self.writers.add(writer)

    async def lets_in(self, writer):
        if self.mode == "refuse" or len(self.writers) > 2 * CONNECTIONS_MAX:
            return False
        if self.admits is None:
            return True
        return await asyncio.to_thread(self.admits, writer.get_extra_info("peername"), writer.get_extra_info("sockname"))

    async def connect(self):
        for address, port in self.targets():
            try:
                return await asyncio.wait_for(asyncio.open_connection(address, port), CONNECT_TIMEOUT_SECS)
            except (OSError, asyncio.TimeoutError):
                continue
        return None

    async def pump(self, reader, writer):
        """One direction until its end; a broken connection breaks the other half too."""
        try:
            while data := await reader.read(CHUNK):
                if self.delay_ms:
                    await asyncio.sleep(self.delay_ms / 1000)
                await self.flowing.wait()
                writer.write(data)
                await writer.drain()
            writer.write_eof()
        except OSError:
            reset(writer)


def reset(writer):
    """Closes with RST, as a firewall that rejects or a host that is gone."""
    raw = writer.get_extra_info("socket")
    if raw is not None and raw.fileno() >= 0:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
