"""The controller's port under a public scan (testssl.sh), and what Mozilla's Server Side TLS and RFC 9325 ask for, with the openssl program:
protocols, ciphers, groups, renegotiation, compression, resumption, downgrades, ALPN and the certificate's chain."""
import datetime
import json
import re
import subprocess

import pytest

from test_trust import DEADLINE, federation  # noqa: F401  (a fixture)

FORWARD_SECRET_AEAD = re.compile(r"^(ECDHE-ECDSA-(AES\d+-GCM-SHA\d+|CHACHA20-POLY1305)|TLS_\w+)$")


def client(made, *options, said="Q\n"):
    """What `openssl s_client` says, with the weakest security level that it knows: what is refused is refused by the server."""
    done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{made.port}", "-CAfile", made.dir / "ca.pem", "-servername", "localhost", *options],
                          input=said, capture_output=True, text=True, timeout=DEADLINE)
    return done.stdout + done.stderr


def cipher_of(output):
    found = re.search(r"Cipher is (\S+)", output)
    return found.group(1) if found and found.group(1) != "(NONE)" else None


def weak(*options):
    return [*options, "-cipher", "ALL:COMPLEMENTOFALL:@SECLEVEL=0"]


# A CA of our own: the controller itself knows who is revoked, and no public CA's list or DNS record is meant for it.
NOT_FOR_A_PRIVATE_CA = {"cert_revocation", "DNS_CAArecord"}


@pytest.mark.timeout(400)
def test_testssl_finds_nothing_weak(federation, work_dir):  # noqa: F811
    found = work_dir / "testssl.json"
    parts = ["--protocols", "--std", "--fs", "--server-defaults", "--vulnerable"]
    done = subprocess.run(["testssl", "--quiet", "--color", "0", "--warnings", "batch", "--add-ca", federation.dir / "ca.pem", "--jsonfile", found, *parts,
                           f"127.0.0.1:{federation.port}"], capture_output=True, text=True, timeout=380)
    findings = json.loads(found.read_text())
    seen = {each["id"]: each for each in findings}
    assert {"TLS1", "TLS1_2", "TLS1_3", "cipherlist_NULL", "cipherlist_STRONG", "ROBOT", "secure_client_renego", "cert_chain_of_trust"} <= set(seen), done.stdout
    assert seen["TLS1_3"]["finding"].startswith("offered") and seen["cert_chain_of_trust"]["severity"] == "OK", done.stdout
    weak_ones = [each for each in findings if each["severity"] not in ("OK", "INFO") and each["id"] not in NOT_FOR_A_PRIVATE_CA]
    assert not weak_ones, done.stdout


def test_only_tls_1_2_and_1_3_are_spoken(federation):  # noqa: F811
    for option, protocol in (("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")):
        output = client(federation, option)
        assert cipher_of(output) and protocol in output and "Verify return code: 0 (ok)" in output, output
    for option in ("-tls1", "-tls1_1"):
        output = client(federation, *weak(option))
        assert cipher_of(output) is None and "no protocols available" not in output, output
        assert re.search(r"alert (protocol version|handshake failure|internal error)|wrong version|unsupported protocol", output), output


def test_every_cipher_that_is_taken_is_strong(federation):  # noqa: F811
    known = subprocess.run(["openssl", "ciphers", "-tls1_2", "-s", "ALL:COMPLEMENTOFALL:@SECLEVEL=0"], check=True, capture_output=True, text=True).stdout.strip()
    names = [name for name in known.split(":") if not name.startswith("TLS_")]
    assert len(names) > 50 and "AES128-SHA" in names and "ECDHE-ECDSA-AES128-SHA" in names
    taken = set()
    # Halves of the list, until each one that is taken stands alone.
    def search(some):
        output = client(federation, "-tls1_2", "-cipher", ":".join(some) + ":@SECLEVEL=0")
        cipher = cipher_of(output)
        if cipher:
            taken.add(cipher)
            rest = [name for name in some if name != cipher]
            if rest:
                search(rest)

    search(names)
    assert taken and not [name for name in taken if not FORWARD_SECRET_AEAD.match(name)], taken
    assert {"ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384"} & taken
    for weak_one in ("NULL", "aNULL", "EXPORT", "DES", "3DES", "RC4", "MD5", "PSK", "SRP", "kRSA", "CAMELLIA", "ARIA", "SEED", "IDEA", "AESCBC"):
        output = client(federation, "-tls1_2", "-cipher", f"{weak_one}:@SECLEVEL=0")
        cipher = cipher_of(output)
        assert cipher is None or FORWARD_SECRET_AEAD.match(cipher), (weak_one, cipher)
    for suite in ("TLS_AES_128_CCM_8_SHA256", "TLS_AES_128_CCM_SHA256"):
        assert cipher_of(client(federation, "-tls1_3", "-ciphersuites", suite)) is None, suite


