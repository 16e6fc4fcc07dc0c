"""Nothing is sent to private addresses, however they are written or answered by a name server."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import ssl
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.webhooks.addresses import NAT64, NOT_PUBLIC_V4, is_public
from app.webhooks.client import GuardedBackend, WebhookClient
from app.webhooks.constants import DeliveryError
from app.webhooks.exceptions import WebhookURLError
from app.webhooks.utils import clean_url, matches, origin_of, retry_after, sign
from tests.webhooks.receiver import Message, receiving

PRIVATE = [
    "0.0.0.0",
    "10.0.0.1",
    "100.64.0.1",
    "127.0.0.1",
    "127.9.9.9",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.192",
    "192.0.2.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "168.63.129.16",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::808:808",
    "2002:7f00:1::",
    "2002:808:808::",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2001:db8::1",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%1",
    "fec0::1",
    "ff02::1",
    "100::1",
]
PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "172.32.0.1",
    "100.128.0.1",
    "2606:4700::1111",
    "::ffff:8.8.8.8",
    "64:ff9b::808:808",
]


@pytest.mark.parametrize("address", PRIVATE)
def test_an_address_that_is_not_public_is_refused(address):
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_allowed(address):
    assert is_public(ipaddress.ip_address(address))


@given(st.ip_addresses(v=4))
def test_no_form_of_an_ipv4_address_is_more_public_than_itself(address):
    mapped = ipaddress.IPv6Address(f"::ffff:{address}")
    translated = NAT64[int(address)]
    assert is_public(mapped) == is_public(translated) == is_public(address)
    assert not is_public(ipaddress.IPv6Address((0x2002 << 112) | (int(address) << 80)))
    assert not is_public(ipaddress.IPv6Address(int(address)))
    if any(address in network for network in NOT_PUBLIC_V4):
        assert not is_public(address)


@given(st.ip_addresses())
def test_nothing_that_the_library_calls_special_is_public(address):
    special = (
        address.is_private
        or address.is_loopback
        or address.is_link_local
        or address.is_multicast
        or address.is_unspecified
        or address.is_reserved
    )
    assert not (special and is_public(address)) or address in NAT64 or address.ipv4_mapped


REFUSED_URLS = [
    "",
    "hooks.example.com",
    "ftp://hooks.example.com/",
    "file:///etc/passwd",
    "https://",
    "https:///path",
    "https://user@hooks.example.com/",
    "https://user:pass@hooks.example.com/",
    "https://@hooks.example.com/",
    "https://hooks.example.com/#part",
    "https://hooks.example.com:0/",
    "https://hooks.example.com:/",
    "https://hooks.example.com:99999/",
    "https://hooks.example.com:port/",
    "https://hooks.example.com\\@evil.example/",
    "https://hooks.example.com/a b",
    "https://hooks.example.com/\r\nX: y",
    "https://hooks.example.com/\x00",
    "https://hööks.example.com/",
    "https://-hooks.example.com/",
    "https://hooks..example.com/",
    "https://[::1",
    "https://[hooks]/",
    "https://" + "a" * 64 + ".example.com/",
    "https://127.0.0.1/",
    "http://10.1.2.3:8080/x",
    "https://[::1]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[fe80::1%25eth0]/",
]


@pytest.mark.parametrize("url", REFUSED_URLS)
def test_a_url_that_leads_nowhere_good_is_refused_with_its_field(url):
    with pytest.raises(WebhookURLError) as caught:
        clean_url(url, allow_private=False)
    assert caught.value.extra["errors"][0]["field"] == "url"
    assert "pass" not in caught.value.detail.replace("password", "")


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.example.com",
        "https://hooks.example.com:8443/a/b?c=d&e=%20",
        "http://xn--hks-tna.example.com./",
        "https://1.1.1.1/",
        "https://[2606:4700::1111]:444/",
        "https://under_score.example.com/@user:pass/",
    ],
)
def test_a_url_of_a_public_server_is_taken_as_it_is(url):
    assert clean_url(url, allow_private=False) == url


@given(st.text(max_size=80))
def test_any_text_is_a_url_or_refused(text):
    try:
        clean_url(f"https://{text}", allow_private=False)
    except WebhookURLError:
        return
    assert "\r" not in text
    assert "@" not in origin_of(f"https://{text}")


class Resolver:
    """A name server that gives the next answer every time, the last one for ever."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, int]] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append((host, port))
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


async def test_a_name_that_leads_to_a_private_address_is_not_connected_to():
    async with receiving() as receiver:
        url = f"http://rebind.example:{receiver.port}/"
        async with WebhookClient(allow_private=False, resolve=Resolver(["127.0.0.1"])) as client:
            outcome = await client.post(url, {}, b"{}")
        assert outcome.error is DeliveryError.FORBIDDEN_ADDRESS
        assert receiver.connections == 0
        async with WebhookClient(allow_private=True, resolve=Resolver(["127.0.0.1"])) as client:
            assert (await client.post(url, {}, b"{}")).error is None
        assert receiver.seen[0].headers["host"] == f"rebind.example:{receiver.port}"


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.1", "0x7f000001", "2130706433", "0177.0.0.1", "localhost"]
)
async def test_loopback_is_refused_however_it_is_written(host):
    async with receiving() as receiver:
        async with WebhookClient(allow_private=False) as client:
            outcome = await client.post(f"http://{host}:{receiver.port}/", {}, b"{}")
        assert outcome.error in (DeliveryError.FORBIDDEN_ADDRESS, DeliveryError.UNRESOLVABLE)
        assert receiver.connections == 0


async def test_the_address_that_was_judged_is_the_one_that_is_connected_to(monkeypatch):
    """A name server that answers publicly when asked first and with loopback afterwards has no chance."""
    connected: list[str] = []
    resolver = Resolver(["93.184.215.14"], ["127.0.0.1"])
    backend = GuardedBackend(resolve=resolver, allow_private=False)

    class Inner:
        async def connect_tcp(self, host: str, *_: object) -> str:
            connected.append(host)
            return "connection"

    monkeypatch.setattr(backend, "_inner", Inner())
    assert await backend.connect_tcp("rebind.example", 443) == "connection"
    assert connected == ["93.184.215.14"]
    assert resolver.asked == [("rebind.example", 443)]
    with pytest.raises(Exception, match="no public address"):
        await backend.connect_tcp("rebind.example", 443)
    assert connected == ["93.184.215.14"]


async def test_of_several_addresses_only_the_public_ones_are_tried(monkeypatch):
    import httpcore

    connected: list[str] = []
    answers = ["10.0.0.1", "1.1.1.1", "::1", "8.8.8.8"]
    backend = GuardedBackend(resolve=Resolver(answers), allow_private=False)

    class Inner:
        async def connect_tcp(self, host: str, *_: object) -> None:
            connected.append(host)
            raise httpcore.ConnectError

    monkeypatch.setattr(backend, "_inner", Inner())
    with pytest.raises(httpcore.ConnectError):
        await backend.connect_tcp("many.example", 443)
    assert connected == ["1.1.1.1", "8.8.8.8"]


async def test_a_redirect_is_not_followed():
    async def behave(message: Message) -> tuple[int, dict[str, str], bytes]:
        return 302, {"Location": "/elsewhere"}, b"moved"

    async with receiving(behave) as receiver, WebhookClient(allow_private=True) as client:
        outcome = await client.post(receiver.url, {}, b"{}")
        assert (outcome.error, outcome.status, outcome.body) == (DeliveryError.STATUS, 302, "moved")
        assert [message.target for message in receiver.seen] == ["/hook"]


async def test_proxies_of_the_environment_are_not_used(monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with receiving() as receiver, WebhookClient(allow_private=True) as client:
        assert (await client.post(receiver.url, {}, b"{}")).error is None
        assert len(receiver.seen) == 1


async def test_an_attempt_ends_after_its_time_whatever_trickles_in():
    async def behave(message: Message) -> int:
        await asyncio.sleep(30)
        return 200

    async with receiving(behave) as receiver, WebhookClient(allow_private=True, seconds=0.2) as client:
        outcome = await client.post(receiver.url, {}, b"{}")
    assert outcome.error is DeliveryError.TIMEOUT
    assert 150 <= outcome.duration_ms < 5000


async def test_a_name_server_that_does_not_answer_is_a_timeout():
    async def resolve(host: str, port: int) -> Sequence[str]:
        await asyncio.sleep(30)
        return []

    async with WebhookClient(allow_private=True, seconds=0.2, resolve=resolve) as client:
        assert (await client.post("http://slow.example/", {}, b"")).error is DeliveryError.TIMEOUT


async def test_only_the_start_of_an_answer_is_kept_as_text_that_can_be_stored():
    async def behave(message: Message) -> tuple[int, dict[str, str], bytes]:
        return 200, {}, b"\xff\0" + b"x" * 2**20

    async with receiving(behave) as receiver, WebhookClient(allow_private=True) as client:
        outcome = await client.post(receiver.url, {}, b"{}")
    assert outcome.error is None
    assert outcome.body == "\ufffd\ufffd" + "x" * 1022


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 99999 X\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 300_000,
        b"\x16\x03\x01",
    ],
)
async def test_an_answer_that_is_not_http_is_an_outcome(answer):
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server, WebhookClient(allow_private=True) as client:
        port = server.sockets[0].getsockname()[1]
        outcome = await client.post(f"http://127.0.0.1:{port}/", {}, b"{}")
    assert outcome.error in (DeliveryError.PROTOCOL, DeliveryError.UNREACHABLE)