def test_weak_groups_and_signatures_are_refused(federation):  # noqa: F811
    for group in ("P-256", "X25519"):
        assert cipher_of(client(federation, "-groups", group)), group
    for group in ("secp192k1", "P-192", "sect163k1", "P-224", "ffdhe2048"):
        assert cipher_of(client(federation, "-groups", group, "-cipher", "DEFAULT:@SECLEVEL=0")) is None, group
    assert cipher_of(client(federation, "-tls1_2", "-sigalgs", "ECDSA+SHA1:RSA+SHA1", "-cipher", "DEFAULT:@SECLEVEL=0")) is None


def test_there_is_no_renegotiation_compression_or_resumption(federation):  # noqa: F811
    output = client(federation, "-tls1_2", "-msg")
    assert "Secure Renegotiation IS supported" in output and "Compression: NONE" in output
    again = client(federation, "-tls1_2", said="R\nGET /livez HTTP/1.0\r\n\r\nQ\n")
    assert "RENEGOTIATING" in again and re.search(r"no renegotiation|handshake failure|unexpected message", again), again
    assert again.count("HTTP/1.1 200") == 0
    resumed = client(federation, "-tls1_2", "-reconnect")
    assert "Reused, " not in resumed and resumed.count("New, TLSv1.2") >= 2, resumed
    assert "Session-ID: \n" in client(federation, "-tls1_2") or "TLS session ticket:" not in client(federation, "-tls1_2")
    assert "Max Early Data: 0" in client(federation, "-tls1_3") or "Early data was not sent" in client(federation, "-tls1_3")


def test_a_downgrade_is_noticed(federation):  # noqa: F811
    output = client(federation, "-tls1_2", "-fallback_scsv")
    assert cipher_of(output) is None and "inappropriate fallback" in output, output


def test_http_1_1_alone_is_negotiated(federation):  # noqa: F811
    assert "ALPN protocol: http/1.1" in client(federation, "-alpn", "h2,http/1.1")
    assert "ALPN protocol: h2" not in client(federation, "-alpn", "h2")


def text_of(certificate):
    return subprocess.run(["openssl", "x509", "-noout", "-text"], input=certificate, check=True, capture_output=True, text=True).stdout


def date_of(text, name):
    found = re.search(rf"Not {name}\s*: (.*)", text).group(1)
    return datetime.datetime.strptime(found, "%b %d %H:%M:%S %Y %Z").replace(tzinfo=datetime.timezone.utc)


def test_the_chain_is_short_strong_and_named(federation):  # noqa: F811
    output = client(federation, "-showcerts", "-verify_return_error")
    assert "Verify return code: 0 (ok)" in output
    chain = re.findall(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n", output, re.S)
    leaf = text_of(chain[0])
    assert "id-ecPublicKey" in leaf and re.search(r"Public-Key: \((256|384) bit\)", leaf) and re.search(r"Signature Algorithm: ecdsa-with-SHA(256|384|512)", leaf)
    assert "Version: 3" in leaf and "CA:FALSE" in leaf and "TLS Web Server Authentication" in leaf
    assert "DNS:localhost" in leaf and "IP Address:127.0.0.1" in leaf
    serial = re.search(r"Serial Number:\s*(?:\d+ \(0x(\w+)\)|([0-9a-f:]+))", leaf)
    assert len((serial.group(1) or serial.group(2)).replace(":", "")) >= 28, "the serial number is random, of 128 bits"
    now, day = datetime.datetime.now(datetime.timezone.utc), datetime.timedelta(days=1)
    assert date_of(leaf, "Before") <= now and now + 25 * day < date_of(leaf, "After") < now + 91 * day
    authority = text_of((federation.dir / "ca.pem").read_text())
    assert "CA:TRUE" in authority and re.search(r"Basic Constraints: critical", authority) and "Certificate Sign" in authority
    assert re.search(r"Public-Key: \((256|384) bit\)", authority)
    for wrong in ("-verify_hostname", "evil.example"), ("-verify_ip", "192.0.2.1"):
        assert "Verify return code: 0 (ok)" not in client(federation, *wrong, "-verify_return_error")


@pytest.mark.parametrize("text", ["GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", "\x80\x2e\x01\x00\x02", "\0" * 600])
def test_what_is_no_tls_is_hung_up_on(federation, text):  # noqa: F811
    import socket
    with socket.create_connection(("127.0.0.1", federation.port), 10) as raw:
        raw.sendall(text.encode("latin-1"))
        raw.settimeout(30)
        said = b""
        try:
            while part := raw.recv(1000):
                said += part
        except ConnectionResetError:
            pass
    assert b"HTTP" not in said