async def test_nobody_there_is_an_outcome():
    async with WebhookClient(allow_private=True) as client:
        assert (await client.post("http://127.0.0.1:9/", {}, b"")).error is DeliveryError.UNREACHABLE
        found = (await client.post("http://nobody.invalid/", {}, b"")).error
    assert found is DeliveryError.UNRESOLVABLE


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """(a server's context for hooks.example, a client's that trusts it)."""
    folder: Path = tmp_path_factory.mktemp("tls")
    key, cert = folder / "key.pem", folder / "cert.pem"
    make_certificate(key, cert)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(cert, key)
    return server, ssl.create_default_context(cafile=str(cert))


def make_certificate(key: Path, cert: Path) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "hooks.example")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("hooks.example")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(private, hashes.SHA256())
    )
    cert.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )


async def test_the_certificate_is_checked_for_the_name_and_not_for_the_address(certificate):
    server, trusting = certificate
    resolve = Resolver(["127.0.0.1"])
    async with (
        receiving(tls=server) as receiver,
        WebhookClient(allow_private=True, resolve=resolve, ssl_context=trusting) as client,
    ):
        right = await client.post(f"https://hooks.example:{receiver.port}/", {}, b"{}")
        wrong = await client.post(f"https://other.example:{receiver.port}/", {}, b"{}")
    assert right.error is None
    assert wrong.error is DeliveryError.TLS


async def test_a_certificate_that_nobody_vouches_for_is_refused(certificate):
    server, _ = certificate
    async with (
        receiving(tls=server) as receiver,
        WebhookClient(allow_private=True, resolve=Resolver(["127.0.0.1"])) as client,
    ):
        outcome = await client.post(f"https://hooks.example:{receiver.port}/", {}, b"{}")
        assert receiver.seen == []
    assert outcome.error is DeliveryError.TLS


async def test_connections_are_kept_for_the_next_message():
    async with receiving() as receiver, WebhookClient(allow_private=True) as client:
        for _ in range(5):
            assert (await client.post(receiver.url, {}, b"{}")).error is None
        assert receiver.connections == 1


@pytest.mark.parametrize(
    ("filters", "event", "wanted"),
    [
        (["*"], "ticket.created", True),
        (["ticket.*"], "ticket.created", True),
        (["ticket.*"], "ticket.message.added", True),
        (["ticket.*"], "tickets.created", False),
        (["ticket.*"], "ticket", False),
        (["ticket.created"], "ticket.created", True),
        (["ticket.created"], "ticket.created_again", False),
        (["person.*", "ticket.created"], "ticket.created", True),
        ([], "ticket.created", False),
    ],
)
def test_a_filter_means_a_type_or_all_below_it(filters, event, wanted):
    assert matches(filters, event) is wanted


@pytest.mark.parametrize(
    "value", [None, "", "soon", "-5", "1.5", "٣", "Thu, 99 Foo 2026", "Mon, 01 Jan 0001 00:00:00 -2359"]
)
def test_a_retry_after_that_says_nothing_is_nothing(value):
    assert retry_after(value) == timedelta(0)


@given(st.text(max_size=60))
def test_any_retry_after_is_between_nothing_and_a_day(value):
    assert timedelta(0) <= retry_after(value) <= timedelta(days=1)


def test_a_signature_is_that_of_the_specification():
    """The example of Standard Webhooks."""
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    body = b'{"test": 2432232314}'
    assert (
        sign([secret], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)
        == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    )
